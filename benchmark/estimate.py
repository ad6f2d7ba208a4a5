"""How long runs take on this machine: remembered from finished runs, else guessed from the frames' size."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

from benchmark.machine import threads
from benchmark.plan import Item, Run
from benchmark.records import Record, write_atomically

SECONDS_PER_PIXEL = 5e-8
"""Training cost of one input value, first guess: NatureCNN on 2 cores."""
OVERHEAD = 10.0
"""Seconds a run spends on compiling, freezing and probing, first guess."""
COLLECT_RATE = 6_000.0
"""Raw emulator frames a second and core, first guess."""
REMEMBERED = 2_000


@dataclass(frozen=True)
class Estimate:
    """Seconds of each run that is to be done and of collecting frames; `measured` runs rest on finished ones.

    `lanes` runs are done at once, each on `threads` cores.
    """

    runs: dict[Path, float]
    collecting: float
    measured: int
    threads: int
    lanes: int = 1

    @property
    def total(self) -> float:
        """Seconds of the whole plan."""
        return sum(self.runs.values()) / self.lanes + self.collecting


class Timings:
    """Step time and overhead of finished runs on this machine, one small file in the cache.

    It is a convenience: a damaged, missing or unwritable file means that estimates are guesses, nothing else.
    """

    FIELDS = ("method", "dataset", "pixels", "threads", "step", "overhead")

    def __init__(self, cache: Path) -> None:
        self.path = cache / "timings.json"
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            found = []
        rows = found if isinstance(found, list) else []
        self.rows: list[dict[str, Any]] = [r for r in rows if isinstance(r, dict) and set(r) == set(self.FIELDS)]

    def add(self, record: Record, run: Run) -> None:
        """Remember a finished run: seconds of training a frame, and of all that follows from it."""
        frames, spent = record.training["frames"], record.timing
        overhead = sum(spent.get(stage, 0.0) for stage in ("build", "compile", "freeze", "probe"))
        step = spent.get("train", 0.0) / frames if frames else 0.0
        values = (run.method_name, run.dataset_name, _pixels(run), record.provenance["threads"], step, overhead)
        self.rows = [*self.rows, dict(zip(self.FIELDS, values, strict=True))][-REMEMBERED:]
        with suppress(OSError):
            write_atomically(self.path, json.dumps(self.rows).encode())

    def seconds(self, run: Run, cores: int) -> tuple[float, bool]:
        """(seconds, from measurements?) for a run: the same method on this data set, else on frames of this size."""
        mine = [row for row in self.rows if row["method"] == run.method_name and row["threads"] == cores]
        near = [row for row in mine if row["dataset"] == run.dataset_name]
        near = near or [row for row in mine if row["pixels"] == _pixels(run)]
        frames = run.training.frames if run.method.trains else 0
        if not near:
            return frames * _pixels(run) * SECONDS_PER_PIXEL + OVERHEAD, False
        return frames * median(row["step"] for row in near) + median(row["overhead"] for row in near), True


def _pixels(run: Run) -> int:
    return prod(run.dataset.spec().frame_shape)


def estimate(items: Iterable[Item], cache: Path, lanes: int = 1) -> Estimate:
    """The time that a plan takes on this machine, its cores shared by `lanes` runs at once."""
    timings, times, measured, cores = Timings(cache), {}, 0, max(1, threads() // lanes)
    to_do = [item for item in items if item.to_do]
    for item in to_do:
        seconds, known = timings.seconds(item.run, cores)
        times[item.run.path] = OVERHEAD / 2 if item.state == "reprobe" else seconds
        measured += known
    sources = {item.run.dataset_name: item.run.dataset for item in to_do}
    steps = sum(dataset.missing(cache)[1] for dataset in sources.values())
    return Estimate(times, steps / (COLLECT_RATE * threads()), measured, cores, lanes)
