"""The tables of Löwe et al. 2020, our values beside theirs: Table 1, appendix B.4, and Figures 2b and 5 in numbers.

Errors are mean squared errors in units of 1e-2, on the frames' own scale (the paper's are on [-1, 1]), ARI is in %, as
the paper prints them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from benchmark.report import slot_tables
from benchmark.report.agreement_tables import setcon as agreement
from benchmark.report.captions import listed
from benchmark.report.comparison import Measure, by_method
from benchmark.report.film import DECODED
from benchmark.report.published import published
from benchmark.report.scores import Scores
from benchmark.report.table import Column, Table
from benchmark.report.yardsticks import with_yardsticks

DATASETS = ("gridworld", "bouncing_balls")
"""How the names of the paper's data sets begin."""

SIZE = 64
"""Pixels a side of the paper's Bouncing Balls."""

Maker = Callable[[Scores], Table | None]

ARI = "ARI of the objects' pixels in %"

BOLD = "the lowest MSE, the highest of all else"

ERROR: dict[str, Any] = {"scale": 100.0, "best": min}
PERCENT: dict[str, Any] = {"scale": 100.0}


def tables(scores: Scores) -> list[Table]:
    """Those of each data set for which there is something to show."""
    steps = (partial(steps_ahead, metric=metric) for metric in STEPS)
    makers: tuple[Maker, ...] = (reconstruction, agreement, own_decoder, *steps, slot_tables.masks, slot_tables.linear)
    single = (scores.restricted((dataset,)) for dataset in scores.datasets)
    return [table for one in single for make in makers if (table := make(one))]


def reconstruction(scores: Scores) -> Table | None:
    """Table 1: frames and masks from a decoder trained on the frozen slots."""
    (dataset,) = scores.datasets
    if dataset not in published("loewe2020") and not scores.measured("mse", ("s", "p1"), "decoder"):
        return None
    lead = (
        f"Frames of {dataset} decoded from the slots of a frame (s) and from those predicted one step ahead (p). "
        f"{_units(dataset)}, between decoder masks and objects. Here: a decoder trained on frozen slots, half of "
        "them predicted ones where the method predicts, all of them a frame's own where it does not."
    ) + _in_paper(
        " The paper: Table 1 of Löwe et al. 2020, trained beside the method, mean ± standard error over 3 seeds.",
        dataset,
    )
    return _table_1(f"table1-{dataset}", lead, scores, suffix="")


def own_decoder(scores: Scores) -> Table | None:
    """Table 1 with the decoders that methods trained for themselves, which is the paper's protocol."""
    (dataset,) = scores.datasets
    if not scores.measured("mse_own", ("s", "p1"), "decoder"):
        return None
    lead = (
        f"Frames of {dataset} decoded from the slots of a frame (s) and from those predicted one step ahead (p), by "
        f"the decoder that was trained together with the method. {_units(dataset)}."
    ) + _in_paper(" The paper: Table 1 of Löwe et al. 2020, mean ± standard error over 3 seeds.", dataset)
    return _table_1(f"table1-own-decoder-{dataset}", lead, scores, suffix="_own")


def _table_1(name: str, lead: str, scores: Scores, suffix: str) -> Table:
    (dataset,) = scores.datasets
    paper = published("loewe2020").get(dataset, {})
    measures = []
    for metric, printed, unit, decimals, how in (
        ("mse", "mse", "MSE {} (1e-2)", 3, ERROR),
        ("fg_ari", "ari", "ARI {} (%)", 1, PERCENT),
    ):
        for target, label in (("p1", "p"), ("s", "s")):
            theirs = {m: row[f"{printed}_{label}"] for m, row in paper.items() if f"{printed}_{label}" in row}
            measures.append(
                Measure(
                    metric + suffix,
                    Column(unit.format(label), decimals),
                    (dataset,),
                    {method: mean for method, (mean, _) in theirs.items()},
                    target=target,
                    probe="decoder",
                    paper_se={method: se for method, (_, se) in theirs.items()},
                    **how,
                )
            )
    table = by_method(name, lead + _sizes(scores), scores, tuple(paper), measures, bold=BOLD)
    table = _with_undefined(table, scores) if suffix else _with_unfinished(_with_undefined(table, scores), scores)
    return with_yardsticks(_with_b4(table, paper), [(scores, measure) for measure in measures])


