"""A table for each probe that no suite names, a user's own: every method by all that the probe measures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import floor, log10

from benchmark.records import Record
from benchmark.report.captions import listed
from benchmark.report.comparison import Measure, by_method
from benchmark.report.scores import Entrant, Scores
from benchmark.report.table import Column, Table
from benchmark.suites import SUITES

WIDEST = 8
"""Columns of a table at most."""

BEST = {True: max, False: min}


def tables(scores: Scores) -> list[Table]:
    """One a probe, in the order of their names."""
    claimed = {name for suite in SUITES.values() for name in suite.probes}
    rows = [(record, row) for record in scores.runs.values() for row in record.metrics if row["split"] == "test"]
    asked = {row["probe"] for record, row in rows if row["probe"] in record.probes} - claimed
    return [_of(probe, replace(scores, runs=_concerned(probe, scores))) for probe in sorted(asked)]


def _concerned(probe: str, scores: Scores) -> dict[tuple[Entrant, str, int], Record]:
    """The runs that the probe was asked of, also where it failed."""
    return {
        key: record
        for key, record in scores.runs.items()
        if probe in record.probes or probe in record.notes.get("failed_probes", ())
    }


def _of(probe: str, scores: Scores) -> Table:
    """Its metrics, averaged over the data sets that have them; parts, such as coordinates, where there is no whole.

    What is undefined everywhere has no column, unless there is nothing else.
    """
    rows = [row for record in scores.runs.values() for row in record.metrics if row["probe"] == probe]
    found = {(row["metric"], row["target"]): row["higher_is_better"] for row in rows if row["split"] == "test"}
    found = {what: better for what, better in found.items() if scores.possible(*what, probe)} or found
    values = {what: [row["value"] for row in rows if (row["metric"], row["target"]) == what] for what in found}
    whole = {metric for metric, target in found if target == "all"}
    shown = [what for what in found if what[1] == "all" or what[0] not in whole][:WIDEST]
    measures = []
    for metric, target in shown:
        over = scores.possible(metric, target, probe)
        title = metric if target == "all" else f"{metric} {target}"
        which = f"mean of {len(over)}" if len(over) > 1 else listed(over)
        better = found[metric, target]
        measures.append(
            Measure(
                metric,
                Column(title, _decimals(values[metric, target]), group=which),
                over,
                compared=better is not None,
                target=target,
                probe=probe,
                best=BEST.get(better, max),
            )
        )
    left_out = len(found) - len(shown)
    several = "each a mean over data sets: " if len(scores.datasets) > 1 else "on "
    lead = f"What probe {probe} measures on the test split, {several}{listed(scores.datasets)}."
    lead += f" {left_out} more of its numbers are in metrics.csv." if left_out else ""
    return by_method(f"probe-{probe}", lead, scores, (), measures, bold="the better by the probe's own word,")


def _decimals(values: Iterable[float | None]) -> int:
    """Three; of very small or large numbers as many as show three digits of the largest."""
    largest = max((abs(value) for value in values if value), default=1.0)
    return 3 if 0.01 <= largest < 1000 else min(max(2 - floor(log10(largest)), 0), 12)
