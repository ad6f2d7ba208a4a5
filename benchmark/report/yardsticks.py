"""What is reached without a model: rows below a table, by which its errors and masks are to be judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from math import isclose

from benchmark.records import digest
from benchmark.report.captions import listed
from benchmark.report.comparison import Measure, scaled
from benchmark.report.scores import Entrant, Scores
from benchmark.report.statistics import Summary, summarise
from benchmark.report.table import Cell, Row, Table

BY_COLOUR = "Colour k-means clusters the pixels of a frame by their colours: what masks are worth without a model."


def with_yardsticks(table: Table, measured: Iterable[tuple[Scores, Measure]], note: str = "") -> Table:
    """Rows below: what is reached without a model, in the columns of one data set to which it belongs.

    The note is by default how they get there.
    """
    known: dict[tuple[str, str], dict[str, Summary]] = {}
    alone = [(scores, measure) for scores, measure in measured if len(measure.over) == 1]
    for what, (name, how, find) in WITHOUT_MODEL.items():
        fitting = [pair for pair in alone if (pair[1].metric.removesuffix("_own"), pair[1].target) == what]
        for scores, measure in fitting:
            if value := find(scores.restricted(measure.over)):
                known.setdefault((name, how), {})[measure.column.full_title] = value
    rows = [
        Row(name, tuple(Cell(values.get(column.full_title)) for column in table.columns), summary=True)
        for (name, _), values in known.items()
    ]
    told = (note or f"Last rows: what is reached without a model, by {listed(how for _, how in known)}.",)
    return replace(table, rows=(*table.rows, *rows), notes=(*table.notes, *told) if rows else table.notes)


def by_colour(scores: Scores) -> Summary | None:
    """FG-ARI of clustering a frame's pixels by their colours, in per cent."""
    (dataset,) = scores.datasets
    return _of_data(scores, lambda e, seed: scores.value(e, dataset, seed, "fg_ari", "pixels", "colour-kmeans"))


def painted(scores: Scores, name: str) -> Summary | None:
    """An error that the decoder's probe notes, of a painter that sees no slot."""
    (dataset,) = scores.datasets
    return _of_data(scores, lambda e, seed: scores.runs[e, dataset, seed].notes.get("decoder", {}).get(name))


def _of_data(scores: Scores, value: Callable[[Entrant, int], float | None]) -> Summary | None:
    """Times 100, what depends on the data and not on the method: the first run of a seed that has it stands for all.

    Of the first entrant's settings of the data set, where others ran on it with others. Without a standard error where
    no seed changes it, by more than rounding.
    """
    (dataset,) = scores.datasets
    known = [
        (run.seed, digest(run.configuration.get("dataset")), one)
        for entrant in scores.entrants()
        for run in scores.of_seeds(entrant, dataset)
        if (one := value(entrant, run.seed)) is not None
    ]
    firsts = {seed: one for seed, settings, one in reversed(known) if settings == known[0][1]}
    found = summarise([firsts[seed] for seed in sorted(firsts)])
    if found and isclose(min(firsts.values()), max(firsts.values()), rel_tol=1e-5):
        found = replace(found, se=None)
    return scaled(found, 100.0) if found else None


CLUSTERED = ("colour k-means", "clustering the pixels of a frame by their colours", by_colour)

WITHOUT_MODEL: dict[tuple[str, str], tuple[str, str, Callable[[Scores], Summary | None]]] = {
    ("mse", "p1"): ("previous frame", "the frame before", partial(painted, name="previous_frame_mse")),
    ("mse", "s"): ("mean frame", "the mean of the training frames", partial(painted, name="mean_image_mse")),
    ("fg_ari", "s"): CLUSTERED,
    ("fg_ari", "attention"): CLUSTERED,
}
"""By metric and target: who gets there without a slot, how, and its value in the scores of one data set."""
