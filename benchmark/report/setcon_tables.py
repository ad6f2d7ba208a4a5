"""The tables of Löwe et al. 2020, our values beside theirs: Table 1, appendix B.4, and Figures 2b and 5 in
numbers.

Errors are mean squared errors in units of 1e-2, on the frames' own scale (the paper's are on [-1, 1]), ARI is in %, as
the paper prints them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from benchmark.records import Record
from benchmark.report.agreement_tables import setcon as agreement
from benchmark.report.captions import listed
from benchmark.report.comparison import Measure, by_method, scaled
from benchmark.report.published import published
from benchmark.report.scores import Entrant, Scores
from benchmark.report.statistics import Summary, summarise
from benchmark.report.table import Cell, Column, Row, Table

__all__ = ["ERROR", "HORIZON", "tables"]

HORIZON = ("s", "p1", "p2", "p3", "p4", "p5")
"""Slots of the frame itself and predicted 1 to 5 steps ahead, the targets of the decoder's probes."""

Maker = Callable[[Scores], Table | None]

ARI = "ARI of the objects' pixels in %"

BOLD = "the lowest MSE, the highest of all else"

BY_COLOUR = "Colour k-means clusters the pixels of a frame by their colours: what masks are worth without a model."

WITHOUT_MODEL = {
    "previous frame": "the frame before",
    "mean frame": "the mean of the training frames",
    "colour k-means": "clustering the pixels of a frame by their colours",
}
"""Painters and clusterers that see no slot, and how each gets there."""

ERROR: dict[str, Any] = {"scale": 100.0, "best": min}
PERCENT: dict[str, Any] = {"scale": 100.0}


def tables(scores: Scores) -> list[Table]:
    """Those of each data set for which there is something to show."""
    steps = (partial(steps_ahead, metric=metric) for metric in STEPS)
    makers: tuple[Maker, ...] = (reconstruction, agreement, own_decoder, *steps, masks, linear)
    single = (scores.restricted((dataset,)) for dataset in scores.datasets)
    return [table for one in single for make in makers if (table := make(one))]


def reconstruction(scores: Scores) -> Table | None:
    """Table 1: frames and masks from a decoder trained on the frozen slots."""
    (dataset,) = scores.datasets
    if dataset not in published("loewe2020") and not _measured(scores, "mse", ("s", "p1"), "decoder"):
        return None
    lead = (
        f"Table 1 on {dataset}: frames decoded from the slots of a frame (s) and from those predicted one step ahead "
        f"(p). {_units(dataset)}, between decoder masks and objects. Ours: a decoder trained on frozen slots. "
        "The paper: trained beside the method, mean ± standard error over 3 seeds."
    )
    return _table_1(f"table1-{dataset}", lead, scores, suffix="")


def own_decoder(scores: Scores) -> Table | None:
    """Table 1 with the decoders that methods trained for themselves, which is the paper's protocol."""
    (dataset,) = scores.datasets
    if not _measured(scores, "mse_own", ("s", "p1"), "decoder"):
        return None
    lead = (
        f"As Table 1 on {dataset}, with the decoder that was trained together with the method. {_units(dataset)}. "
        "The paper: mean ± standard error over 3 seeds."
    )
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
                    Column(unit.format(label), decimals, paper=bool(theirs)),
                    (dataset,),
                    {method: mean for method, (mean, _) in theirs.items()},
                    target=target,
                    probe="decoder",
                    paper_se={method: se for method, (_, se) in theirs.items()},
                    **how,
                )
            )
    table = by_method(name, lead, scores, tuple(paper), measures, bold=BOLD)
    yardsticks = {
        "previous frame": ("MSE p (1e-2)", _painted(scores, "previous_frame_mse")),
        "mean frame": ("MSE s (1e-2)", _painted(scores, "mean_image_mse")),
        "colour k-means": ("ARI s (%)", _by_colour(scores)),
    }
    known = [how for name, how in WITHOUT_MODEL.items() if yardsticks[name][1]]
    note = f"Last rows: what is reached without a model, by {listed(known)}."
    table = _with_undefined(table, scores) if suffix else _with_unfinished(_with_undefined(table, scores), scores)
    return _with_yardsticks(_with_b4(table, paper), yardsticks, note)


def _with_undefined(table: Table, scores: Scores) -> Table:
    """Say why there is no ARI, if all decoders were measured and none has one."""
    asked = _rows(scores, "fg_ari", ("s",), "decoder")
    if not asked or _measured(scores, "fg_ari", ("s",), "decoder"):
        return table
    (dataset,) = scores.datasets
    why = "no true masks, or objects of single pixels."
    if dataset.startswith("gridworld"):
        why = "an object of one pixel cannot be torn apart."
    return replace(table, notes=(*table.notes, f"ARI is undefined here: {why}"))


def _with_unfinished(table: Table, scores: Scores, probe: str = "decoder") -> Table:
    """Say how many of the decoders might have come further, if any."""
    reasons = [record.notes[probe]["stopped"] for record in scores.runs.values() if _stopped(record, probe)]
    unfinished = reasons.count("max_steps")
    if not unfinished:
        return table
    note = f"{unfinished} of {len(reasons)} decoders stopped at their last step; longer, they might have come further."
    return replace(table, notes=(*table.notes, note))


