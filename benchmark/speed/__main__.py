"""The command `python -m benchmark.speed`: one training step, measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmark.machine import tune_allocator


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options. Raises UserError for a mistake."""
    from benchmark.options import Parser

    parser = Parser(prog="python -m benchmark.speed", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("method", metavar="METHOD")
    add("dataset", metavar="DATASET")
    add("--batch", type=int, required=True, metavar="N", help="training samples a step: clips, or pairs of frames")
    add("--steps", type=int, default=30, metavar="M", help="steps of each seed (default: 30)")
    add("--seeds", type=int, default=1, metavar="S", help="seeds 0 to S-1, one after the other (default: 1)")
    add("--seeds-together", type=int, default=1, metavar="N", help="seeds 0 to N-1, in one program (default: 1)")
    add("--devices", type=int, default=1, metavar="N", help="share every batch among N devices (default: 1)")
    add("--budget", default="smoke", help="whose data set is taken: smoke (default), quick or paper")
    add("--plugin", action="append", default=[], metavar="P", help="a file or module that registers one of them")
    add("--set", action="append", default=[], metavar="K=V", help="a field, as for run_benchmark.py")
    add("--breakdown", action="store_true", help="the parts of the step too")
    add("--json", action="store_true", help="one line of JSON, the last that is printed")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code, 2 for a user's mistake."""
    from benchmark.errors import UserError

    try:
        speed(parse(arguments))
    except UserError as error:
        print(f"benchmark.speed: {error}", file=sys.stderr)
        return 2
    return 0


def speed(options: argparse.Namespace) -> None:
    """Carry out one command. Raises UserError for a mistake."""
    from benchmark.devices import check_share, mesh
    from benchmark.machine import cache_folder, set_up_jax, summary
    from benchmark.plugins import load_plugins
    from benchmark.speed.breakdown import breakdown
    from benchmark.speed.step import load, measure

    load_plugins(options.plugin)
    runs, cache = wanted_runs(options), cache_folder()
    check_share(options.batch, options.devices, f"{options.method} on {options.dataset}")
    set_up_jax(cache)
    print(summary())
    splits = load(runs[0], cache)
    found = measure(runs, splits, mesh(options.devices), options.seeds_together > 1)
    if options.breakdown:
        found["breakdown_ms"] = breakdown(runs[0], splits, options.steps)
    print(json.dumps(found) if options.json else describe(found))


def wanted_runs(options: argparse.Namespace) -> list[Any]:
    """A run a seed, on the data set as its suite's budget has it. Raises UserError for an unknown name or value."""
    from benchmark import plan
    from benchmark.configure import Configuration, parse_overrides
    from benchmark.errors import UserError
    from benchmark.grid import check_used
    from benchmark.registry import datasets, methods
    from benchmark.speed.step import WARM_UP
    from benchmark.suites import suite_with

    for name, least in (("batch", 1), ("steps", WARM_UP + 2), ("seeds", 1), ("seeds_together", 1), ("devices", 1)):
        if getattr(options, name) < least:
            raise UserError(f"--{name.replace('_', '-')} {getattr(options, name)}; it must be at least {least}")
    if options.seeds_together > 1 and options.seeds > 1:
        raise UserError("--seeds trains one after the other, --seeds-together all at once; leave one of them out")
    methods.entry(options.method), datasets.entry(options.dataset)  # raise for a name that is not known
    overrides = tuple(parse_overrides(options.set))
    wanted = Configuration(suite_with("datasets", options.dataset), options.budget, overrides)
    runs = plan.runs(wanted, [options.method], [options.dataset], max(options.seeds, options.seeds_together))
    for override in overrides:
        check_used(override, runs)
        if override.place == "training" and override.field in ("steps", "frames_per_step"):
            raise UserError(f"--set {override.text!r}: --steps and --batch say how much is trained here")
    method, spec = runs[0].method, runs[0].dataset.spec()
    if reason := method.supports(spec) or (None if method.trains else "it does not train"):
        raise UserError(f"{options.method} cannot be timed on {options.dataset}: {reason}")
    frames = options.batch * runs[0].trained.window(spec)
    return [replace(run, training=replace(run.training, steps=options.steps, frames_per_step=frames)) for run in runs]


def describe(found: dict[str, Any]) -> str:
    """One figure a line, to be read."""
    return "\n".join(f"{name:>30}  {value}" for name, value in found.items())


if __name__ == "__main__":
    tune_allocator()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
