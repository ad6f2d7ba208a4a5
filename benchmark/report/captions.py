"""What must stand with a table: how the numbers were made, what the signs mean, and what did not run."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from benchmark.records import Record
from benchmark.report import apart, asked, collapse, edited
from benchmark.report.scores import Entrant, Scores
from benchmark.report.statistics import FEWEST_PAIRS
from benchmark.report.table import ALIKE, APART, Cell
from benchmark.suites import SUITES, Training, paper_share, percent

MOST_NAMED = 4
"""Data sets that are named where runs on them trained differently; of more their number is told."""

PLUMBING = "Plumbing test: the numbers mean nothing."

NOT_WORSE = (
    "not significantly worse than the best (two-sided paired t-tests over data sets, or over data sets and seeds where "
    "there are fewer than 3 data sets, corrected by Holm for the number of methods that are tested, p ≥ 0.05)."
)


def caption(lead: str, scores: Scores, spread: bool = True) -> str:
    """`lead` says what is shown; then the seeds and the training, from the records.

    `spread` is False where no cell has a standard error over seeds.
    """
    return " ".join(filter(None, (warning(scores.budget), lead, _seeds(scores.seeds, spread), _training(scores))))


def warning(budget: str) -> str:
    """That the numbers of a budget mean nothing; "" where they do."""
    budgets = (suite.budgets[budget] for suite in SUITES.values() if budget in suite.budgets)
    return "" if all(found.meaningful for found in budgets) else PLUMBING


def provenance(scores: Scores) -> str:
    """The data's protocol, the commits and plug-ins that trained, from the records; "" where they know none of them."""
    settings = {
        "data protocol": _distinct(_protocol(record) for record in _answered(scores)),
        "trained by code": _distinct(commit_of(record) for record in _answered(scores)),
        "by plug-ins": _distinct(name for record in _answered(scores) for name in _plugins(record)),
    }
    told = "; ".join(f"{name} {text}" for name, text in settings.items() if text)
    return f"{told[0].upper()}{told[1:]}." if told else ""


