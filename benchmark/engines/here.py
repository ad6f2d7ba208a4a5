"""Runs done one after the other in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.loss_logs import with_log
from benchmark.machine import provenance, set_up_jax, summary
from benchmark.plan import Item
from benchmark.progress import Display, say
from benchmark.records import Record


@dataclass(frozen=True)
class Here:
    """This process."""

    out: Path
    cache: Path
    keep_params: bool = False
    verbose: bool = False
    log: str | None = None
    devices: int = 1
    together: int = 1
    lanes: int = 1

    def execute(self, items: Sequence[Item], display: Display) -> Iterator[Record]:
        """Do what is to be done and yield each record. Raises UserError when JAX cannot start its devices."""
        from benchmark.devices import check_devices
        from benchmark.runner import Runner  # brings optax, which a plan does not need

        set_up_jax(self.cache)
        provenance()  # a device that does not start is a mistake of the set-up, not of each run
        check_devices((item.run for item in items if item.to_do), self.devices)
        if self.verbose:
            say(summary())
        with with_log(display.lane(), self.out, self.log) as told:
            yield from Runner(self.out, self.cache, told, self.keep_params, self.devices, self.together).execute(items)
