"""The command `python -m benchmark.speed.scale METHOD DATASET`: how a step's cost grows with the batch, the slots, ...

Each point is a process of its own, `python -m benchmark.speed`: the number of simulated devices is fixed when JAX
starts, and so is the peak of memory one process's. A cost that is proportional has slope 1 on logarithmic axes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import linear_regression
from typing import Any

from benchmark.errors import UserError, unknown
from benchmark.machine import ALLOCATOR, ROOT, writable
from benchmark.options import Parser
from benchmark.records import write_atomically

AXES: dict[str, tuple[int, ...]] = {
    "batch": (64, 128, 256, 512, 1024),
    "slots": (2, 4, 8, 18),
    "objects": (2, 3, 4),
    "seeds": (1, 2, 4, 8),
    "devices": (1, 2, 4, 8),
}
"""What can be varied, and where to if nothing is said."""
OBJECTS = ("num_objects", "num_balls")
"""How data sets call their number of objects."""
TOLERANCE = 0.15
"""By how much the slope of the time may be above that of the arithmetic before it is remarked on."""


@dataclass(frozen=True)
class Point:
    """What a step took with an axis at a value; `found` is what `benchmark.speed` says, None where it failed."""

    axis: str
    value: int
    found: Mapping[str, Any] | None
    failure: str = ""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options. Raises UserError for a mistake."""
    parser = Parser(prog="python -m benchmark.speed.scale", allow_abbrev=False)
    add = parser.add_argument
    add("method", metavar="METHOD")
    add("dataset", metavar="DATASET")
    add("--over", action="append", default=[], metavar="AXIS=A,B", help=f"{', '.join(AXES)} (default: all that apply)")
    add("--batch", type=int, default=64, metavar="N", help="training samples a step where they do not vary (64)")
    add("--steps", type=int, default=15, metavar="M", help="steps a point (15)")
    add("--budget", default="smoke", help="whose data set is taken: smoke (default), quick or paper")
    add("--plugin", action="append", default=[], metavar="P", help="a file or module that registers one of them")
    add("--set", action="append", default=[], metavar="K=V", help="a field, as for run_benchmark.py")
    add("--out", type=Path, default=ROOT / "results" / "local" / "speed", metavar="DIR", help="table and plot")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and draw; returns the exit code: 1 if a point failed, 2 for a user's mistake."""
    try:
        return scale(parse(arguments))
    except UserError as error:
        print(f"benchmark.speed.scale: {error}", file=sys.stderr)
        return 2


def scale(options: argparse.Namespace) -> int:
    """Carry out one command. Raises UserError for a mistake."""
    from benchmark.plugins import load_plugins
    from benchmark.report.drawing import save, style
    from benchmark.speed import __main__ as speed

    load_plugins(options.plugin)
    axes = chosen(options)
    speed.wanted_runs(speed.parse(common(options)))  # a mistake is told before any point is measured
    out = writable(options.out, "the folder for the table", "choose another with --out")
    wanted, points = [(axis, value) for axis, values in axes.items() for value in values], []
    for number, (axis, value) in enumerate(wanted, 1):
        points.append(point := measured(options, axis, value))
        told = f"{point.found['ms_per_step']:.1f} ms a step" if point.found else point.failure
        print(f"[{number}/{len(wanted)}] {axis} {value}: {told}", flush=True)
    name, title = f"scale-{options.method}-{options.dataset}", f"{options.method} on {options.dataset}"
    text = table(points, title)
    write_atomically(out / f"{name}.md", text.encode())
    write_atomically(out / f"{name}.csv", as_csv(points).encode())
    print(f"\n{text}")
    if any(point.found for point in points):
        with style():
            save(plot(points), out / name)
    print(f"{out / name}.md, .csv, .png, .pdf")
    return 1 if any(point.failure for point in points) else 0


def chosen(options: argparse.Namespace) -> dict[str, tuple[int, ...]]:
    """The axes to vary and their values. Raises UserError for one that is not known or does not apply."""
    from benchmark.registry import datasets, methods

    methods.entry(options.method), datasets.entry(options.dataset)  # raise for a name that is not known
    if not options.over:
        return {axis: values for axis, values in AXES.items() if _applies(options, axis)}
    axes = {}
    for text in options.over:
        axis, _, values = text.partition("=")
        if axis not in AXES:
            raise unknown("axis in --over", axis, AXES)
        parts = values.split(",") if values else [str(value) for value in AXES[axis]]
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise UserError(f"--over {text}: write whole numbers of at least 1, such as --over batch=64,128")
        if not _applies(options, axis):
            raise UserError(f"--over {text}: neither {options.method} nor {options.dataset} has a number of {axis}")
        axes[axis] = tuple(map(int, parts))
    return axes


def _applies(options: argparse.Namespace, axis: str) -> bool:
    return bool(arguments_for(options, axis, 1))


def arguments_for(options: argparse.Namespace, axis: str, value: int) -> list[str]:
    """What sets an axis to a value on the command line of `benchmark.speed`; nothing if it does not apply."""
    from benchmark.registry import datasets, methods

    theirs, preset = datasets.entry(options.dataset)
    free = {field.name for field in fields(theirs)} - set(preset)
    own = {field.name for field in fields(methods.entry(options.method)[0])}
    if axis in ("slots", "objects"):
        names = ("num_slots",) if axis == "slots" else OBJECTS
        places = [f"datasets.{options.dataset}.{name}" for name in names if name in free]
        if axis == "slots" and "num_slots" in own:
            places.append(f"methods.{options.method}.num_slots")
        return ["--set", f"{places[0]}={value}"] if places else []
    return [{"batch": "--batch", "seeds": "--seeds-together", "devices": "--devices"}[axis], str(value)]


