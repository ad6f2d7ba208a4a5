"""How far our numbers agree with a paper's: do methods come in the same order, and data sets in that of difficulty?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import NamedTuple

from benchmark.report.captions import caption, provenance
from benchmark.report.comparison import AS_IN_PAPERS
from benchmark.report.published import published
from benchmark.report.scores import Entrant, Scores
from benchmark.report.statistics import Summary
from benchmark.report.table import Cell, Column, Row, Table

Pairs = tuple[tuple[float, float], ...]
"""Ours and the paper's."""

FEWEST = 3
"""Fewest pairs for a rank correlation."""


class Line(NamedTuple):
    """What is compared and by which measure: the values that both have, of how many that the paper has."""

    title: str
    measure: str
    pairs: Pairs
    wanted: int


MEASURES = {"Spearman's rho": "spearmanr", "Kendall's tau": "kendalltau"}
"""Correlations of ranks, -1 to 1, by the names that SciPy has for them."""


def correlation(measure: str, pairs: Pairs) -> float | None:
    """None for fewer than 3 pairs or where one side is constant."""
    from scipy import stats

    ours, theirs = zip(*pairs, strict=True) if len(pairs) >= FEWEST else ((), ())
    if min(len(set(ours)), len(set(theirs))) < 2:
        return None
    return float(getattr(stats, MEASURES[measure])(ours, theirs).statistic)


def scn(scores: Scores) -> Table | None:
    """Against Racah & Chandar 2020: each method's slot accuracies over games, and the methods' means over games."""
    paper = published("racah2020")
    games = [game for game in paper["r2"] if game in scores.datasets]
    lines = [_over_games(scores, method, games) for method in paper["overall"]["r2"]]
    means = {method: fmean(paper["r2"][game][method] for game in games) for method in paper["overall"]["r2"]}
    lines.append(_over_methods(scores, "R²", tuple(games), means, "r2"))
    for metric, theirs in paper["structure"].items() if len(games) == len(paper["r2"]) else ():
        over = scores.possible(f"{metric}_floor")
        lines.append(_over_methods(scores, metric, over, theirs, metric))
    lead = (
        "Agreement with Racah & Chandar 2020 in the paper's forms, on test: of a method's R² over the games shown "
        "(its Table 3), and of the methods' means over them, the paper's being those of its values for these games "
        "(with all of its games those of its Table 1 too)."
    )
    return _table("agreement", lead, scores, lines)


def setcon(scores: Scores) -> Table | None:
    """Against Table 1 of Löwe et al. 2020, and B.4 where it counts: the order of methods; `scores` of one data set."""
    (dataset,) = scores.datasets
    paper = published("loewe2020").get(dataset, {})
    names = {
        "mse_p": ("MSE p", "mse", "p1"),
        "ari_p": ("ARI p", "fg_ari", "p1"),
        "mse_s": ("MSE s", "mse", "s"),
        "ari_s": ("ARI s", "fg_ari", "s"),
    }
    lines = []
    for printed, (title, metric, target) in names.items():
        theirs = {method: row[printed][0] for method, row in paper.items() if printed in row}
        lines += [_over_methods(scores, title, (dataset,), theirs, metric, target, "decoder")] if theirs else []
    where = "Table 1 and, of setcon-random-init, B.4" if "setcon-random-init" in paper else "Table 1"
    return _table(f"agreement-{dataset}", f"Agreement on {dataset} with Löwe et al. 2020, its {where}.", scores, lines)


def _over_games(scores: Scores, method: str, games: Sequence[str]) -> Line:
    paper = published("racah2020")["r2"]
    found = {game: _ours(scores, method, (game,), "r2") for game in games}
    pairs = tuple((value, paper[game][method]) for game, value in found.items() if value is not None)
    return Line(f"{method}: R², over games", "Spearman's rho", pairs, len(paper))


def _over_methods(scores: Scores, title: str, over: tuple[str, ...], theirs: Mapping[str, float], *what: str) -> Line:
    found = {method: _ours(scores, method, over, *what) for method in theirs}
    pairs = tuple((value, theirs[method]) for method, value in found.items() if value is not None)
    return Line(f"{title}, over methods", "Kendall's tau", pairs, len(theirs))


def _ours(scores: Scores, method: str, over: tuple[str, ...], *what: str) -> float | None:
    """The mean over seeds of the method as the paper has it."""
    which = product(AS_IN_PAPERS, (False, True))
    entrants = [Entrant(method, variant, scores.context.role(method), tuned) for variant, tuned in which]
    found = [mean for entrant in entrants if (mean := scores.mean(entrant, over, *what))]
    return found[0].mean if found else None


def _table(name: str, lead: str, scores: Scores, lines: Sequence[Line]) -> Table | None:
    """A row a line, in the column of its measure; no table where no line has enough pairs."""
    found = {line: correlation(line.measure, line.pairs) for line in lines}
    if all(value is None for value in found.values()):
        return None
    heads = [measure for measure in MEASURES if any(line.measure == measure for line in lines)]
    rows = []
    for line, value in found.items():
        summary = None if value is None else Summary(value, None, len(line.pairs))
        cell = Cell(summary, covered=(len(line.pairs), line.wanted))
        rows.append(Row(line.title, tuple(cell if line.measure == head else Cell() for head in heads)))
    either = "the row has the other measure, or " if len(heads) > 1 else ""
    notes = (
        "In brackets, of how many of the paper's values there are ours; of methods all that its table has, a floor and "
        "a ceiling too.",
        f"Dash: {either}there are fewer than {FEWEST} values, of which no order is told.",
    )
    meaning = "Correlation of the ranks of our means over seeds and of the paper's values; 1 is the same order."
    columns = tuple(Column(head, 2) for head in heads)
    return Table(
        name,
        caption(f"{lead} {meaning}", scores, spread=False),
        "of",
        columns,
        tuple(rows),
        len(scores.seeds),
        notes if any(cell.mean is None for row in rows for cell in row.cells) else notes[:1],
        provenance(scores),
    )
