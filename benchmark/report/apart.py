"""Who saw other frames than most: what they scored tells nothing beside the others' scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from benchmark.records import digest
from benchmark.report.scores import Entrant, Scores

MEANING = "with other settings of a data set than most, and so not compared."


def apart(scores: Scores, entrants: Sequence[Entrant], datasets: Iterable[str]) -> frozenset[Entrant]:
    """Those that ran on one of these data sets with other settings of it than most of them; on a tie, than the first.

    Fewer frames, another seed or other labels make another task of it.
    """
    found: set[Entrant] = set()
    for dataset in datasets:
        ran = {entrant: runs[0] for entrant in entrants if (runs := scores.of_seeds(entrant, dataset))}
        settings = {entrant: digest(run.configuration.get("dataset")) for entrant, run in ran.items()}
        usual = [each for each, _ in Counter(settings.values()).most_common(1)]
        found |= {entrant for entrant, own in settings.items() if own not in usual}
    return frozenset(found)
