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

from benchmark.errors import answering
from benchmark.machine import FEW_STEPS, threads
from benchmark.plan import Item, Run, collecting
from benchmark.records import Record, write_atomically

SECONDS_PER_VALUE = {"nature_cnn": 5e-8, "pixelwise": 8e-7}
"""Training cost of one value of a frame by the data set's backbone, first guess: one core."""
OTHER_BACKBONES = 4e-7
SECONDS_PER_PIXEL_LEARNED = 3e-6
"""What a probe needs to learn to paint a pixel for a slot, first guess."""
OVERHEAD = 10.0
"""Seconds that a run spends on compiling, freezing and all other probes, first guess; half of it without training."""
COLLECT_RATE = 6_000.0
"""Raw emulator frames a second and core, first guess."""
REMEMBERED = 2_000


@dataclass(frozen=True)
class Estimate:
    """Seconds of each run that is to be done, the first on a data set with those of collecting its frames.

    `collecting` are those of all data sets, on all cores. `measured` runs rest on finished ones. `lanes` runs are done
    at once, each on `threads` cores.
    """

    runs: dict[Path, float]
    collecting: float
    measured: int
    threads: int
    lanes: int = 1

    @property
    def total(self) -> float:
        """Seconds of the whole plan."""
        at_once = max(1, min(self.lanes, len(self.runs)))
        longest = max(self.runs.values(), default=0.0)
        return max(longest, sum(self.runs.values()) / at_once)


class Timings:
    """Step time and overhead of finished runs on this machine, and the first guess at the overhead, in the cache.

    It is a convenience: a damaged, missing or unwritable file means that estimates are guesses, nothing else.
    """

    FIELDS = ("method", "dataset", "values", "budget", "probes", "threads", "step", "overhead", "guessed")

    def __init__(self, cache: Path) -> None:
        self.path = cache / "timings.json"
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            found = []
        rows = found if isinstance(found, list) else []
        self.rows: list[dict[str, Any]] = [r for r in rows if isinstance(r, dict) and self._whole(r)]

    def _whole(self, row: dict[str, Any]) -> bool:
        if set(row) != set(self.FIELDS) or not all(isinstance(row[name], int | float) for name in self.FIELDS[-3:]):
            return False
        return bool(row["guessed"] > 0)

    def add(self, record: Record, run: Run) -> None:
        """Remember a finished run, if all of it was timed: seconds of training a frame, and of all else.

        A few steps tell nothing of a frame's: the first one is slow, and their program is not optimised.
        """
        frames, spent = record.training["frames"], record.timing
        if frames and "train" not in spent:
            return
        step = spent["train"] / frames if frames and _paced(run) else 0.0
        stages = ("build", "compile", "freeze", "probe", *(() if step else ("train",)))
        overhead = sum(spent.get(stage, 0.0) for stage in stages)
        place = run.method_name, run.dataset_name, _values(run), run.budget, _asked(run), record.provenance["threads"]
        values = (*place, step, overhead, _guessed_overhead(run))
        self.rows = [*self.rows, dict(zip(self.FIELDS, values, strict=True))][-REMEMBERED:]
        with suppress(OSError):
            write_atomically(self.path, json.dumps(self.rows).encode())

    def seconds(self, run: Run, cores: int) -> tuple[float, bool]:
        """(seconds, from measurements?) for a run.

        A frame of training costs what it did for the method on frames of this size. All else is the first guess, which
        knows what the run's probes learn, times what was off in that guess for runs at this budget, asked these probes
        or else others, of the method or another one. Where several such runs are remembered, those of the data set and
        of as many cores count.
        """
        alike = [row for row in self.rows if row["values"] == _values(run)]
        near: dict[str, Any] = {"dataset": run.dataset_name, "threads": cores}
        same = {"probes": _asked(run), "method": run.method_name} | near
        trained = _closest([row for row in alike if row["method"] == run.method_name and row["step"]], near)
        probed = _closest([row for row in alike if row["budget"] == run.budget], same)
        frames = run.training.frames if _paced(run) else 0
        step = median(row["step"] for row in trained) if trained else _guessed_step(run)
        off = median(row["overhead"] / row["guessed"] for row in probed) if probed else 1.0
        measured = any(row["probes"] == same["probes"] for row in probed) and bool(trained or not frames)
        return frames * step + off * _guessed_overhead(run), measured


def _closest(rows: list[dict[str, Any]], wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows with the values that are wanted, the first of them first, as far as any row has them."""
    for name, value in wanted.items():
        rows = [row for row in rows if row[name] == value] or rows
    return rows


def _asked(run: Run) -> str:
    """The probes of a run, by name."""
    return ", ".join(sorted(run.probe_digests))


def _paced(run: Run) -> bool:
    """Does it train for more than the few steps that are overhead?"""
    return run.trained.trains and run.training.steps > FEW_STEPS


def _guessed_step(run: Run) -> float:
    return _values(run) * SECONDS_PER_VALUE.get(run.dataset.spec().backbone, OTHER_BACKBONES)


def _guessed_overhead(run: Run) -> float:
    return OVERHEAD + _learning(run, run.probe_digests)


def _learning(run: Run, probes: Iterable[str]) -> float:
    """Seconds, first guess, in which these probes learn to paint."""
    spec = run.dataset.spec()
    with answering("a probe that was asked how many pixels its decoder learns"):
        return sum(run.probes[name].pixels_learned(spec) for name in probes) * SECONDS_PER_PIXEL_LEARNED


def _values(run: Run) -> int:
    return prod(run.dataset.spec().frame_shape)


def estimate(items: Iterable[Item], cache: Path, lanes: int = 1) -> Estimate:
    """The time that a plan takes on this machine, its cores shared by `lanes` runs at once."""
    timings, times, measured, cores = Timings(cache), {}, 0, max(1, threads() // lanes)
    to_do = [item for item in items if item.to_do]
    for item in to_do:
        seconds, known = timings.seconds(item.run, cores)
        if item.state == "reprobe":
            seconds, known = OVERHEAD / 2 + _learning(item.run, item.probes_to_ask), False
        times[item.run.path] = seconds
        measured += known
    with answering("a data set that was asked what is missing"):
        steps = {run.path: run.dataset.missing(cache)[1] for run in collecting(to_do)}
    for path, missing in steps.items():
        times[path] += missing / (COLLECT_RATE * cores)
    return Estimate(times, sum(steps.values()) / (COLLECT_RATE * threads()), measured, cores, lanes)
