"""Records: whole or not at all, and damage is seen."""

import json
from dataclasses import replace

import pytest

from benchmark import records
from benchmark.configure import Configuration, parse_overrides
from benchmark.plan import runs
from benchmark.records import DamagedRecordError, Record
from benchmark.registry import methods

RECORD = Record("atari", "quick", "pong", "scn", 0, "abcd", "ok", metrics=[{"metric": "r2", "value": 0.1 + 0.2}])


def test_what_is_written_is_read_back_unrounded(tmp_path):
    path = records.write(tmp_path, RECORD)
    assert path == tmp_path / "runs/pong/scn/abcd/seed-0.json"
    assert records.read(path) == RECORD


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: "", "not JSON"),
        (lambda text: text[: len(text) // 2], "not JSON"),
        (lambda text: text.replace('"pong"', '"ping"'), "checksum"),
        (lambda text: text.replace("0.30000000000000004", "0.31"), "checksum"),
        (lambda text: text.replace("0.30000000000000004", "NaN"), "not JSON"),
        (lambda text: text.replace('"schema": 1', '"schema": 99'), "schema 99"),
        (lambda text: "[]", "not a JSON object"),
        (lambda text: "\udcff", "not JSON"),
    ],
)
def test_a_damaged_record_is_named_and_does_not_hide_the_others(tmp_path, damage, reason):
    path = records.write(tmp_path, RECORD)
    records.write(tmp_path, replace(RECORD, seed=1))
    path.write_text(damage(path.read_text()), errors="surrogateescape")
    with pytest.raises(DamagedRecordError, match=reason):
        records.read(path)
    good, damaged = records.read_all(tmp_path)
    assert [record.seed for record in good] == [1]
    assert damaged[0][0] == path and reason in damaged[0][1]


def test_a_second_damaged_record_is_set_aside_beside_the_first(tmp_path):
    for content in ("one", "two", "three"):
        (tmp_path / "seed-0.json").write_text(content)
        records.set_aside(tmp_path / "seed-0.json")
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {f"seed-0.json.damaged-{n}": text for n, text in enumerate(("one", "two", "three"), start=1)}


def test_a_record_with_fields_of_another_time_is_damaged_not_a_crash(tmp_path):
    path = records.write(tmp_path, RECORD)
    body = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("schema", "checksum")} | {"colour": 1}
    path.write_text(json.dumps({"schema": 1, "checksum": records._checksum(body), **body}))
    with pytest.raises(DamagedRecordError, match="fields"):
        records.read(path)


@pytest.mark.parametrize(
    "elsewhere", [{"dataset": "../../etc"}, {"method": "/etc"}, {"digest": "beef"}, {"seed": 3}, {"dataset": "boxing"}]
)
def test_a_record_whose_fields_lead_elsewhere_is_damaged(tmp_path, elsewhere):
    path = tmp_path / RECORD.path
    records.write_atomically(path, records.encode(replace(RECORD, **elsewhere)))
    with pytest.raises(DamagedRecordError, match="belongs to another place"):
        records.read(path)


def test_nothing_is_left_behind_when_writing_fails(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        records.write(tmp_path, replace(RECORD, metrics=[{"value": float("nan")}]))
    assert list(tmp_path.rglob("*")) == []


def test_digest_does_not_depend_on_the_order_of_keys():
    assert records.digest({"a": 1, "b": [1.5, None]}) == records.digest({"b": [1.5, None], "a": 1})
    assert records.digest({"a": 1}) != records.digest({"a": 2})


def test_all_metrics_come_as_one_data_frame(tmp_path):
    configured = replace(RECORD, configuration={"method": {}, "dataset": {}, "training": {}})
    records.write(tmp_path, configured)
    records.write(tmp_path, replace(configured, seed=1))
    table = records.frame(tmp_path)
    assert list(table.seed) == [0, 1] and set(table.metric) == {"r2"} and table.value.iloc[0] == 0.1 + 0.2
    for place in (tmp_path / "nowhere", tmp_path / "runs"):
        with pytest.raises(FileNotFoundError, match=place.name):
            records.frame(place)


def test_in_a_data_frame_runs_of_other_settings_are_told_apart(tmp_path):
    defaults, other = (
        runs(Configuration("atari", "smoke", tuple(parse_overrides(texts))), ["scn"], ["pong"], 1)[0].configuration
        for texts in ([], ["methods.scn.diversity_weight=0.5"])
    )
    for name, configuration in (("a", defaults), ("b", other)):
        records.write(tmp_path, replace(RECORD, method="scn", budget="smoke", digest=name, configuration=configuration))
    table = records.frame(str(tmp_path))
    assert dict(zip(table.digest, table.settings, strict=True)) == {"a": "", "b": "diversity_weight=0.5"}


def test_in_a_data_frame_settings_of_a_strangers_method_are_told_apart_by_their_digest(tmp_path, monkeypatch):
    configured = replace(RECORD, method="theirs", configuration={"method": {}, "dataset": {}, "training": {}})
    for name in ("0123456789abcdef", "fedcba9876543210"):
        records.write(tmp_path, replace(configured, digest=name))
    assert [*records.frame(tmp_path).settings] == ["configuration 012345", "configuration fedcba"]
    plugin = tmp_path / "theirs.py"
    plugin.write_text(
        "from benchmark.registry import methods\nfrom methods.scn import SCN\nfrom dataclasses import dataclass\n"
        "@methods.register('theirs')\n@dataclass(frozen=True, kw_only=True)\nclass Theirs(SCN): pass\n"
    )
    monkeypatch.setattr(methods, "_entries", dict(methods._entries))
    assert [*records.frame(tmp_path, [str(plugin)]).settings] == ["", ""]


def variant(record: records.Record) -> str:
    return f"as {record.method} has them"


def test_tidy_rows_carry_the_run_beside_the_metric():
    (row,) = records.tidy([RECORD], variant)
    assert row["dataset"] == "pong" and row["metric"] == "r2" and row["seed"] == 0
    assert row["settings"] == variant(RECORD)


def test_settings_are_made_out_once_a_run_however_many_metrics_it_has():
    asked = []
    rows = [*records.tidy([replace(RECORD, metrics=RECORD.metrics * 3)], lambda run: asked.append(run) or "their own")]
    assert len(asked) == 1 and [row["settings"] for row in rows] == ["their own"] * 3


def test_records_of_ten_seeds_and_more_are_all_read(tmp_path):
    for seed in (9, 10, 123):
        records.write(tmp_path, replace(RECORD, seed=seed))
    assert {record.seed for record in records.read_all(tmp_path)[0]} == {9, 10, 123}


def test_what_other_probes_of_a_failed_run_have_answered_is_a_row_too():
    (row,) = records.tidy([replace(RECORD, status="failed", reason="probe diagnostics: it fell over")], variant)
    assert row["metric"] == "r2"
