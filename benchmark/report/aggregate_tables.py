"""One number a method over many data sets: interquartile mean, average rank, and who improves on whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np

from benchmark.report.apart import MEANING, apart
from benchmark.report.bootstrap import (
    FEW_SEEDS,
    Estimate,
    average_rank,
    bootstrap,
    iqm,
    probability_of_improvement,
)
from benchmark.report.captions import caption, footnotes, provenance
from benchmark.report.scores import Entrant, Scores
from benchmark.report.statistics import Summary
from benchmark.report.table import Cell, Column, Row, Table
from benchmark.types import Float

METRIC = "r2_ridge"
"""What methods are compared by over data sets; higher is better."""

Samples = Mapping[Entrant, Float[np.ndarray, "_ d"]]
"""Seeds by data sets."""


def aggregated(scores: Scores) -> tuple[str, ...]:
    """The data sets of a mean on which the metric is possible."""
    possible = scores.possible(METRIC)
    return tuple(dataset for dataset in scores.averaged if dataset in possible)


def samples(scores: Scores) -> Samples:
    """The scores of each method that has a seed with all of these, and saw the frames that most saw."""
    datasets, everyone = aggregated(scores), scores.entrants()
    others = apart(scores, everyone, datasets)
    found = {e: scores.complete(e, datasets, METRIC) for e in everyone if e not in others} if datasets else {}
    return {entrant: np.array([*by_seed.values()]) for entrant, by_seed in found.items() if by_seed}


def tables(scores: Scores) -> list[Table]:
    """None with fewer than two data sets, of which nothing is aggregated, or fewer than two methods."""
    known = samples(scores)
    if len(known) < 2 or len(aggregated(scores)) < 2:
        return []
    return [_aggregates(scores, known), _improvement(scores, known)]


def _aggregates(scores: Scores, known: Samples) -> Table:
    lead = (
        f"Over {len(aggregated(scores))} data sets: mean, interquartile mean (of the middle half of all runs) and "
        "average rank (1 is the best; of the means over seeds, floor and ceiling among them) of slot accuracy, "
        "standardised (R² of ridge regression on test). The mean's interval is Student's t over seeds, the others' "
        f"{BOOTSTRAP}."
    )
    rows = []
    for entrant in scores.entrants():
        if entrant not in known:
            rows.append(Row(entrant.title, (Cell(), Cell(), Cell()), method=entrant.method))
            continue
        mean = scores.mean(entrant, aggregated(scores), METRIC)
        rank = bootstrap([*known.values()], partial(average_rank, [*known].index(entrant)))
        middle = bootstrap([known[entrant]], iqm)
        n, runs = len(known[entrant]), scores.paths(entrant, aggregated(scores))
        cells = (Cell(mean, bounds=mean.interval() if mean else None, runs=runs), _cell(middle, n), _cell(rank, n))
        rows.append(Row(entrant.title, cells, method=entrant.method))
    heads = (Column("mean R²", 2), Column("IQM of R²", 2), Column("average rank", 1))
    return _table("aggregates", lead, scores, known, heads, rows)


def _improvement(scores: Scores, known: Samples) -> Table:
    lead = (
        "The chance that a run of the row's method beats one of the column's on the same data set, by slot accuracy, "
        f"standardised (R² of ridge regression on test), averaged over {len(aggregated(scores))} data sets; a tie "
        f"counts half. In brackets {BOOTSTRAP}."
    )
    pairs: dict[tuple[Entrant, Entrant], Estimate] = {}
    for ours, theirs in combinations(known, 2):
        pairs[ours, theirs] = bootstrap([known[ours], known[theirs]], probability_of_improvement)
        pairs[theirs, ours] = pairs[ours, theirs].complement()
    rows = [
        Row(
            ours.title,
            tuple(_cell(pairs[ours, theirs], len(known[ours])) if ours != theirs else Cell() for theirs in known),
            method=ours.method,
        )
        for ours in known
    ]
    heads = tuple(Column(f"over {entrant.title}", 2) for entrant in known)
    return _table("improvement", lead, scores, known, heads, rows)


def _table(
    name: str, lead: str, scores: Scores, known: Samples, heads: tuple[Column, ...], rows: Sequence[Row]
) -> Table:
    text, seeds, below = caption(lead, scores, spread=False), len(scores.seeds), _notes(scores, known)
    return Table(name, text, "method", heads, tuple(rows), seeds, below, provenance(scores))


BOOTSTRAP = "95 % of a bootstrap over seeds within each data set"


def _notes(scores: Scores, known: Samples) -> tuple[str, ...]:
    """What to beware of."""
    counts = {*map(len, known.values())}
    few = f"Fewer than {FEW_SEEDS} seeds: the bootstrap's intervals cover less than they say."
    others = apart(scores, scores.entrants(), aggregated(scores))
    without = [entrant.title for entrant in scores.entrants() if entrant not in known and entrant not in others]
    missing = f"Dash: no seed of it has every data set ({', '.join(without)})." if without else ""
    elsewhere = f"Left out: {', '.join(sorted(e.title for e in others))}, {MEANING}" if others else ""
    none = "One seed has no interval, nor has a rank or a chance in which it counts." if 1 in counts else ""
    part = "In round brackets: how many seeds have every data set." if min(counts) < len(scores.seeds) else ""
    beware = few if any(1 < count < FEW_SEEDS for count in counts) else ""
    shown = {(dataset, "linear") for dataset in aggregated(scores)}
    found = (beware, none, part, missing, elsewhere, *footnotes(scores, scores.entrants(), shown))
    return tuple(filter(None, found))


def _cell(found: Estimate, seeds: int) -> Cell:
    return Cell(Summary(found.value, None, seeds), bounds=found.bounds)
