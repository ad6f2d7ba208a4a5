"""The grid of a command: all runs that its options name, and what exists of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmark import plan, tuning
from benchmark.configure import Configuration, Override, datasets_by_suite, parse_overrides, select
from benchmark.errors import UserError
from benchmark.plan import Item
from benchmark.progress import say
from benchmark.records import Record
from benchmark.registry import methods, probes

TUNING = "tuning"
"""Where, in the output folder, the runs lie that choose learning rates."""


def wanted(options: argparse.Namespace) -> list[plan.Run]:
    """All runs that the options name, suite by suite."""
    names = select("method", options.methods, methods, default=methods)
    asked = select("probe", options.probes, probes, default=())
    overrides = tuple(parse_overrides(options.set))
    grids = (
        plan.runs(Configuration(suite, options.budget, overrides, asked), names, sources, options.seeds)
        for suite, sources in datasets_by_suite(options.suite, options.datasets).items()
    )
    united = plan.united(run for grid in grids for run in grid)
    for override in overrides:
        check_used(override, united)
    return united


def named(options: argparse.Namespace) -> Callable[[Record], bool]:
    """Is a record of the methods, data sets, suites and budget that the options name, or all where they name none?"""
    lists = {"method": options.methods, "dataset": options.datasets, "suite": options.suite}
    lists["budget"] = options.shown_budget
    names = {kind: text.replace(",", " ").split() for kind, text in lists.items() if text is not None}
    wanted = {kind: some for kind, some in names.items() if "all" not in some}
    return lambda record: all(getattr(record, kind) in some for kind, some in wanted.items())


def check_used(override: Override, grid: Sequence[plan.Run]) -> None:
    """Raises UserError for a setting of a method, data set or probe that no run of the grid has."""
    if override.place != "training" and not _meant(override, grid):
        raise UserError(
            f"--set {override.text!r}: no run of this plan has {override.name!r}; name it for the plan, or leave out "
            "the setting"
        )


def _meant(override: Override, grid: Sequence[plan.Run]) -> list[Any]:
    """The methods, data sets or probes of the grid that a setting names."""
    plugins: dict[str, Iterable[tuple[str, Any]]] = {
        "methods": ((run.method_name, run.method) for run in grid),
        "datasets": ((run.dataset_name, run.dataset) for run in grid),
        "probes": (named for run in grid for named in run.probes.items()),
    }
    return [plugin for name, plugin in plugins[override.place] if override.name in ("*", name)]


def say_unused(overrides: Iterable[Override], grid: Sequence[plan.Run]) -> None:
    """A setting of all (`*`) is for those that have the field; say where none has."""
    for override in overrides:
        if override.name == "*" and not any(hasattr(one, override.field) for one in _meant(override, grid)):
            say(f"--set {override.text!r}: none of the {override.place} of this plan has that field", sys.stderr)


def runs_under(options: argparse.Namespace, folder: str) -> list[plan.Run]:
    """The runs whose records belong into that part of the output folder: the grid's, or those that tune it."""
    grid = wanted(options)
    if folder == TUNING:
        return tuning.candidates(grid)
    return tuning.tuned(grid, options.out / TUNING) if options.tune else grid


def planned(grid: list[plan.Run], out: Path, cache: Path, options: argparse.Namespace) -> list[Item]:
    """What exists of the runs and what is to be done."""
    return plan.plan(grid, out, cache, retry_failed=options.retry_failed, reprobe=options.reprobe)