def _with_undefined(table: Table, scores: Scores) -> Table:
    """Say why there is no ARI, if all decoders were measured and none has one."""
    asked = scores.answers("fg_ari", ("s",), "decoder")
    if not asked or scores.measured("fg_ari", ("s",), "decoder"):
        return table
    (dataset,) = scores.datasets
    why = "no true masks, objects of single pixels, or one object alone."
    if dataset.startswith("gridworld"):
        why = "an object of one pixel cannot be torn apart."
    return replace(table, notes=(*table.notes, f"ARI is undefined here: {why}"))


def _with_unfinished(table: Table, scores: Scores, probe: str = "decoder") -> Table:
    """Say how many of the decoders might have come further, if any."""
    found = {record.path: record.notes.get(probe, {}).get("stopped") for record in scores.runs.values()}
    reasons = [reason for reason in found.values() if reason]
    unfinished = reasons.count("max_steps")
    if not unfinished:
        return table
    note = f"{unfinished} of {len(reasons)} decoders stopped at their last step; longer, they might have come further."
    return replace(table, notes=(*table.notes, note))


def _with_b4(table: Table, paper: dict[str, Any]) -> Table:
    if "setcon-random-init" not in paper:
        return table
    rows = tuple(replace(row, mark="†") if row.method == "setcon-random-init" else row for row in table.rows)
    note = "† The paper's appendix B.4, which names no data set; its scale is that of this one."
    return replace(table, rows=rows, notes=(*table.notes, note))


def _in_paper(text: str, dataset: str) -> str:
    """The text, if the data set is one of the paper's."""
    return text if dataset.startswith(DATASETS) else ""


def _sizes(scores: Scores) -> str:
    """Says of what size frames are, where it is another than the paper's."""
    (dataset,) = scores.datasets
    settings = [record.configuration.get("dataset", {}) for record in scores.runs.values()]
    sizes = sorted({size for fields in settings if (size := fields.get("image_size", SIZE)) != SIZE})
    told = f" Frames here have {listed(f'{size}x{size}' for size in sizes)} pixels, the paper's {SIZE}x{SIZE}."
    return _in_paper(told, dataset) if sizes else ""


def _units(dataset: str) -> str:
    return f"{_mse(dataset)}, lower is better; {ARI}, higher is better"


def _mse(dataset: str) -> str:
    """Frames of the paper's data sets are on [-1, 1]; records do not say on what those of another are."""
    scale = _in_paper("[-1, 1]", dataset) or "the frames' own scale"
    return f"MSE on {scale} in units of 1e-2"


STEPS: dict[str, tuple[Callable[[str], str], int, dict[str, Any], str]] = {
    "mse": (_mse, 3, ERROR, "the lowest"),
    "fg_ari": (lambda dataset: ARI, 1, PERCENT, "the highest"),
}


def steps_ahead(scores: Scores, metric: str) -> Table | None:
    """Figures 2b and 5: how fast predictions lose the frame."""
    (dataset,) = scores.datasets
    if not scores.measured(metric, DECODED, "decoder-rollout"):
        return None
    unit, decimals, how, bold = STEPS[metric]
    measures = [
        Measure(metric, Column(target, decimals), (dataset,), target=target, probe="decoder-rollout", **how)
        for target in DECODED
    ]
    lead = (
        f"{unit(dataset)} on {dataset}, from the slots of a frame (s) and from those predicted some steps ahead (p1: "
        "one), by one decoder trained on all of them"
        f"{_in_paper(': Figures 2b and 5 of Löwe et al. 2020 in numbers', dataset)}."
    )
    name = f"steps-ahead-{metric.replace('_', '-')}-{dataset}"
    table = by_method(name, lead, scores, (), measures, bold=bold)
    return _with_unfinished(table, scores, "decoder-rollout")
