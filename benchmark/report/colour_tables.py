"""Figure 6 of Löwe et al. 2020 in numbers: the error on GridWorld against the number of colours and of slots."""

from __future__ import annotations

from typing import NamedTuple

from benchmark.report.comparison import Measure, by_method
from benchmark.report.scores import Scores
from benchmark.report.setcon_tables import ERROR
from benchmark.report.table import Column, Table

TARGETS = {"p1": ("p", "slots predicted one step ahead"), "s": ("s", "the slots of the frame itself")}


class Variant(NamedTuple):
    """A data set of so many colours, seen with so many slots."""

    num_colours: int
    num_slots: int

    @property
    def title(self) -> str:
        """As a column's."""
        return f"{self.num_colours} colours, {self.num_slots} slots"


def variants(scores: Scores) -> dict[str, Variant]:
    """GridWorld's data sets, whose objects' colours may be counted by themselves, in the order of these numbers.

    Where they are not, each object has its own.
    """
    found = {}
    for (_, dataset, _), record in scores.runs.items():
        fields = record.configuration.get("dataset", {})
        colours, slots = fields.get("num_colours") or fields.get("num_objects"), fields.get("num_slots")
        if "num_colours" in fields and colours and slots:
            found[dataset] = Variant(colours, slots)
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def tables(scores: Scores) -> list[Table]:
    """One for predicted slots and one for the frame's own; none where no data set counts its colours."""
    columns = variants(scores)
    return [_error(scores, columns, target) for target in TARGETS] if columns else []


def _error(scores: Scores, columns: dict[str, Variant], target: str) -> Table:
    label, what = TARGETS[target]
    measures = [
        Measure("mse", Column(variant.title, 3), (dataset,), target=target, probe="decoder", **ERROR)
        for dataset, variant in columns.items()
    ]
    lead = (
        f"MSE {label} (Figure 6 of Löwe et al. 2020), of frames decoded from {what}, on GridWorld by the number of "
        "colours (each of another object) and of slots; on [-1, 1] in units of 1e-2, lower is better."
    )
    return by_method(f"figure6-mse-{label}", lead, scores, (), measures, bold="the lowest")
