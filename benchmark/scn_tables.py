"""The tables of Racah & Chandar 2020, our values beside theirs, and slot accuracy in the standardised form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from benchmark.captions import caption, listed, notes
from benchmark.published import published
from benchmark.scores import Entrant, Scores
from benchmark.statistics import Summary
from benchmark.table import Cell, Column, Row, Table, strongest

__all__ = ["tables"]

Published = Mapping[str, float]
"""A paper's values by method."""


@dataclass(frozen=True)
class Measure:
    """A metric averaged over some data sets: one column of a table whose rows are methods."""

    metric: str
    column: Column
    over: tuple[str, ...]
    paper: Published = field(default_factory=dict)
    compared: bool = True
    """False for a floor, of which none is the best."""


def tables(scores: Scores) -> list[Table]:
    """The paper's, for those of its games that were run; the standardised accuracy of every data set that has one."""
    games = scores.restricted(published("racah2020")["r2"])
    found = [structure(games), ablation(games), accuracy(games)] if games.runs else []
    standardised = scores.restricted(scores.possible("r2_ridge"))
    return [*found, cross(standardised)] if standardised.runs else found


def structure(scores: Scores) -> Table:
    """Table 1: modularity and compactness of each method, averaged over games."""
    paper = published("racah2020")["structure"]
    measures = []
    for name in ("modularity", "compactness"):
        over = scores.possible(f"{name}_floor")
        measures += [
            Measure(name, Column(name, 3, paper=True), over, paper[name]),
            Measure(f"{name}_std", Column(f"{name}, std.", 3), over),
            Measure(f"{name}_floor", Column(f"{name}, random", 3), over, compared=False),
        ]
    lead = (
        "Modularity and compactness (0 to 1, higher is better) of the weights of a linear regression on the slots: in "
        "the paper's form (ordinary least squares), std. (ridge on standardised slots), and of random weights."
    )
    return _by_method("table1-structure", f"{lead} {_averaged(scores)}", scores, tuple(paper["compactness"]), measures)


def ablation(scores: Scores) -> Table:
    """Table 2: SCN without its diversity loss and with it, averaged over games."""
    paper = published("racah2020")["ablation"]
    measures = [
        Measure("r2", Column("R²", 2, True), scores.datasets, paper["r2"]),
        Measure("modularity", Column("modularity", 4, True), scores.possible("modularity_floor"), paper["modularity"]),
        Measure(
            "compactness", Column("compactness", 4, True), scores.possible("compactness_floor"), paper["compactness"]
        ),
    ]
    lead = "SCN with its first loss only (scn-saliency) and with slot diversity (scn), in the paper's forms, on test."
    return _by_method(
        "table2-ablation", f"{lead} {_averaged(scores)}", scores, tuple(paper["r2"]), measures, closed=True
    )


def accuracy(scores: Scores) -> Table:
    """Table 3: R2 of each game in the paper's form, and the mean over the games."""
    paper = published("racah2020")
    overall, complete = paper["overall"]["r2"], set(scores.datasets) == set(paper["r2"])
    if not complete:
        overall = {method: fmean(paper["r2"][game][method] for game in scores.datasets) for method in overall}
    lead = (
        "Slot accuracy: R² on the test split of ordinary least squares from all slots to each coordinate, mean over a "
        "game's coordinates. The paper's mean is "
        f"{'the one that it prints' if complete else 'that of its values for the games shown'}."
    )
    return _by_dataset("table3-r2", "r2", lead, scores, scores.entrants(tuple(overall)), {**paper["r2"], "": overall})


def cross(scores: Scores) -> Table:
    """R2 in the standardised form, the one to compare methods by."""
    lead = (
        "Slot accuracy, standardised: R² on the test split of ridge regression from all slots, standardised, to each "
        "coordinate, its strength chosen on the validation split; mean over a data set's coordinates."
    )
    return _by_dataset("cross-r2-ridge", "r2_ridge", lead, scores, scores.entrants(), {})


def _averaged(scores: Scores) -> str:
    games, modular = scores.datasets, scores.possible("modularity_floor")
    others = [game for game in games if game not in modular]
    fewer = f"modularity, undefined with fewer than two objects, over {len(modular)}: all but {listed(others)}"
    return (
        f"Averaged over {listed(games)} ({len(games)}; {fewer if others else 'modularity too'}). "
        "The paper averages over its 20 games, modularity over 19."
    )


def _by_dataset(
    name: str, metric: str, lead: str, scores: Scores, entrants: Sequence[Entrant], paper: Mapping[str, Published]
) -> Table:
    """A row a data set and one for their mean, whose paper's values are under ""; the best of a row is bold."""
    columns = tuple(Column(entrant.title, 2, paper=bool(paper)) for entrant in entrants)
    compared = [entrant.role != "ceiling" for entrant in entrants]

    def cells(over: tuple[str, ...], theirs: Published) -> tuple[Cell, ...]:
        values = [scores.mean(entrant, over, metric) for entrant in entrants]
        return _cells(entrants, values, strongest(values, compared, 2), theirs)

    few = {dataset for (_, dataset, _), record in scores.runs.items() if record.data.get("few_test")}
    rows = [Row(d, cells((d,), paper.get(d, {})), mark="†" if d in few else "") for d in scores.datasets]
    mean = Row(f"mean of {len(rows)}", cells(scores.datasets, paper.get("", {})), summary=True)
    below = notes(scores) + (("† fewer than 200 test frames.",) if few else ())
    return Table(name, caption(lead, scores), "data set", columns, (*rows, mean), len(scores.seeds), below)


def _by_method(
    name: str, lead: str, scores: Scores, methods: tuple[str, ...], measures: Sequence[Measure], closed: bool = False
) -> Table:
    """A row a method, the paper's `methods` and all others (none where `closed`); the best of a column is bold."""
    entrants = [entrant for entrant in scores.entrants(methods) if entrant.method in methods or not closed]
    columns = []
    for measure in measures:
        compared = [measure.compared and entrant.role != "ceiling" for entrant in entrants]
        values = [scores.mean(entrant, measure.over, measure.metric) for entrant in entrants]
        best = strongest(values, compared, measure.column.decimals)
        columns.append(_cells(entrants, values, best, measure.paper))
    rows = tuple(Row(e.title, tuple(cells)) for e, cells in zip(entrants, zip(*columns, strict=True), strict=True))
    heads = tuple(measure.column for measure in measures)
    return Table(name, caption(lead, scores), "method", heads, rows, len(scores.seeds), notes(scores))


def _cells(
    entrants: Sequence[Entrant], values: Sequence[Summary | None], best: Sequence[bool], paper: Published
) -> tuple[Cell, ...]:
    """A paper's value belongs to the method as the paper has it, not to a variant of it."""
    theirs = [None if entrant.variant else paper.get(entrant.method) for entrant in entrants]
    return tuple(Cell(*parts) for parts in zip(values, theirs, best, strict=True))
