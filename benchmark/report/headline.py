"""The one comparison: every method by the main metrics of every suite that was run at a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product

from benchmark.report.captions import notes, provenance, training, warning
from benchmark.report.comparison import Measure, cells
from benchmark.report.scores import Scores
from benchmark.report.table import Column, Row, Table
from benchmark.report.yardsticks import with_yardsticks
from benchmark.suites import SUITES


def _decoded(dataset: str) -> tuple[Measure, ...]:
    """Frames decoded from the slots of a frame and from those predicted one step ahead."""
    share = partial(Measure, over=(dataset,), probe="decoder", scale=100.0)
    errors = [share("mse", Column(f"MSE {t} (1e-2)", 3), target=t, best=min) for t in ("s", "p1")]
    masks = [share("fg_ari", Column(f"FG-ARI {t} (%)", 1), target=t) for t in ("s", "p1")]
    return (*errors, *masks)


MAIN: dict[str, tuple[Measure, ...]] = {
    "atari": (
        Measure("r2_ridge", Column("R², std.", 2), ()),
        Measure("compactness_std", Column("compactness, std.", 3), ()),
        Measure("modularity_std", Column("modularity, std.", 3), ()),
    ),
    "synthetic": (*_decoded("gridworld"), *_decoded("bouncing_balls")),
    "worlds": (
        Measure("hits_at_1", Column("Hits@1, 10 steps (%)", 1), (), target="p10", probe="ranking", scale=100.0),
    ),
}
"""What stands for a suite, of those data sets alone that a measure is `over`, if any; a column is over those that were
run. GridWorld's objects are single pixels, so that it has no FG-ARI and no column of it. Hits are counted far ahead, as
one step ahead even predicting no change has nearly all.
"""

LEAD = "Every method by the main metrics of every suite, on test."
SEEDS = "Mean ± standard error over the n seeds of a column, or over as many as a cell says; without ± it is one seed."
ABOUT = {
    "atari": "Atari: slot accuracy (R² of ridge regression on standardised slots), compactness and modularity of its "
    "weights, standardised too.",
    "synthetic": "Synthetic videos: mean squared error (GridWorld's and the balls' frames are on [-1, 1]) and FG-ARI "
    "of a decoder trained on frozen slots, from the slots of a frame (s) and from those predicted one step ahead (p1).",
    "worlds": "Worlds: how often, of all predictions ten steps ahead, a true state's own is the nearest to it.",
}
"""What the columns of a suite are."""


def tables(sets: Sequence[Scores]) -> list[Table]:
    """One for the suites of one budget; none where no suite has a main metric."""
    shown = [scores for scores in sets if scores.suite in MAIN and _columns(scores)]
    return [_headline(shown)] if shown else []


def _headline(sets: Sequence[Scores]) -> Table:
    everyone = replace(sets[0], runs={key: run for scores in sets for key, run in scores.runs.items()})
    entrants = everyone.entrants()
    measured = [(scores, measure) for scores in sets for measure in _columns(scores)]
    columns = [(measure.column, cells(scores, entrants, measure)) for scores, measure in measured]
    rows = tuple(
        Row(entrant.title, tuple(found[i] for _, found in columns), method=entrant.method)
        for i, entrant in enumerate(entrants)
    )
    about = [ABOUT[scores.suite] for scores in sets]
    trained = "; ".join(f"{scores.suite} {training(scores)}" for scores in sets if training(scores))
    steps = f"Training: {trained}." if trained else ""
    text = " ".join(filter(None, (warning(everyone.budget), LEAD, *about, SEEDS, f"Budget {everyone.budget}.", steps)))
    heads = tuple(column for column, _ in columns)
    best = "the lowest MSE, else the highest" if any("MSE" in head.title for head in heads) else "the highest"
    shown = {place for _, measure in measured for place in measure.places}
    below = notes(everyone, entrants, {head.full_title: found for head, found in columns}, shown, best)
    most = max(len(scores.seeds) for scores in sets)
    table = Table("headline", text, "method", heads, rows, most, below, provenance(everyone))
    return with_yardsticks(table, measured)


FLOORS = {"compactness_std": "compactness_floor", "modularity_std": "modularity_floor"}
"""What is defined wherever a metric can be, also where the slots of all methods collapsed."""


def _columns(scores: Scores) -> list[Measure]:
    """The main metrics of the suite's own data sets, averaged, then of each other one on which any run answered."""
    own, main = SUITES[scores.suite].datasets, MAIN[scores.suite]
    anywhere = {measure.column.title: replace(measure, over=()) for measure in main}.values()
    answered = {dataset for (_, dataset, _), record in scores.runs.items() if record.standing}
    others = [(dataset,) for dataset in scores.datasets if dataset in answered.difference(own)]
    found = []
    for datasets, measure in [*product([own], main), *product(others, anywhere)]:
        metrics = (measure.metric, FLOORS.get(measure.metric, measure.metric))
        possible = {d for metric in metrics for d in scores.possible(metric, *measure.what[1:])}
        wanted = possible & {*datasets} & {*(measure.over or datasets)}
        if over := tuple(d for d in scores.datasets if d in wanted):
            what = f"{scores.suite}, mean of {len(over)}" if len(over) > 1 else over[0]
            means = [scores.mean(entrant, over, *measure.what) for entrant in scores.entrants()]
            seeds = max((mean.n for mean in means if mean), default=len(scores.seeds))
            column = replace(measure.column, group=f"{what}, n = {seeds}", num_seeds=seeds)
            found.append(replace(measure, column=column, over=over))
    return found
