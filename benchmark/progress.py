"""What a user sees while a grid runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from benchmark.plan import Run
from benchmark.records import Record

LINE_EVERY = 30.0
"""Seconds between two plain lines about the same run."""


@runtime_checkable
class Progress(Protocol):
    """What the runner tells."""

    def note(self, text: str) -> None:
        """A short line about a preparation, such as frames being collected."""

    def run_started(self, run: Run) -> None:
        """A run begins."""

    def step(self, done: int, loss: float) -> None:
        """Steps done in the present run, and its loss."""

    def stage(self, name: str) -> None:
        """The present run goes on to another stage."""

    def run_finished(self, record: Record) -> None:
        """A run has its record."""


class Remaining:
    """Time left of the grid: the estimates of the runs that remain, corrected by how the finished ones went."""

    def __init__(self, estimates: Mapping[Path, float]) -> None:
        self.left, self.total, self.done = dict(estimates), len(estimates), 0
        self._estimated, self._began = 0.0, time.monotonic()

    def finish(self, path: Path) -> None:
        """One run is over."""
        self._estimated += self.left.pop(path, 0.0)
        self.done += 1

    def seconds(self) -> float:
        """Seconds until the grid is done."""
        spent = time.monotonic() - self._began
        pace = spent / self._estimated if self._estimated else 1.0
        return pace * sum(self.left.values())


class Pace:
    """Time left of a run, from the steps since the first one that was heard of: compiling is not counted."""

    def __init__(self, steps: int) -> None:
        self.steps, self.began = steps, time.monotonic()
        self._first: tuple[int, float] | None = None

    def left(self, done: int) -> str:
        """In words; "?" while nothing is known."""
        now = time.monotonic()
        self._first = self._first or (done, now)
        step, since = self._first
        return duration((now - since) / (done - step) * (self.steps - done)) if done > step else "?"


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3.5 h, 2.1 days."""
    for unit, size, least in (("days", 86400, 2 * 86400), ("h", 3600, 2 * 3600), ("min", 60, 120)):
        if seconds >= least:
            return f"{seconds / size:.1f} {unit}" if seconds / size < 10 else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


class PlainProgress:
    """Lines for a log file: one when a run starts and ends, one every half minute between."""

    def __init__(self, estimates: Mapping[Path, float]) -> None:
        self.remaining = Remaining(estimates)
        self._pace, self._spoke, self._name = Pace(0), 0.0, ""

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def note(self, text: str) -> None:
        print(text, flush=True)

    def run_started(self, run: Run) -> None:
        self._pace, self._spoke = Pace(run.training.steps), time.monotonic()
        self._name = f"{run.dataset_name}, {run.method_name}, seed {run.seed}"

    def step(self, done: int, loss: float) -> None:
        left = self._pace.left(done)
        if time.monotonic() - self._spoke >= LINE_EVERY:
            self._spoke = time.monotonic()
            print(f"    {self._name}: step {done}/{self._pace.steps}, loss {loss:.4g}, {left} left", flush=True)

    def stage(self, name: str) -> None:
        pass

    def run_finished(self, record: Record) -> None:
        self.remaining.finish(record.path)
        end = f"loss {record.curve[-1][1]:.4g}" if record.curve else record.reason or "not trained"
        took = duration(time.monotonic() - self._pace.began)
        left = duration(self.remaining.seconds())
        count = f"[{self.remaining.done}/{self.remaining.total}]"
        print(f"{count} {self._name}: {record.status}, {end}, took {took}; {left} left in all", flush=True)


class LiveProgress:
    """Two bars on a terminal, the grid's and the present run's, below the lines of what is finished."""

    def __init__(self, estimates: Mapping[Path, float]) -> None:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self.remaining = Remaining(estimates)
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
        )
        left = f"{duration(self.remaining.seconds())} left"
        self.grid = self.bars.add_task("all runs", total=len(estimates), detail=left)
        self.run = self.bars.add_task("", total=1, detail="", visible=False)
        self._pace, self._name = Pace(0), ""

    def note(self, text: str) -> None:
        self.bars.update(self.grid, detail=text)

    def run_started(self, run: Run) -> None:
        self._pace, self._name = Pace(run.training.steps), f"{run.dataset_name} {run.method_name}"
        self.bars.reset(
            self.run, total=run.training.steps, description=self._name, detail=f"seed {run.seed}", visible=True
        )

    def step(self, done: int, loss: float) -> None:
        self.bars.update(self.run, completed=done, detail=f"loss {loss:.4g}, {self._pace.left(done)} left")

    def stage(self, name: str) -> None:
        self.bars.update(self.run, detail=name)

    def run_finished(self, record: Record) -> None:
        self.remaining.finish(record.path)
        if record.status != "ok":
            self.bars.console.print(f"{self._name} seed {record.seed}: {record.status}, {record.reason}", markup=False)
        left = f"{duration(self.remaining.seconds())} left"
        self.bars.update(self.grid, completed=self.remaining.done, detail=left)

    def __enter__(self) -> LiveProgress:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()


def progress_for(estimates: Mapping[Path, float]) -> PlainProgress | LiveProgress:
    """A live display when standard output is a terminal, plain lines otherwise."""
    return LiveProgress(estimates) if sys.stdout.isatty() else PlainProgress(estimates)
