"""Table 1 of Kipf et al. 2020, our values beside theirs: how well predicted states are told from others."""

from __future__ import annotations

from functools import partial

from benchmark.report.captions import listed
from benchmark.report.comparison import Measure, by_method
from benchmark.report.published import published
from benchmark.report.scores import Scores
from benchmark.report.table import Column, Table

STEPS = (1, 5, 10)

METRICS = {"hits_at_1": "H@1", "mrr": "MRR"}

SCENES = {"shapes": "10,000", "cubes": "10,000", "three_body": "1,000"}
"""Scenes among which the paper ranks: the more there are, the fewer predictions hit."""


def tables(scores: Scores) -> list[Table]:
    """One a data set on which predictions were ranked."""
    single = (scores.restricted((dataset,)) for dataset in scores.datasets)
    return [ranking(one) for one in single if _ranked(one)]


def ranking(scores: Scores) -> Table:
    """Hits@1 and MRR after 1, 5 and 10 predicted steps, and whether the embeddings have collapsed."""
    (dataset,) = scores.datasets
    paper = published("kipf2020").get(dataset, {})
    theirs = f", among {SCENES[dataset]}" if dataset in SCENES else ""
    share = partial(Measure, over=(dataset,), probe="ranking", scale=100.0)
    measures = [
        share(
            metric,
            Column(f"{title} {step} (%)", 1),
            paper={method: row[f"{metric}_{step}"][0] for method, row in paper.items() if f"{metric}_{step}" in row},
            target=f"p{step}",
        )
        for step in STEPS
        for metric, title in METRICS.items()
    ]
    measures += [
        share("hits_at_1_still", Column(f"still {step} (%)", 1), target=f"p{step}", compared=False) for step in STEPS
    ]
    spread = Column("variance", 3)
    measures.append(Measure("embedding_variance", spread, (dataset,), compared=False, target="s", probe="ranking"))
    lead = (
        f"How often on {dataset}, of all predictions, a true state's own is the nearest to it (H@1), and "
        f"the mean inverse rank of its own (MRR), {listed(map(str, STEPS))} steps ahead, among {_candidates(scores)} "
        f"test scenes in distinct states; ties share a rank. The paper: Table 1 of Kipf et al. 2020{theirs}, mean over "
        "4 runs, ties broken towards the truth. Still: H@1 of the same encoder if no change is predicted. Variance: of "
        "the embeddings, mean over their elements; near 0 they have collapsed."
    )
    return by_method(f"ranking-{dataset}", lead, scores, tuple(paper), measures)


def _candidates(scores: Scores) -> str:
    """How many scenes a prediction was ranked among, as the records note: "987 to 992", "?" where none does."""
    noted = [record.notes.get("ranking", {}).get("n", {}) for record in scores.runs.values()]
    counts = sorted({count for steps in noted for count in steps.values()})
    return f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0]) if counts else "?"


def _ranked(scores: Scores) -> bool:
    return any(row["probe"] == "ranking" for record in scores.runs.values() for row in record.metrics)
