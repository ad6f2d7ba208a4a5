"""Which runs collapsed: a probe found that their slots tell frames or objects no longer apart, and noted why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.records import Record
from benchmark.report.scores import Entrant, Scores
from benchmark.report.table import COLLAPSED


def reason(record: Record) -> str | None:
    """Why a run counts as collapsed; None where it does not, or nobody asked."""
    return record.notes.get("diagnostics", {}).get("collapsed")


def collapsed(scores: Scores, entrant: Entrant, datasets: Iterable[str]) -> bool:
    """Is any run of it on these data sets?"""
    return any(reason(run) for dataset in datasets for run in scores.of_seeds(entrant, dataset))


def footnote(scores: Scores, entrants: Sequence[Entrant]) -> str:
    """Method, data set, reasons and how many of its seeds; "" where none collapsed."""
    told = []
    for entrant in entrants:
        for dataset in scores.datasets:
            runs = scores.of_seeds(entrant, dataset)
            reasons = [why for run in runs if (why := reason(run))]
            if reasons:
                why = "; ".join(sorted(set(reasons)))
                told.append(f"{entrant.title} on {dataset} ({why}), {len(reasons)} of {len(runs)} seeds")
    return f"{COLLAPSED} collapsed: {'; '.join(told)}." if told else ""