def _stopped(record: Record, probe: str) -> bool:
    return "stopped" in record.notes.get(probe, {})


def _with_b4(table: Table, paper: dict[str, Any]) -> Table:
    if "setcon-random-init" not in paper:
        return table
    rows = tuple(replace(row, mark="†") if row.method == "setcon-random-init" else row for row in table.rows)
    note = "† The paper's appendix B.4, which names no data set; its scale is that of this one."
    return replace(table, rows=rows, notes=(*table.notes, note))


def _with_yardsticks(table: Table, found: dict[str, tuple[str, Summary | None]], note: str) -> Table:
    """Rows below: what is reached without a model, each in the column of its title; none where it is not known."""
    known = {name: (title, value) for name, (title, value) in found.items() if value}
    rows = [
        Row(name, tuple(Cell(value if column.title == title else None) for column in table.columns), summary=i == 0)
        for i, (name, (title, value)) in enumerate(known.items())
    ]
    return replace(table, rows=(*table.rows, *rows), notes=(*table.notes, note) if rows else table.notes)


def _by_colour(scores: Scores) -> Summary | None:
    (dataset,) = scores.datasets
    return _of_data(scores, lambda e, seed: scores.value(e, dataset, seed, "fg_ari", "pixels", "colour-kmeans"))


def _painted(scores: Scores, name: str) -> Summary | None:
    """An error that the decoder's probe notes, of a painter that sees no slot."""
    (dataset,) = scores.datasets

    def noted(entrant: Entrant, seed: int) -> float | None:
        record = scores.runs.get((entrant, dataset, seed))
        return record.notes.get("decoder", {}).get(name) if record else None

    return _of_data(scores, noted)


def _of_data(scores: Scores, value: Callable[[Entrant, int], float | None]) -> Summary | None:
    """Times 100, what depends on the data and not on the method: the first run of a seed that has it stands for all.

    Without a standard error where no seed changes it.
    """
    by_seed = [[one for e in scores.entrants() if (one := value(e, seed)) is not None] for seed in scores.seeds]
    found = summarise([values[0] for values in by_seed if values])
    return scaled(replace(found, se=found.se or None), 100.0) if found else None


def _units(dataset: str) -> str:
    return f"{_mse(dataset)}, lower is better; {ARI}, higher is better"


def _mse(dataset: str) -> str:
    """Frames of the paper's data sets are on [-1, 1]; records do not say on what those of another are."""
    scale = "[-1, 1]" if dataset.startswith(("gridworld", "bouncing_balls")) else "the frames' own scale"
    return f"MSE on {scale} in units of 1e-2"


STEPS: dict[str, tuple[Callable[[str], str], int, dict[str, Any], str]] = {
    "mse": (_mse, 3, ERROR, "the lowest"),
    "fg_ari": (lambda dataset: ARI, 1, PERCENT, "the highest"),
}


def steps_ahead(scores: Scores, metric: str) -> Table | None:
    """Figures 2b and 5: how fast predictions lose the frame."""
    (dataset,) = scores.datasets
    if not _measured(scores, metric, HORIZON, "decoder-rollout"):
        return None
    unit, decimals, how, bold = STEPS[metric]
    measures = [
        Measure(metric, Column(target, decimals), (dataset,), target=target, probe="decoder-rollout", **how)
        for target in HORIZON
    ]
    lead = (
        f"Figures 2b and 5 on {dataset}: {unit(dataset)}, from the slots of a frame (s) and from those predicted 1 to "
        "5 steps ahead (p1 to p5), by a decoder trained on all of them; not the decoder of Table 1."
    )
    name = f"steps-ahead-{metric.replace('_', '-')}-{dataset}"
    table = by_method(name, lead, scores, (), measures, bold=bold)
    return _with_unfinished(table, scores, "decoder-rollout")


def linear(scores: Scores) -> Table | None:
    """What a linear regression finds in the slots."""
    if not _rows(scores, "r2", ("all",), "linear"):
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
    """The encoder's own masks against the objects."""
    if not _rows(scores, "fg_ari", ("attention",), "masks"):
        return None
    (dataset,) = scores.datasets
    measures = [
        Measure(metric, Column(title, 1), (dataset,), target="attention", probe="masks", **PERCENT)
        for metric, title in (("mbo", "mBO (%)"), ("fg_ari", "ARI (%)"))
    ]
    lead = (
        f"The encoder's own attention masks against the objects, on {dataset}: mean best overlap, and ARI of the "
        "objects' pixels. Higher is better; a method without such masks has none."
    )
    table = by_method(f"masks-{dataset}", lead, scores, tuple(published("loewe2020").get(dataset, {})), measures)
    return _with_yardsticks(table, {"colour k-means": ("ARI (%)", _by_colour(scores))}, BY_COLOUR)


def _rows(scores: Scores, metric: str, targets: Iterable[str], probe: str) -> list[float | None]:
    """The values of all runs that were asked."""
    wanted = {(probe, metric, target) for target in targets}
    return [
        row["value"]
        for record in scores.runs.values()
        for row in record.metrics
        if (row["probe"], row["metric"], row["target"]) in wanted
    ]


def _measured(scores: Scores, metric: str, targets: Iterable[str], probe: str) -> bool:
    return any(value is not None for value in _rows(scores, metric, targets, probe))
