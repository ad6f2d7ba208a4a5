"""What tables of one paper and another share: methods as rows, measures as columns, the paper's values beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from benchmark.report.apart import apart
from benchmark.report.captions import caption, notes, provenance
from benchmark.report.collapse import collapsed
from benchmark.report.scores import Entrant, Scores
from benchmark.report.statistics import LEVEL, Summary, differences, holm, paired
from benchmark.report.table import Cell, Column, Row, Table, strongest

Published = Mapping[str, float]
"""A paper's values by method."""

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
    probe: str = "linear"
    scale: float = 1.0
    best: Callable[..., Any] = max
    """`min` for an error."""
    paper_se: Published = field(default_factory=dict)
    like_the_paper: bool = True
    """Are the paper's values of these data sets?"""

    @property
    def what(self) -> tuple[str, str, str]:
        """As `Scores.value` takes it."""
        return self.metric, self.target, self.probe

    @property
    def places(self) -> set[tuple[str, str]]:
        """The data sets, and the probe that was asked there."""
        return {(dataset, self.probe) for dataset in self.over}

    def complete(self, scores: Scores, entrant: Entrant) -> dict[int, list[float]]:
        """As `Scores.complete` has it."""
        return scores.complete(entrant, self.over, *self.what)

    def of(self, scores: Scores, entrant: Entrant) -> Summary | None:
        """What it comes to for a method."""
        found = scores.mean(entrant, self.over, *self.what)
        return scaled(found, self.scale) if found else None

    def differences(self, scores: Scores, one: Entrant, other: Entrant) -> list[float]:
        """Of one method from another, in pairs of the same seed or data set, as `statistics.differences` has them."""
        return differences(*(self.complete(scores, entrant) for entrant in (one, other)))

    def covered(self, scores: Scores, entrant: Entrant) -> tuple[int, int] | None:
        """On how many of the data sets a method has a value; None where that tells nothing."""
        known = sum(bool(scores.complete(entrant, (dataset,), *self.what)) for dataset in self.over)
        return (known, len(self.over)) if known and len(self.over) > 1 else None


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
    """A row a method, the paper's `methods` and all others (none where `closed`); the best of a column is bold.

    Columns in which no method has a value, here or in the paper, are left out where others have some.
    A method that was not run has a row where a paper's value stands in it.
    """
    known = {method for method, _, _ in scores.runs}
    known |= {e for e in scores.entrants(methods) if any(e.method in measure.paper for measure in measures)}
    entrants = [e for e in scores.entrants(methods) if e in known and (e.method in methods or not closed)]
    found = [(measure.column, cells(scores, entrants, measure)) for measure in measures]
    found = [(head, column) for head, column in found if any(c.ours or c.paper is not None for c in column)] or found
    heads, columns = tuple(head for head, _ in found), [column for _, column in found]
    rows = tuple(
        Row(entrant.title, tuple(row), method=entrant.method)
        for entrant, row in zip(entrants, zip(*columns, strict=True), strict=True)
    )
    compared = {head.full_title: column for head, column in zip(heads, columns, strict=True)}
    below = notes(scores, entrants, compared, {place for measure in measures for place in measure.places}, bold)
    text, seeds, origin = caption(lead, scores), len(scores.seeds), provenance(scores)
    return beside_the_papers(Table(name, text, "method", heads, rows, seeds, below, origin))


def beside_the_papers(table: Table) -> Table:
    """Papers' values, and the distance from them, stand in those columns alone in which a cell has one."""
    heads = []
    for i, column in enumerate(table.columns):
        found = [row.cells[i] for row in table.rows]
        theirs, far = any(c.paper is not None for c in found), any(c.distance is not None for c in found)
        heads.append(replace(column, paper=theirs, distance=far))
    return replace(table, columns=tuple(heads))


def cells(scores: Scores, entrants: Sequence[Entrant], measure: Measure) -> tuple[Cell, ...]:
    """What a measure comes to for each method, the best of those that saw the same frames, and the paper's value.

    A paper's value belongs to the method as the paper has it, not to another variant of it.
    """
    values = [measure.of(scores, entrant) for entrant in entrants]
    others = apart(scores, entrants, measure.over)
    compared = [measure.compared and entrant.role != "ceiling" and entrant not in others for entrant in entrants]
    best = strongest(values, compared, measure.column.decimals, measure.best)
    alike = _not_worse(scores, entrants, measure, values, compared)
    found = []
    for i, (entrant, value) in enumerate(zip(entrants, values, strict=True)):
        as_published = entrant.variant in AS_IN_PAPERS
        meant = scores.of_these(measure.complete(scores, entrant)) if value and value.n < len(scores.seeds) else scores
        found.append(
            Cell(
                value,
                measure.paper.get(entrant.method) if as_published else None,
                best[i],
                measure.paper_se.get(entrant.method) if as_published else None,
                alike=alike.get(i),
                collapsed=collapsed(meant, entrant, measure.over),
                apart=measure.compared and entrant in others,
                covered=None if value else measure.covered(scores, entrant),
                like_the_paper=measure.like_the_paper,
                runs=meant.paths(entrant, measure.over),
            )
        )
    return tuple(found)


def _not_worse(
    scores: Scores,
    entrants: Sequence[Entrant],
    measure: Measure,
    values: Sequence[Summary | None],
    compared: Iterable[bool],
) -> dict[int, bool]:
    """Which are not significantly worse than the best, of those that can be tested: by paired t-tests and Holm.

    Nor is one that is better than it on the seeds that both have.
    """
    means = {i: value.mean for i, (value, may) in enumerate(zip(values, compared, strict=True)) if value and may}
    if len(means) < 2:
        return {}
    top = measure.best(means, key=means.__getitem__)
    pairs = {i: measure.differences(scores, entrants[i], entrants[top]) for i in means if i != top}
    known = {i: p for i, found in pairs.items() if (p := paired(found)) is not None}
    better = {i for i in known if measure.best(mean := fmean(pairs[i]), 0.0) == mean}
    return {i: i in better or p >= LEVEL for i, p in zip(known, holm([*known.values()]), strict=True)}
