"""Runs done by several processes of this machine, each with its share of the cores or a GPU of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from benchmark.engines.events import Event, finished, show
from benchmark.engines.process import DiedError, Duty, Worker, assignments, gpus, share_of_cores
from benchmark.errors import UserError
from benchmark.plan import Item
from benchmark.progress import Display
from benchmark.records import Record

DEATHS = 3
"""Worker processes that may die for each of them, with no run finished in between, until the command gives up."""


@dataclass
class Workers:
    """`lanes` worker processes. Each is given all runs, in an order of its own, and does what the others have left.

    A worker that dies is replaced; its run is taken over by whoever comes first.
    """

    lanes: int
    duty: Duty
    out: Path
    _heard: SimpleQueue[tuple[int, Event | Exception]] = field(default_factory=SimpleQueue)
    _alive: dict[int, Worker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises UserError when there are fewer GPUs than workers."""
        self._gpus = gpus()
        if self._gpus and len(self._gpus) < self.lanes:
            raise UserError(
                f"--workers {self.lanes}: a worker needs a GPU of its own, here are {len(self._gpus)}; ask for no more "
                "workers, or set JAX_PLATFORMS=cpu"
            )

    def execute(self, items: Sequence[Item], display: Display) -> Iterator[Record]:
        """Do what is to be done and yield each record. Raises UserError when workers keep dying without a result."""
        pending = {str(item.run.path): item for item in items if item.to_do}
        runs = {item.run.path: item.run for item in pending.values()}
        orders = [assignments(order(list(pending.values()), index, self.lanes)) for index in range(self.lanes)]
        lanes = [display.lane() for _ in orders]
        deaths = 0
        try:
            for index in range(min(self.lanes, len(pending))):
                self._start(index, orders[index])
            while pending:
                index, event = self._heard.get()
                if isinstance(event, DiedError):
                    deaths += 1
                    self._replace(index, orders[index], event, deaths)
                    lanes[index].note(f"{event}; another takes its place")
                elif isinstance(event, Exception):
                    raise event
                elif event["event"] == "finished" and pending.pop(event["run"], None):
                    deaths = 0
                    record = finished(self.out, event["run"])
                    lanes[index].run_finished(record)
                    yield record
                else:
                    show(event, lanes[index], runs)
        finally:
            self._stop()

    def _start(self, index: int, runs: list[tuple[str, str | None]]) -> None:
        environment = {"CUDA_VISIBLE_DEVICES": self._gpus[index]} if self._gpus else {}
        worker = self._alive[index] = self.duty.start(share_of_cores(index, self.lanes), environment)
        Thread(target=self._listen, args=(index, worker, runs), daemon=True).start()

    def _listen(self, index: int, worker: Worker, runs: list[tuple[str, str | None]]) -> None:
        try:
            for event in worker.work(runs):
                self._heard.put((index, event))
        except Exception as error:  # raised where it can be dealt with
            self._heard.put((index, error))

    def _replace(self, index: int, runs: list[tuple[str, str | None]], how: DiedError, deaths: int) -> None:
        if deaths > DEATHS * self.lanes:
            raise UserError(f"{how}; so did {deaths - 1} before it, and no run was finished in between")
        self._start(index, runs)

    def _stop(self) -> None:
        for worker in self._alive.values():
            worker.ask_to_stop()
        for worker in self._alive.values():
            worker.stop()


def order(items: Sequence[Item], index: int, count: int) -> list[Item]:
    """The same runs for each of `count` workers, each beginning at its own part of the grid.

    So most frames are loaded, and most programs compiled, by one of them only.
    """
    start = index * len(items) // count
    first = next((i for i in range(start, len(items)) if _begins(items, i)), start)
    return [*items[first:], *items[:first]]


def _begins(items: Sequence[Item], i: int) -> bool:
    """Is it the first run of a method on a data set?"""
    return i == 0 or items[i].run.path.parent != items[i - 1].run.path.parent
