"""What a worker process tells of its runs, and how the command that started it shows that."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

from benchmark import records
from benchmark.errors import UserError
from benchmark.plan import Run
from benchmark.progress import Progress
from benchmark.records import Record

STEP_EVERY = 0.5
"""Seconds between two events about the steps of a run."""

Event = dict[str, Any]


class Teller:
    """The progress of a worker process, as one line of JSON an event.

    A reader that is gone is no failure of the run: that the command is gone is seen elsewhere.
    """

    def __init__(self, file: TextIO) -> None:
        self._file, self._lock, self._spoke = file, Lock(), 0.0

    def tell(self, event: str, **what: Any) -> None:
        """Write one event."""
        with self._lock, suppress(OSError):
            print(json.dumps({"event": event, **what}), file=self._file, flush=True)

    def note(self, text: str) -> None:
        self.tell("note", text=text)

    def run_started(self, run: Run) -> None:
        self.tell("started", run=str(run.path))

    def step(self, done: int, loss: float, parts: Mapping[str, float]) -> None:
        if time.monotonic() - self._spoke >= STEP_EVERY:
            self._spoke = time.monotonic()
            self.tell("step", done=done, loss=loss, parts=parts)

    def stage(self, name: str) -> None:
        self.tell("stage", name=name)

    def run_finished(self, record: Record) -> None:
        self.tell("finished", run=str(record.path))


def show(event: Event, lane: Progress, runs: Mapping[Path, Run]) -> None:
    """Tell a lane of the display what a worker told; that a run is finished is told with its record, elsewhere."""
    match event:
        case {"event": "note", "text": text}:
            lane.note(text)
        case {"event": "started", "run": run}:
            lane.run_started(runs[Path(run)])
        case {"event": "step", "done": done, "loss": loss, "parts": parts}:
            lane.step(done, loss, parts)
        case {"event": "stage", "name": name}:
            lane.stage(name)


def finished(out: Path, path: str) -> Record:
    """The record that a worker wrote. Raises UserError when it cannot be seen from here."""
    try:
        return records.read(out / path)
    except records.DamagedRecordError as error:
        remedy = "--out must be a folder that the command and all workers share"
        raise UserError(f"a worker wrote {path}, but in {str(out)!r} it {error}; {remedy}") from None
