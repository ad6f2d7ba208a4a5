"""The tables of Racah & Chandar 2020, our values beside theirs, and slot accuracy in the standardised form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from benchmark.records import Record
from benchmark.report.agreement_tables import scn as agreement
from benchmark.report.captions import caption, listed, notes, provenance
from benchmark.report.comparison import Measure, Published, beside_the_papers, by_method, cells
from benchmark.report.published import published
from benchmark.report.scores import Entrant, Scores
from benchmark.report.table import Cell, Column, Row, Table

MARKS = {
    "†": ("few_test", "fewer than 200 test frames."),
    "‡": ("not_position", "some of its labels are not positions (see its records)."),
}
"""What a sign beside a data set says, and the fact of its records that it stands for."""

Maker = Callable[[Scores], Table | None]


def tables(scores: Scores) -> list[Table]:
    """The paper's, for those of its games that were run; the standardised accuracy of every data set that has one."""
    games = scores.restricted(published("racah2020")["r2"])
    makers: tuple[Maker, ...] = (structure, ablation, accuracy, agreement)
    found = [table for make in makers if games.runs and (table := make(games))]
    standardised = scores.restricted(scores.possible("r2_ridge"))
    return [*found, cross(standardised)] if standardised.runs else found


def structure(scores: Scores) -> Table:
    """Table 1: modularity and compactness of each method, averaged over games."""
    paper, whole = published("racah2020")["structure"], _all_games(scores)
    measures = []
    for name in ("modularity", "compactness"):
        over = scores.possible(f"{name}_floor")
        measures += [
            Measure(name, Column(name, 3), over, paper[name], like_the_paper=whole),
            Measure(f"{name}_std", Column(f"{name}, std.", 3), over),
            Measure(f"{name}_floor", Column(f"{name}, random", 3), over, compared=False),
        ]
    lead = (
        "Modularity and compactness (0 to 1, higher is better) of the weights of a linear regression on the slots: in "
        "the form of Racah & Chandar 2020, the paper (ordinary least squares), std. (ridge on standardised slots), and "
        "of random weights."
    )
    rows, lead = tuple(paper["compactness"]), f"{lead} {_averaged(scores)}"
    return by_method("table1-structure", lead, scores, rows, measures)


def ablation(scores: Scores) -> Table | None:
    """Table 2: SCN without its diversity loss and with it, averaged over games; None where neither was run."""
    paper, whole = published("racah2020")["ablation"], _all_games(scores)
    if not set(paper["r2"]) & {entrant.method for entrant, _, _ in scores.runs}:
        return None
    modular, compact = scores.possible("modularity_floor"), scores.possible("compactness_floor")
    columns = {"r2": ("R²", 2, scores.datasets), "modularity": ("", 4, modular), "compactness": ("", 4, compact)}
    measures = [
        Measure(metric, Column(title or metric, decimals), over, paper[metric], like_the_paper=whole)
        for metric, (title, decimals, over) in columns.items()
    ]
    lead = (
        "SCN with its first loss only (scn-saliency) and with slot diversity (scn), in the forms of Racah & Chandar "
        "2020, the paper, on test."
    )
    rows, lead = tuple(paper["r2"]), f"{lead} {_averaged(scores)}"
    return by_method("table2-ablation", lead, scores, rows, measures, closed=True)


def accuracy(scores: Scores) -> Table:
    """Table 3: R2 of each game in the paper's form, and the mean over the games."""
    paper = published("racah2020")
    overall, complete = paper["overall"]["r2"], _all_games(scores)
    if not complete:
        overall = {method: fmean(paper["r2"][game][method] for game in scores.datasets) for method in overall}
    lead = (
        "Slot accuracy: R² on the test split of ordinary least squares from all slots to each coordinate, mean over a "
        "game's coordinates; predicting their mean scores 0 at most. The paper is Racah & Chandar 2020; its mean is "
        f"{'the one that it prints' if complete else 'that of its values for the games shown'}."
    )
    return _by_dataset("table3-r2", "r2", lead, scores, scores.entrants(tuple(overall)), {**paper["r2"], "": overall})


def cross(scores: Scores) -> Table:
    """R2 in the standardised form, the one to compare methods by."""
    lead = (
        "Slot accuracy, standardised: R² on the test split of ridge regression from all slots, standardised, to each "
        "coordinate, its strength chosen on the validation split; mean over a data set's coordinates. Predicting their "
        "mean scores 0 at most."
    )
    return _by_dataset("cross-r2-ridge", "r2_ridge", lead, scores, scores.entrants(), {})


def _averaged(scores: Scores) -> str:
    games, modular = scores.datasets, scores.possible("modularity_floor")
    others = [game for game in games if game not in modular]
    fewer = f"modularity, undefined with fewer than two objects, over {len(modular)}: all but {listed(others)}"
    over = fewer if others else "modularity too"
    if _all_games(scores):
        return f"Averaged over the paper's {len(games)} games ({over})."
    return (
        f"Averaged over {listed(games)} ({len(games)}; {over}). The paper averages over its 20 games, modularity over "
        "19, so that its values and those here are of different games."
    )


def _all_games(scores: Scores) -> bool:
    return set(scores.datasets) == set(published("racah2020")["r2"])


def _by_dataset(
    name: str, metric: str, lead: str, scores: Scores, entrants: Sequence[Entrant], paper: Mapping[str, Published]
) -> Table:
    """A row a data set and one for their mean, whose paper's values are under ""; the best of a row is bold."""
    columns = tuple(Column(e.title, 2, method=e.method) for e in entrants)

    def row(over: tuple[str, ...], theirs: Published) -> tuple[Cell, ...]:
        return cells(scores, entrants, Measure(metric, Column("", 2), over, theirs))

    marks = _marks(scores)
    rows = [Row(d, row((d,), paper.get(d, {})), mark=marks[d]) for d in scores.datasets]
    mean = Row(f"mean of {len(scores.averaged)}", row(scores.averaged, paper.get("", {})), summary=True)
    below = tuple(f"{sign} {text}" for sign, (_, text) in MARKS.items() if any(sign in mark for mark in marks.values()))
    shown = {(dataset, "linear") for dataset in scores.datasets}
    beside = [dataset for dataset in scores.datasets if dataset not in scores.averaged]
    below += (f"The mean is over the suite's own data sets, without {listed(beside)}.",) if beside else ()
    below = (*notes(scores, entrants, {each.title: each.cells for each in (*rows, mean)}, shown), *below)
    text, seeds, origin = caption(lead, scores), len(scores.seeds), provenance(scores)
    return beside_the_papers(Table(name, text, "data set", columns, (*rows, mean), seeds, below, origin))


def _marks(scores: Scores) -> dict[str, str]:
    """The signs of each data set, as its records have the facts that they stand for."""
    facts = {
        dataset: {fact for (_, other, _), record in scores.runs.items() if other == dataset for fact in _true(record)}
        for dataset in scores.datasets
    }
    return {dataset: "".join(sign for sign, (fact, _) in MARKS.items() if fact in facts[dataset]) for dataset in facts}


def _true(record: Record) -> set[str]:
    return {fact for fact, value in record.data.items() if value}
