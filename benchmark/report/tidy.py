"""All metrics as one table, for pandas, say: `metrics.csv`, `metrics.parquet`, and what is in them, `metrics.md`."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmark.records import Record, tidy, write_atomically
from benchmark.report import markdown

COLUMNS = {
    "suite": "the suite under which the run was made",
    "budget": "what it spent on training: smoke (its numbers mean nothing), quick or paper",
    "dataset": "data set",
    "method": "method",
    "settings": "what tells its configuration from the present defaults, tuned where --tune chose the learning rate; "
    "empty for these; of a method or data set that is not registered a part of the digest",
    "digest": "identity of the settings: all fields of method, data set and training; methods with equal fields share "
    "one",
    "seed": "seed of initialisation and batches; frames do not depend on it",
    "probe": "the probe that measured it",
    "target": "on what: all, a coordinate, object:<name>, s (slots of the frame), p1 to p10 (slots predicted so many "
    "steps before), slots, attention (the encoder's masks), pixels (their colours)",
    "metric": "what was measured, see below",
    "split": "the split of the data set that it was measured on",
    "value": "the number, unrounded; empty where it is undefined",
    "higher_is_better": "whether more is better; empty where neither is",
}
"""Each column and its meaning."""


@dataclass(frozen=True)
class Meaning:
    """Of a metric: what it is, in which unit, between which bounds, and which values are better."""

    text: str
    unit: str = ""
    bounds: str = ""
    better: str = "higher"


METRICS = {
    "r2": Meaning("R² of ordinary least squares from all slots to a coordinate", "1", "at most 1"),
    "r2_ridge": Meaning("R² of ridge regression from standardised slots to a coordinate", "1", "at most 1"),
    "r2_ridge_last": Meaning("r2_ridge from the last frame seen to coordinates some steps later", "1", "at most 1", ""),
    "r2_ridge_context": Meaning("the same, from all frames that a prediction is made from", "1", "at most 1", ""),
    "compactness": Meaning("how few slots an object's weights lie in, least squares", "1", "0 to 1"),
    "compactness_std": Meaning("the same, of ridge regression on standardised slots", "1", "0 to 1"),
    "compactness_floor": Meaning("the same, of random weights", "1", "0 to 1", ""),
    "modularity": Meaning("how few objects a slot's weights belong to, least squares", "1", "0 to 1"),
    "modularity_std": Meaning("the same, of ridge regression on standardised slots", "1", "0 to 1"),
    "modularity_floor": Meaning("the same, of random weights", "1", "0 to 1", ""),
    "mse": Meaning(
        "mean squared error of decoded frames, on their own scale: [-1, 1] on GridWorld and Bouncing Balls",
        "squared grey value",
        "at least 0",
        "lower",
    ),
    "mse_own": Meaning("the same, by the decoder trained with the method", "squared grey value", "at least 0", "lower"),
    "fg_ari": Meaning("adjusted Rand index of masks and objects, over the objects' pixels", "1", "at most 1"),
    "fg_ari_own": Meaning("the same, by the decoder trained with the method", "1", "at most 1"),
    "mbo": Meaning("best overlap (IoU) of any mask with an object, mean over objects", "1", "0 to 1"),
    "hits_at_1": Meaning("share of true states to which their own prediction is the nearest", "1", "0 to 1"),
    "mrr": Meaning("mean reciprocal rank of the own prediction by its distance to the true state", "1", "0 to 1"),
    "hits_at_1_still": Meaning("hits_at_1 of predicting that nothing changes", "1", "0 to 1", ""),
    "mrr_still": Meaning("mrr of predicting that nothing changes", "1", "0 to 1", ""),
    "embedding_variance": Meaning("variance of the slots of all test frames: near 0, ranks mean nothing", "", "", ""),
    "effective_rank": Meaning("exponential of the entropy of the slots' spectrum", "dimensions", "at least 1", ""),
    "slot_correlation": Meaning("mean absolute correlation between slots", "1", "0 to 1", ""),
    "slot_usage": Meaning("evenness of the slots' shares in the variance: exp of their entropy / k", "1", "0 to 1", ""),
    "temporal_variance": Meaning("share of the slots' variance that lies within clips", "1", "0 to 1", ""),
}
"""Metrics by their ids; of others is said which probe of one's own measured them, and which values are better."""

DIRECTIONS = {True: "higher", False: "lower", None: ""}

NO_PARQUET = "metrics.parquet needs the package pyarrow, which is not installed: pip install pyarrow"


def write_metrics(
    records: Iterable[Record], out: Path, settings: Callable[[Record], str], note: Callable[[str], None]
) -> list[Path]:
    """Write them into the folder `out`, rows in the order of records; returns the paths.

    Without pyarrow there is no Parquet file, as `note` is told. Raises OSError.
    """
    ordered = sorted(records, key=lambda record: str(record.path))
    rows = [{name: row.get(name) for name in COLUMNS} for row in tidy(ordered, settings)]
    contents = {"metrics.csv": _csv(rows), "metrics.md": _dictionary(rows)}
    if find_spec("pyarrow"):
        contents["metrics.parquet"] = _parquet(rows)
    else:
        if not (out / "metrics.csv").exists():  # once in a folder
            note(NO_PARQUET)
        (out / "metrics.parquet").unlink(missing_ok=True)
    for name, content in contents.items():
        write_atomically(out / name, content)
    return [out / name for name in contents]


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    lines = csv.DictWriter(text, [*COLUMNS], lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    kinds = {"seed": pyarrow.int64(), "value": pyarrow.float64(), "higher_is_better": pyarrow.bool_()}
    fields = [
        pyarrow.field(name, kinds.get(name, pyarrow.string()), metadata={"meaning": meaning})
        for name, meaning in COLUMNS.items()
    ]
    content = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(fields)), content)
    return bytes(content.getvalue())


def _dictionary(rows: Sequence[dict[str, Any]]) -> bytes:
    """Every column, and every metric that is known or was measured."""
    measured = {row["metric"]: row for row in rows}
    columns = [["column", "meaning"], *([name, meaning] for name, meaning in COLUMNS.items())]
    metrics = [["metric", "meaning", "unit", "range", "better"]]
    for name in sorted({*METRICS, *measured}):
        known = METRICS.get(name) or _of_ones_own(measured[name])
        metrics.append([name, known.text, known.unit, known.bounds, known.better])
    parts = ["# Data dictionary of metrics.csv and metrics.parquet", "One row a metric of a run."]
    return "\n\n".join([*parts, *(markdown.grid(lines, prose=True) for lines in (columns, metrics))]).encode() + b"\n"


def _of_ones_own(row: dict[str, Any]) -> Meaning:
    """What is known of the metric of a probe that is not slotbench's."""
    return Meaning(f"of the probe {row['probe']}", better=DIRECTIONS[row["higher_is_better"]])
