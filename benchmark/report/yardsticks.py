"""What is reached without a model: rows below a table, by which its errors and masks are to be judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isclose

from benchmark.report.captions import listed
from benchmark.report.comparison import scaled
from benchmark.report.scores import Entrant, Scores
from benchmark.report.statistics import Summary, summarise
from benchmark.report.table import Cell, Row, Table

BY_COLOUR = "Colour k-means clusters the pixels of a frame by their colours: what masks are worth without a model."

WITHOUT_MODEL = {
    "previous frame": "the frame before",
    "mean frame": "the mean of the training frames",
    "colour k-means": "clustering the pixels of a frame by their colours",
}
"""Painters and clusterers that see no slot, and how each gets there."""


Reached = Mapping[str, Mapping[str, Summary | None]]
"""Without a model: by one of its names, in the columns of these full titles; None where it is not known."""


def with_yardsticks(table: Table, found: Reached, note: str = "") -> Table:
    """Rows below: what is reached without a model; none of a name of which nothing is known.

    The note is by default how they get there.
    """
    known = {name: values for name, values in found.items() if any(values.values())}
    rows = [
        Row(name, tuple(Cell(values.get(column.full_title)) for column in table.columns), summary=True)
        for name, values in known.items()
    ]
    ways = listed(how for name, how in WITHOUT_MODEL.items() if name in known)
    told = (note or f"Last rows: what is reached without a model, by {ways}.",)
    return replace(table, rows=(*table.rows, *rows), notes=(*table.notes, *told) if rows else table.notes)


def by_colour(scores: Scores) -> Summary | None:
    """FG-ARI of clustering a frame's pixels by their colours, in per cent."""
    (dataset,) = scores.datasets
    return _of_data(scores, lambda e, seed: scores.value(e, dataset, seed, "fg_ari", "pixels", "colour-kmeans"))


def painted(scores: Scores, name: str) -> Summary | None:
    """An error that the decoder's probe notes, of a painter that sees no slot."""
    (dataset,) = scores.datasets

    def noted(entrant: Entrant, seed: int) -> float | None:
        record = scores.runs.get((entrant, dataset, seed))
        return record.notes.get("decoder", {}).get(name) if record else None

    return _of_data(scores, noted)


def _of_data(scores: Scores, value: Callable[[Entrant, int], float | None]) -> Summary | None:
    """Times 100, what depends on the data and not on the method: the first run of a seed that has it stands for all.

    Without a standard error where no seed changes it, by more than rounding.
    """
    by_seed = [[one for e in scores.entrants() if (one := value(e, seed)) is not None] for seed in scores.seeds]
    firsts = [values[0] for values in by_seed if values]
    found = summarise(firsts)
    if found and isclose(min(firsts), max(firsts), rel_tol=1e-5):
        found = replace(found, se=None)
    return scaled(found, 100.0) if found else None
