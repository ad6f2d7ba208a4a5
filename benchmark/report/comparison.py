"""What tables of one paper and another share: methods as rows, measures as columns, the paper's values beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from benchmark.report.captions import caption, notes
from benchmark.report.scores import Entrant, Scores
from benchmark.report.statistics import Summary
from benchmark.report.table import Cell, Column, Row, Table, strongest

__all__ = ["Measure", "Published", "by_method", "cells_of"]

Published = Mapping[str, float]
"""A paper's values by method."""

NOTHING: Published = MappingProxyType({})

AS_IN_PAPERS = ("", "probe_protocol=joint")
"""Variants that a paper's values may stand beside: the defaults, and probes that learn while the encoder does."""


@dataclass(frozen=True)
class Measure:
    """A metric averaged over some data sets: one column of a table whose rows are methods.

    `target` and `probe` are as `Scores.value` takes them. Values are shown times `scale`.
    """

    metric: str
    column: Column
    over: tuple[str, ...]
    paper: Published = field(default_factory=dict)
    compared: bool = True
    """False for a floor, of which none is the best."""
    target: str = "all"
    probe: str = ""
    scale: float = 1.0
    best: Callable[[Iterable[float]], float] = max
    """`min` for an error."""
    paper_se: Published = field(default_factory=dict)

    def of(self, scores: Scores, entrant: Entrant) -> Summary | None:
        """What it comes to for a method."""
        found = scores.mean(entrant, self.over, self.metric, self.target, self.probe)
        return scaled(found, self.scale) if found else None


def scaled(value: Summary, scale: float) -> Summary:
    """The same in another unit."""
    return replace(value, mean=value.mean * scale, se=None if value.se is None else value.se * scale)


def by_method(
    name: str,
    lead: str,
    scores: Scores,
    methods: tuple[str, ...],
    measures: Sequence[Measure],
    closed: bool = False,
    bold: str = "the highest",
) -> Table:
    """A row a method, the paper's `methods` and all others (none where `closed`); the best of a column is bold."""
    entrants = [entrant for entrant in scores.entrants(methods) if entrant.method in methods or not closed]
    columns = []
    for measure in measures:
        compared = [measure.compared and entrant.role != "ceiling" for entrant in entrants]
        values = [measure.of(scores, entrant) for entrant in entrants]
        best = strongest(values, compared, measure.column.decimals, measure.best)
        columns.append(cells_of(entrants, values, best, measure.paper, measure.paper_se))
    rows = tuple(Row(e.title, tuple(cells)) for e, cells in zip(entrants, zip(*columns, strict=True), strict=True))
    heads = tuple(measure.column for measure in measures)
    return Table(name, caption(lead, scores), "method", heads, rows, len(scores.seeds), notes(scores, bold))


def cells_of(
    entrants: Sequence[Entrant],
    values: Sequence[Summary | None],
    best: Sequence[bool],
    paper: Published,
    errors: Published = NOTHING,
) -> tuple[Cell, ...]:
    """A paper's value belongs to the method as the paper has it, not to another variant of it."""
    theirs = [
        (paper.get(entrant.method), errors.get(entrant.method)) if entrant.variant in AS_IN_PAPERS else (None, None)
        for entrant in entrants
    ]
    return tuple(Cell(value, mean, bold, se) for value, bold, (mean, se) in zip(values, best, theirs, strict=True))