def common(options: argparse.Namespace) -> list[str]:
    """The command line of `benchmark.speed` that all points share."""
    given = ["--batch", str(options.batch), "--steps", str(options.steps), "--budget", options.budget]
    plugins = [str(Path(each).resolve()) if Path(each).is_file() else each for each in options.plugin]
    listed = (("--set", options.set), ("--plugin", plugins))
    return [options.method, options.dataset, *given, *(p for name, texts in listed for t in texts for p in (name, t))]


def measured(options: argparse.Namespace, axis: str, value: int) -> Point:
    """Run `benchmark.speed` for one point."""
    given = [*common(options), *arguments_for(options, axis, value), "--json"]
    command = [sys.executable, "-m", "benchmark.speed", *given]
    environment = os.environ | {"GLIBC_TUNABLES": ALLOCATOR}
    if axis == "devices":  # counts only where JAX finds no accelerator
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={value}"
        environment["XLA_FLAGS"] = flags.strip()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return Point(axis, value, None, lines[-1])
    return Point(axis, value, json.loads(done.stdout.splitlines()[-1]))


def slope(values: Sequence[float], costs: Sequence[float | None]) -> float | None:
    """Of log(cost) against log(value) by least squares; None for fewer than two points with a cost above 0."""
    known = [(math.log(value), math.log(cost)) for value, cost in zip(values, costs, strict=True) if cost]
    if len({x for x, _ in known}) < 2:
        return None
    return linear_regression(*zip(*known, strict=True)).slope


def slopes(points: Sequence[Point]) -> tuple[float | None, float | None]:
    """Of the time of a step, and of its arithmetic as XLA counts it, along one axis."""
    found = [(point.value, point.found) for point in points if point.found]
    values = [value for value, _ in found]
    time, arithmetic = (slope(values, [costs[name] for _, costs in found]) for name in ("ms_per_step", "flops"))
    return time, arithmetic


def along(points: Sequence[Point]) -> dict[str, list[Point]]:
    """The points by axis."""
    return {axis: found for axis in AXES if (found := [point for point in points if point.axis == axis])}


def table(points: Sequence[Point], title: str) -> str:
    """Everything in Markdown, an axis after the other."""
    parts = [f"# The cost of a step of {title}\n"]
    for axis, found in along(points).items():
        base = next((point.found["ms_per_step"] for point in found if point.found), math.nan)
        parts.append(
            f"| {axis} | ms a step | relative | GFLOP | memory of the step, MB |\n| --: | --: | --: | --: | --: |"
        )
        parts += [_line(point, base) for point in found]
        parts.append(f"\n{_remark(*slopes(found))}\n")
    return "\n".join(parts)


def _line(point: Point, base: float) -> str:
    if point.found is None:
        return f"| {point.value} | {point.failure.replace('|', '/')} | | | |"
    milliseconds, flops, memory = (point.found[name] for name in ("ms_per_step", "flops", "step_memory_mb"))
    counted = f"{flops / 1e9:.3g}" if flops else "—"
    return f"| {point.value} | {milliseconds:.1f} | {milliseconds / base:.2f} | {counted} | {memory:.0f} |"


def _remark(time: float | None, arithmetic: float | None) -> str:
    if time is None:
        return "No slope: fewer than two points."
    if arithmetic is None:
        return f"Slope of the time {time:.2f}."
    worse = ": **grows worse than its arithmetic** (a loop's body counts once)" if time > arithmetic + TOLERANCE else ""
    return f"Slope of the time {time:.2f}, of the arithmetic {arithmetic:.2f}{worse}."


def as_csv(points: Sequence[Point]) -> str:
    """A line a point, unrounded."""
    names, text = ("ms_per_step", "flops", "step_memory_mb", "peak_memory_mb", "compile_seconds"), io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["axis", "value", *names, "failure"])
    for point in points:
        costs = [point.found[name] if point.found else None for name in names]
        lines.writerow([point.axis, point.value, *costs, point.failure])
    return text.getvalue()


def plot(points: Sequence[Point]) -> Any:
    """A panel an axis: milliseconds a step, and how they would grow with the arithmetic (dashed)."""
    from benchmark.report.drawing import COLUMN, panels

    known = {axis: [p for p in found if p.found] for axis, found in along(points).items()}
    known = {axis: found for axis, found in known.items() if found}
    figure, axes = panels(list(known), min(2, len(known)), COLUMN, 1.5)
    for axis, panel in axes.items():
        values = [point.value for point in known[axis]]
        costs = [point.found["ms_per_step"] for point in known[axis] if point.found]
        flops = [point.found["flops"] for point in known[axis] if point.found]
        panel.plot(values, costs, "o-", color="#0072b2", ms=3, lw=1, label="measured")
        if all(flops):
            panel.plot(
                values, [costs[0] * f / flops[0] for f in flops], "--", color="#d55e00", lw=1, label="arithmetic"
            )
        panel.set_xscale("log")
        panel.set_yscale("log")
        low, high = min(costs), max(costs)
        panel.set_ylim(low / 1.5, high * 1.5)
        panel.set_xticks(values, [str(value) for value in values])
        panel.set_yticks([low, high], [f"{low:.3g}", f"{high:.3g}"])
        panel.minorticks_off()
        steepness = slopes(known[axis])[0]
        panel.set_title(axis if steepness is None else f"{axis}: slope {steepness:.2f}", loc="left")
    next(iter(axes.values())).legend(frameon=False)
    figure.supylabel("ms a step", fontsize=7)
    return figure


if __name__ == "__main__":
    sys.exit(main())
