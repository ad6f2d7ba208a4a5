"""Which probes were asked with other settings than the budget's, such as decoders that learned for longer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from benchmark.report.scores import Entrant, Scores


def footnote(scores: Scores, entrants: Sequence[Entrant], shown: Collection[tuple[str, str]]) -> str:
    """The probes with what was set, and in how many of the runs that they were asked of; "" where nothing was.

    Of those alone that are `shown`: data sets, and probes asked there.
    """
    runs = [run for entrant in entrants for data in scores.datasets for run in scores.of_seeds(entrant, data)]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for run in {run.path: run for run in runs}.values():
        settings = scores.context.asked(run)
        for probe in run.probes:
            if (run.dataset, probe) in shown:
                counts[probe][settings.get(probe, "")] += 1
    told = [
        f"{probe} ({settings}{f', in {count} of {found.total()} runs' if count < found.total() else ''})"
        for probe, found in sorted(counts.items())
        for settings, count in sorted(found.items())
        if settings
    ]
    return f"Asked with other settings than the budget's: {', '.join(told)}." if told else ""
