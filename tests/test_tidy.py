"""The tidy rows as CSV and Parquet, and that the dictionary beside them leaves nothing out."""

import csv
import random

import pytest
from made import decoded, record, row

from benchmark.report.tidy import COLUMNS, METRICS, write_metrics


def default(record):
    """Of the first of the methods: no settings of its own."""
    return "" if record.method == "setcon" else f"tau={record.seed}"


def runs():
    undefined = [*decoded(1 / 3, 0.2), row("mine", "my_metric", "all", None)]
    return [record("gridworld", method, seed, undefined) for method in ("setcon", "a,b\n") for seed in (0, 1)]


def test_every_metric_of_every_run_is_a_line_unrounded(tmp_path):
    write_metrics(runs(), tmp_path, default, print)
    with open(tmp_path / "metrics.csv", newline="") as file:
        lines = [*csv.DictReader(file)]
    assert [*lines[0]] == [*COLUMNS]
    assert len(lines) == 4 * 5
    chosen = [line for line in lines if (line["method"], line["seed"], line["target"]) == ("setcon", "1", "s")]
    assert float(chosen[0]["value"]) == 1 / 3
    assert {line["value"] for line in lines if line["metric"] == "my_metric"} == {""}
    assert {line["method"] for line in lines} == {"setcon", "a,b\n"}
    told = {(line["method"], line["seed"], line["settings"]) for line in lines}
    assert told == {("setcon", "0", ""), ("setcon", "1", ""), ("a,b\n", "0", "tau=0"), ("a,b\n", "1", "tau=1")}


def test_parquet_has_the_same_with_types_and_meanings(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_metrics(runs(), tmp_path, default, print)
    table = parquet.read_table(tmp_path / "metrics.parquet")
    assert table.column_names == [*COLUMNS] and table.num_rows == 20
    assert [str(table.schema.field(name).type) for name in ("seed", "value", "higher_is_better", "method")] == [
        *("int64", "double", "bool", "string")
    ]
    assert table.schema.field("value").metadata[b"meaning"].startswith(b"the number")
    assert 1 / 3 in table["value"].to_pylist() and None in table["value"].to_pylist()


def test_without_pyarrow_a_note_says_what_is_missing_and_nothing_stale_is_left(tmp_path, monkeypatch):
    (tmp_path / "metrics.parquet").write_bytes(b"old")
    monkeypatch.setattr("benchmark.report.tidy.find_spec", lambda name: None)
    said = []
    names = [path.name for path in write_metrics(runs(), tmp_path, default, said.append)]
    assert names == ["metrics.csv", "metrics.md"] and not (tmp_path / "metrics.parquet").exists()
    assert len(said) == 1 and "pip install" in said[0]
    write_metrics(runs(), tmp_path, default, said.append)
    assert len(said) == 1


def test_the_dictionary_has_every_column_and_metric(tmp_path):
    write_metrics(runs(), tmp_path, default, print)
    text = (tmp_path / "metrics.md").read_text()
    lines = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")}
    assert {*COLUMNS, *METRICS, "my_metric"} <= lines
    assert all(meaning.text for meaning in METRICS.values())


def test_the_dictionary_says_of_a_metric_of_ones_own_which_probe_measured_it_and_what_is_better(tmp_path):
    directions = {"error": False, "count": None}
    metrics = [row("mine", name, "all", 1.0) | {"higher_is_better": up} for name, up in directions.items()]
    write_metrics([record("gridworld", "setcon", 0, metrics)], tmp_path, default, print)
    lines = [[cell.strip() for cell in line.split("|")] for line in (tmp_path / "metrics.md").read_text().splitlines()]
    told = {line[1]: line[2:-1] for line in lines if len(line) > 5}
    assert told["error"] == ["of the probe mine", "", "", "lower"]
    assert told["count"] == ["of the probe mine", "", "", ""]


def test_the_same_records_in_any_order_give_the_same_bytes(tmp_path):
    made = runs()
    first = [path.read_bytes() for path in write_metrics(made, tmp_path, default, print)]
    random.Random(0).shuffle(made)
    assert [path.read_bytes() for path in write_metrics(made, tmp_path, default, print)] == first


def test_every_line_says_of_which_run_it_is(tmp_path):
    write_metrics([record("gridworld", "setcon", 3, decoded(0.1, 0.2))], tmp_path, default, print)
    with open(tmp_path / "metrics.csv", newline="") as file:
        lines = [*csv.DictReader(file)]
    run = {
        "suite": "synthetic",
        "budget": "quick",
        "dataset": "gridworld",
        "method": "setcon",
        "digest": "d0",
        "seed": "3",
    }
    assert lines and all(run.items() <= line.items() for line in lines)