def training(scores: Scores) -> str:
    """How long the runs trained ("400 steps of up to 128 frames"), on which data sets where that differs, and of which
    methods the learning rates were chosen, on which data sets where not on all that the method was run on.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for record in _answered(scores):
        if steps := _steps(record):
            found[steps].add(record.dataset)
    told = [*found] if len(found) == 1 else [f"{steps} on {_few(sorted(on))}" for steps, on in sorted(found.items())]
    tuned = [_where_tuned(scores, method) for method in sorted({r.method for r in _answered(scores) if r.tuned})]
    chosen = f", learning rates of {listed(tuned)} chosen on validation" if tuned else ""
    return f"{listed(told)}{chosen}" if told else ""


def _where_tuned(scores: Scores, method: str) -> str:
    known: dict[str, bool] = {}
    for record in (record for record in _answered(scores) if record.method == method):
        known[record.dataset] = known.get(record.dataset, False) or record.tuned
    return method if all(known.values()) else f"{method} (on {_few(sorted(data for data in known if known[data]))})"


def sentences(text: str) -> list[str]:
    """Those of a caption, apart."""
    return re.split(r"(?<=\.) (?=[A-Z])", text)


def listed(names: Iterable[str]) -> str:
    """Names in a sentence; "none" if there is none."""
    *others, last = [*names] or ["none"]
    return f"{', '.join(others)} and {last}" if others else last


def notes(
    scores: Scores,
    entrants: Sequence[Entrant],
    compared: Mapping[str, Sequence[Cell]],
    shown: Collection[tuple[str, str]],
    bold: str = "the highest",
) -> tuple[str, ...]:
    """Below the table: bold, the marks that its cells have, dash, how many runs did not succeed and which collapsed.

    `compared` has the cells of which one is the best, by the title of their column or row; `shown` are the data sets
    and probes whose metrics these are.
    """
    cells = [cell for found in compared.values() for cell in found]
    ceilings = any(entrant.role == "ceiling" for entrant in entrants)
    signs = []
    if any(cell.best for cell in cells):
        signs.append(f"Bold: {bold} as printed{', ceilings left out' if ceilings else ''}.")
    if ceilings:
        signs.append("A ceiling reads labels.")
    signs += _tested({title: found for title, found in compared.items() if any(cell.best for cell in found)}, entrants)
    if any(APART in cell.signs for cell in cells):
        signs.append(f"{APART} {apart.MEANING}")
    if any(cell.distance is not None for cell in cells):
        alone = "" if any(cell.paper_se is not None for cell in cells) else ", here alone as the paper's is not known"
        signs.append(f"Diff.: here less the paper's, in units of the combined standard error{alone}.")
    runs = {record.path: record for record in scores.runs.values()}  # one that two rows share counts once
    status = Counter(record.status for record in runs.values())
    missing = "Dash: not run, failed, undefined, or a mean that needs such a value."
    failed = status["failed"]
    if any(cell.covered for cell in cells):
        missing += " Beside it, how many of the data sets have a value."
    missing += f" Of {len(runs)} runs {failed} failed" if failed else ""
    answered = any(record.status == "failed" and record.standing for record in runs.values())
    missing += (", of which what other probes answered is shown." if answered else ".") if failed else ""
    return tuple(filter(None, (" ".join(signs), missing, *footnotes(scores, entrants, shown))))


def footnotes(scores: Scores, entrants: Sequence[Entrant], shown: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """What to know of some of the runs: probes of other settings, slots that collapsed, code edited between them."""
    return (
        asked.footnote(scores, entrants, shown),
        collapse.footnote(scores, entrants),
        edited.footnote(scores, entrants),
    )


def _tested(compared: Mapping[str, Sequence[Cell]], entrants: Sequence[Entrant]) -> list[str]:
    """What the sign of a mean like the best says, and where differences were not tested."""
    tested = [title for title, cells in compared.items() if any(cell.alike is not None for cell in cells)]
    untested = [title for title in compared if title not in tested]
    if not compared:
        return []
    if not tested:
        return [f"No difference was tested, for want of {FEWEST_PAIRS} pairs."]
    few = f"for want of {FEWEST_PAIRS} pairs"
    left = f"Not tested, {few}: {listed(untested)}." if untested else ""
    if len(untested) > len(tested):
        left = f"Tested: {listed(tested)}; the others were not, {few}."
    if any(
        _left_untested(cell, entrant)
        for title in tested
        for entrant, cell in zip(entrants, compared[title], strict=True)
    ):
        left = f"{left} A mean that has fewer than {FEWEST_PAIRS} pairs with the best is not tested either.".strip()
    return [f"{ALIKE} {NOT_WORSE}", *filter(None, [left])]


def _left_untested(cell: Cell, entrant: Entrant) -> bool:
    compared = entrant.role != "ceiling" and not cell.apart
    return compared and cell.ours is not None and cell.alike is None and not cell.best


def _seeds(seeds: tuple[int, ...], spread: bool) -> str:
    if len(seeds) == 1:
        return f"One seed ({seeds[0]}){', hence no ±' if spread else ''}."
    if not spread:
        return f"Seeds: {listed(map(str, seeds))}."
    return f"Mean ± standard error over n = {len(seeds)} seeds ({listed(map(str, seeds))}), or as many as a cell says."


def _training(scores: Scores) -> str:
    trained = training(scores)
    return f"Suite {scores.suite}, budget {scores.budget}{f'; training {trained}' if trained else ''}."


def _answered(scores: Scores) -> list[Record]:
    """The runs that gave numbers."""
    return [record for record in scores.runs.values() if record.status == "ok" or record.standing]


def _few(names: Sequence[str]) -> str:
    return listed(names) if len(names) <= MOST_NAMED else f"{len(names)} data sets"


def _distinct(texts: Iterable[str]) -> str:
    return listed(sorted(found)) if (found := {text for text in texts if text}) else ""


def _steps(record: Record) -> str:
    fields = record.configuration.get("training", {})
    if not {"steps", "frames_per_step"} <= set(fields):
        return ""
    training = Training(steps=fields["steps"], frames_per_step=fields["frames_per_step"])
    told = f"{training.steps} steps of up to {training.frames_per_step} frames"
    share = paper_share(record.suite, record.dataset, training) if record.suite in SUITES else None
    return told if share is None else f"{told} ({percent(share)} of the paper's)"


def _protocol(record: Record) -> str:
    protocol = record.data.get("protocol", "")
    return str(protocol.get("version", "") if isinstance(protocol, dict) else protocol)


def _plugins(record: Record) -> list[str]:
    """The files, of no folder of the repository, of method and data set, with twelve digits of their hash."""
    files = [file for file in record.provenance.get("code", {}).values() if "/" not in file.get("file", "/")]
    return [f"{file['file']} {file.get('sha256', '')[:12]}".strip() for file in files]


def commit_of(record: Record) -> str:
    """Twelve digits, and the "+" of a tree with changed files; empty where it is not known."""
    commit = str(record.provenance.get("commit") or "")
    return commit[:12] + "+" * (len(commit) > 12 and commit.endswith("+"))
