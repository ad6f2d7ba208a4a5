"""Where runs are done: in this process (`here`), by local processes (`workers`), on a Dask cluster (`cluster`), by
Slurm jobs (`slurm`).

All but the first start the same process, `benchmark.worker`, which plans the grid from the command's own arguments and
is told which runs to do as lines of JSON on its standard input (`process`); it tells what happens as lines of JSON on
its standard output (`events`). Claims beside the records see to it that no run is done twice, whoever else is at work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from benchmark.plan import Item
from benchmark.progress import Display
from benchmark.records import Record


@runtime_checkable
class Engine(Protocol):
    """Does what a plan says."""

    @property
    def out(self) -> Path:
        """The folder that the records go to."""

    @property
    def lanes(self) -> int:
        """Runs that are done at once."""

    def execute(self, items: Sequence[Item], display: Display) -> Iterator[Record]:
        """Do what is to be done and yield the record of each run once, however it went.

        Raises UserError for what the user can mend.
        """
