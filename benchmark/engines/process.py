"""One worker process, seen from the process that starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from benchmark import records
from benchmark.engines.events import Event
from benchmark.errors import UserError
from benchmark.machine import ALLOCATOR, ROOT
from benchmark.plan import Item
from benchmark.stopping import GRACE

Assignments = list[tuple[str, str | None]]
"""Runs to do: where the record of each lies, and the checksum of the one that stands there."""


def assignments(items: Sequence[Item]) -> Assignments:
    """Runs of a plan, as they are told to a worker."""
    return [(str(item.run.path), records.checksum(item.record) if item.record else None) for item in items]


class DiedError(RuntimeError):
    """A worker process ended before its runs were done; the text says how."""


@dataclass(frozen=True)
class Duty:
    """What all workers of a command are started with; plain values, so it can travel to other machines.

    `arguments` are the command's own, `folder` the part of the output folder that the runs belong to ("" or "tuning").
    """

    arguments: tuple[str, ...]
    folder: str
    working_folder: str = field(default_factory=os.getcwd)

    def start(self, cores: Sequence[int] = (), environment: Mapping[str, str] | None = None) -> Worker:
        """A new worker process, on those cores if any are named."""
        options = ["--cores", ",".join(map(str, cores))] if cores else []
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return Worker(
            [sys.executable, "-P", "-m", "benchmark.worker", *options, "--", *self.arguments],
            self.folder,
            self.working_folder,
            os.environ | {"PYTHONPATH": path, "GLIBC_TUNABLES": ALLOCATOR} | dict(environment or {}),
        )


class Worker:
    """A running worker process; it stops, at a checkpoint, when this process dies."""

    def __init__(self, command: list[str], folder: str, working_folder: str, environment: dict[str, str]) -> None:
        self.folder = folder
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the worker
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self.process = subprocess.Popen(command, cwd=working_folder, env=environment, text=True, **pipes)

    def work(self, runs: Assignments) -> Iterator[Event]:
        """Have the runs done and yield what happens, until all are done.

        Raises DiedError when the process ends before, UserError for what the user can mend.
        """
        assert self.process.stdin and self.process.stdout
        with suppress(BrokenPipeError):  # it has died already, which its output tells
            print(json.dumps({"folder": self.folder, "runs": runs}), file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "mistake":
                raise UserError(event["text"])
            if event["event"] == "done":
                return
            yield event
        raise DiedError(self._how_it_died())

    def _how_it_died(self) -> str:
        code = self.process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"a worker process ended {how}" + (f": {last}" if last else "")

    def ask_to_stop(self) -> None:
        """Have it end, with a checkpoint if it is in the middle of a run."""
        self.process.terminate()

    def stop(self) -> None:
        """The same, and wait until it is gone."""
        self.ask_to_stop()
        try:
            self.process.wait(GRACE + 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def share_of_cores(index: int, count: int) -> list[int]:
    """The cores of one of `count` workers, as many for each; [] where processes cannot be bound to cores."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    size = max(1, len(cores) // count)
    return [cores[(index * size + i) % len(cores)] for i in range(size)]


def gpus() -> list[str]:
    """The NVIDIA GPUs that JAX would use in this process, found without starting JAX."""
    platforms = os.environ.get("JAX_PLATFORMS") or "cuda"
    if not {"cuda", "gpu"} & set(platforms.split(",")) or not _jax_has_cuda():
        return []
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        names = [name.strip() for name in visible.split(",") if name.strip()]
        return [*takewhile(lambda name: not name.startswith("-"), names)]  # CUDA stops at -1, which hides all
    try:
        listing = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(number) for number, _ in enumerate(listing.splitlines())]


def _jax_has_cuda() -> bool:
    folders = (Path(place) / "jax_plugins" for place in sys.path)
    return any(path.name.startswith("xla_cuda") for folder in folders if folder.is_dir() for path in folder.iterdir())
