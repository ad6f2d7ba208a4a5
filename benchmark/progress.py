"""What a user sees while a grid runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EIO, EPIPE
from pathlib import Path
from typing import Any, Protocol, TextIO, cast, runtime_checkable

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

    def step(self, done: int, loss: float, parts: Mapping[str, float]) -> None:
        """Steps done in the present run, its loss and the named parts of that."""

    def stage(self, name: str) -> None:
        """The present run goes on to another stage, or how far it has come in one that is not counted in steps."""

    def run_finished(self, record: Record) -> None:
        """A run has its record."""


class Remaining:
    """Time left of the grid: the estimates of the runs that remain, corrected by how the finished ones went.

    `lanes` runs are done at once. The estimates count as one more run that went as estimated, of mean length: a short
    run that took longer by far tells little of long ones.
    """

    def __init__(self, estimates: Mapping[Path, float], lanes: int = 1) -> None:
        self.left, self.total, self.done = dict(estimates), len(estimates), 0
        self._at_once = max(1, min(lanes, self.total))
        self._estimated = sum(estimates.values()) / max(1, self.total)
        self._spent, self._last = self._estimated / self._at_once, time.monotonic()

    def finish(self, path: Path) -> None:
        """One run is over: `_estimated` seconds have taken `_spent` by now."""
        if path in self.left:
            self._estimated += self.left.pop(path)
            self._spent, self._last = self._spent + time.monotonic() - self._last, time.monotonic()
            self.done += 1

    def seconds(self) -> float:
        """Seconds until the grid is done."""
        pace = self._spent / self._estimated if self._estimated else 0.0
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


class Heard:
    """A file of output of which whoever read it may have gone, or the disk be full: the work goes on."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, text: str) -> int:
        """As a file's."""
        with self._unheard():
            self.file.write(text)
        return len(text)

    def flush(self) -> None:
        """As a file's."""
        with self._unheard():
            self.file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (EPIPE, EIO):  # a pipe or a terminal that is closed: the end of the process would fail
                silence(self.file)


def silence(file: Any) -> None:
    """From now on what is written to a file of output goes nowhere."""
    with suppress(AttributeError, OSError):  # a notebook's output is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def say(text: str, file: Any = None) -> None:
    """A line of plain output, to standard output unless another file is named; it may go unheard."""
    file = file or sys.stdout
    if file is not None:  # as it is where a command was started with its output closed
        print(text, file=cast(TextIO, Heard(file)), flush=True)


class PlainProgress:
    """Lines for a log file: one when a run starts and ends, one every half minute between.

    Each process that does runs tells of them on a lane of its own.
    """

    def __init__(self, estimates: Mapping[Path, float], lanes: int = 1) -> None:
        self.remaining = Remaining(estimates, lanes)

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def lane(self) -> Progress:
        """Where one more process tells of its runs."""
        return PlainLane(self.remaining)


class PlainLane:
    """The lines about the runs of one process."""

    def __init__(self, remaining: Remaining) -> None:
        self.remaining = remaining
        self._pace, self._spoke = Pace(0), 0.0
        self._run: Run | None = None

    def note(self, text: str) -> None:
        say(text)

    def run_started(self, run: Run) -> None:
        self._pace, self._spoke, self._run = Pace(run.training.steps), time.monotonic(), run

    def step(self, done: int, loss: float, parts: Mapping[str, float]) -> None:
        left = self._pace.left(done)
        self._say(f"step {done}/{self._pace.steps}, loss {loss:.4g}, {left} left")

    def stage(self, name: str) -> None:
        self._say(name)

    def _say(self, what: str) -> None:
        if time.monotonic() - self._spoke >= LINE_EVERY:
            self._spoke = time.monotonic()
            self.note(f"    {self._run}: {what}")

    def run_finished(self, record: Record) -> None:
        self.remaining.finish(record.path)
        end = record.reason or (f"loss {record.curve[-1][1]:.4g}" if record.curve else "not trained")
        own = self._run is not None and self._run.path == record.path
        took = f"took {duration(time.monotonic() - self._pace.began)}" if own else "done elsewhere"
        left = duration(self.remaining.seconds())
        count = f"[{self.remaining.done}/{self.remaining.total}]"
        self.note(f"{count} {_name(record, self._run)}: {record.status}, {end}, {took}; {left} left in all")


def _name(record: Record, run: Run | None) -> str:
    """What a record is of: it does not have the run's remark."""
    return str(run if run is not None and run.path == record.path else record)


class LiveProgress:
    """Bars on a terminal, the grid's and one for the present run of each lane, below the lines of what went wrong."""

    def __init__(self, estimates: Mapping[Path, float], lanes: int = 1) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self.remaining = Remaining(estimates, lanes)
        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=cast(TextIO, Heard(sys.stdout))),
        )
        left = f"{duration(self.remaining.seconds())} left"
        self.grid = self.bars.add_task("all runs", total=len(estimates), detail=left)

    def lane(self) -> Progress:
        """Where one more process tells of its runs."""
        return LiveLane(self)

    def say(self, detail: str) -> None:
        """Show a short text behind the grid's bar."""
        self.bars.update(self.grid, completed=self.remaining.done, detail=detail)

    def finish(self, record: Record, name: str) -> None:
        """Count a run that is over."""
        self.remaining.finish(record.path)
        if record.status != "ok":
            self.bars.console.print(f"{name}: {record.status}, {record.reason}", markup=False)
        self.say(f"{duration(self.remaining.seconds())} left")

    def __enter__(self) -> LiveProgress:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()


class LiveLane:
    """The bar of one process."""

    def __init__(self, display: LiveProgress) -> None:
        self.display = display
        self._run: Run | None = None
        self.bar = display.bars.add_task("", total=1, detail="", visible=False)
        self._pace = Pace(0)

    def note(self, text: str) -> None:
        self.display.say(text)

    def run_started(self, run: Run) -> None:
        self._pace, self._run = Pace(run.training.steps), run
        name = f"{run.dataset_name} {run.method_name}"
        detail = ", ".join(filter(None, (f"seed {run.seed}", run.remark)))
        self.display.bars.reset(self.bar, total=run.training.steps, description=name, detail=detail, visible=True)

    def step(self, done: int, loss: float, parts: Mapping[str, float]) -> None:
        detail = f"loss {loss:.4g}, {self._pace.left(done)} left"
        self.display.bars.update(self.bar, completed=done, detail=detail)

    def stage(self, name: str) -> None:
        self.display.bars.update(self.bar, detail=name)

    def run_finished(self, record: Record) -> None:
        self.display.finish(record, _name(record, self._run))


Display = PlainProgress | LiveProgress


def progress_for(estimates: Mapping[Path, float], lanes: int = 1) -> Display:
    """A live display when standard output is a terminal, plain lines otherwise."""
    return LiveProgress(estimates, lanes) if sys.stdout and sys.stdout.isatty() else PlainProgress(estimates, lanes)
