"""What is known of slots without a decoder: a linear regression on them, and the encoder's own masks."""

from __future__ import annotations

from benchmark.report.comparison import Measure, by_method
from benchmark.report.published import published
from benchmark.report.scores import Scores
from benchmark.report.table import Column, Table
from benchmark.report.yardsticks import BY_COLOUR, with_yardsticks


def linear(scores: Scores) -> Table | None:
    """What a linear regression finds in the slots."""
    if not scores.answers("r2", ("all",), "linear"):
        return None
    (dataset,) = scores.datasets
    columns = {
        "r2": ("R²", 2),
        "r2_ridge": ("R², std.", 2),
        "compactness": ("compactness", 3),
        "compactness_std": ("compactness, std.", 3),
        "modularity": ("modularity", 3),
        "modularity_std": ("modularity, std.", 3),
    }
    measures = [Measure(metric, Column(*column), (dataset,), probe="linear") for metric, column in columns.items()]
    lead = (
        f"Linear regression of the objects' coordinates on the slots, on {dataset}: by ordinary least squares, and "
        "std. (ridge on standardised slots). R² on test, compactness and modularity of the weights; higher is better."
    )
    return by_method(f"slots-{dataset}", lead, scores, tuple(published("loewe2020").get(dataset, {})), measures)


def masks(scores: Scores) -> Table | None:
    """The encoder's own masks against the objects; None where no encoder has masks."""
    if not any(scores.measured(metric, ("attention",), "masks") for metric in ("mbo", "fg_ari")):
        return None
    (dataset,) = scores.datasets
    measures = [
        Measure(metric, Column(title, 1), (dataset,), target="attention", probe="masks", scale=100.0)
        for metric, title in (("mbo", "mBO (%)"), ("fg_ari", "ARI (%)"))
    ]
    lead = (
        f"The encoder's own attention masks against the objects, on {dataset}: mean best overlap, and ARI of the "
        "objects' pixels. Higher is better; a method without such masks has none."
    )
    table = by_method(f"masks-{dataset}", lead, scores, tuple(published("loewe2020").get(dataset, {})), measures)
    return with_yardsticks(table, [(scores, measure) for measure in measures], BY_COLOUR)
