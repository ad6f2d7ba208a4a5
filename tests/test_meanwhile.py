"""What changes between a plan and its runs, or between two commands: others' answers, lost parameters, new plans."""

import shutil
from argparse import Namespace
from dataclasses import replace

import pytest
import tiny
from small import command

from benchmark import plan, records, runner, training, worker
from benchmark.configure import Configuration, parse_overrides
from benchmark.errors import UserError
from benchmark.freeze import Encoder
from benchmark.progress import PlainProgress
from benchmark.registry import probes

pytestmark = pytest.mark.usefixtures("no_figures")

SMALL = ("training.steps=2", "training.frames_per_step=4")


def planned(out, cache, *names, reprobe=False):
    """The plan of SCN's seed 0, asked those probes, as `command` has it."""
    wanted = Configuration("atari", "smoke", tuple(parse_overrides(SMALL)), names)
    (item,) = plan.plan(plan.runs(wanted, ["scn"], ["tiny"], 1), out, cache, retry_failed=False, reprobe=reprobe)
    return item


def execute(out, cache, item):
    (record,) = runner.Runner(out, cache, PlainProgress({}).lane()).execute([item])
    return record


@pytest.fixture
def scn(copy, monkeypatch):
    """The path of a finished run of which the probe `diagnostics` has changed, and whose parameters are lost."""
    monkeypatch.setattr(probes.entry("diagnostics")[0], "version", 999)
    shutil.rmtree(copy / "cache/parameters")
    return next((copy / "runs/tiny/scn").glob("*/seed-0.json"))


def test_a_run_that_is_trained_again_for_a_probe_is_asked_all_that_its_record_holds(copy, scn, asked, capsys):
    before = records.read(scn)
    assert command(copy, "--methods", "scn", "--probes", "diagnostics") == 0
    assert "trained again to be probed, by all that its record was asked" in capsys.readouterr().out
    after = records.read(scn)
    assert asked == ["linear", "diagnostics"] and after.metrics == before.metrics
    assert after.probes["linear"]["digest"] == before.probes["linear"]["digest"]
    assert after.probes["diagnostics"]["configuration"]["version"] == 999


def test_a_probe_of_a_plugin_that_is_not_named_is_not_asked_again(copy, scn):
    before = records.read(scn)
    theirs = {"digest": "0", "configuration": {"version": 1}}
    records.write(copy, replace(before, probes=before.probes | {"theirs": theirs}))
    item = planned(copy, copy / "cache", "diagnostics")
    assert (item.state, [*item.run.probes]) == ("new", ["linear", "diagnostics"])
    assert item.reason.endswith("by all that its record was asked but theirs, not known as it was: its answers go")


@pytest.mark.parametrize("how", [["--probes", "diagnostics"], ["--reprobe"]])
def test_what_was_answered_stays_where_training_again_fails(copy, scn, monkeypatch, how):
    before, load = records.read(scn), tiny.Tiny.load

    def broken(self, cache, report):
        raise MemoryError("the squares are too many")

    monkeypatch.setattr(tiny.Tiny, "load", broken)
    assert command(copy, "--methods", "scn", *how) == 1
    after = records.read(scn)
    assert after.status == "failed" and "too many" in after.reason
    assert (after.metrics, after.probes, after.curve) == (before.metrics, before.probes, before.curve)
    assert command(copy, "--methods", "scn") == 1  # it is still a run that failed
    monkeypatch.setattr(tiny.Tiny, "load", load)
    assert command(copy, "--methods", "scn", "--retry-failed") == 0
    assert records.read(scn).status == "ok" and records.read(scn).metrics == before.metrics


def test_what_was_answered_stays_where_slots_cannot_be_frozen_after_training_again(copy, scn, monkeypatch):
    before = records.read(scn)
    monkeypatch.setattr(Encoder, "freeze", None)
    assert command(copy, "--methods", "scn", "--probes", "diagnostics") == 1
    assert (records.read(scn).metrics, records.read(scn).probes) == (before.metrics, before.probes)


def test_a_run_without_answers_that_fails_again_is_recorded_as_it_was_tried_last(tmp_path, monkeypatch):
    monkeypatch.setattr(training.Kernel, "fit", None)
    assert command(tmp_path, "--methods", "scn") == 1
    (record,) = records.read_all(tmp_path)[0]
    records.write(tmp_path, replace(record, provenance=record.provenance | {"commit": "before"}))
    assert command(tmp_path, "--methods", "scn", "--retry-failed") == 1
    assert records.read_all(tmp_path)[0][0].provenance == record.provenance


def test_names_of_failed_probes_without_reasons_will_do(copy, asked):
    """As the first records had them."""
    path = next((copy / "runs/tiny/scn").glob("*/seed-0.json"))
    record = records.read(path)
    kept = {name: probe for name, probe in record.probes.items() if name == "diagnostics"}
    old = {"status": "failed", "reason": "probe linear: bent", "probes": kept}
    records.write(copy, replace(record, notes=record.notes | {"failed_probes": ["linear"]}, **old))
    assert command(copy, "--methods", "scn", "--retry-failed") == 0
    assert asked == ["linear"] and records.read(path).status == "ok"


def test_a_training_that_fails_again_may_go_on_from_its_checkpoints(copy, scn, monkeypatch):
    monkeypatch.setattr(training.Kernel, "fit", None)
    folder = copy / "cache/checkpoints" / scn.relative_to(copy / "runs").with_suffix("")
    folder.mkdir(parents=True)
    assert command(copy, "--methods", "scn", "--probes", "diagnostics") == 1
    assert "TypeError" in records.read(scn).reason and folder.exists()


def test_a_new_probe_is_asked_though_another_failed_before_which_stays_a_failure(tmp_path, capsys, broken_probe):
    assert command(tmp_path, "--methods", "scn", "--probes", "linear") == 1
    assert command(tmp_path, "--methods", "scn") == 1
    shown = capsys.readouterr().out
    assert "only diagnostics" in shown and "failed, probe linear: RuntimeError: the line is bent" in shown
    (record,) = records.read_all(tmp_path)[0]
    assert [*record.probes] == ["diagnostics"] and [*record.notes["failed_probes"]] == ["linear"]
    assert "the line is bent" in record.traceback
    assert command(tmp_path, "--methods", "scn", "--dry-run") == 0
    assert "1 failed before" in capsys.readouterr().out
    broken_probe()
    assert command(tmp_path, "--methods", "scn", "--retry-failed") == 0
    (mended,) = records.read_all(tmp_path)[0]
    assert {*mended.probes} == {"linear", "diagnostics"} and "failed_probes" not in mended.notes
    assert (mended.status, mended.reason, mended.traceback) == ("ok", None, None)


def test_of_two_commands_with_different_probes_each_asks_its_own(tmp_path):
    mine, theirs = (planned(tmp_path, tmp_path, name) for name in ("linear", "diagnostics"))
    assert [item.state for item in (mine, theirs)] == ["new", "new"]
    first = execute(tmp_path, tmp_path, theirs)
    record = execute(tmp_path, tmp_path, mine)
    assert {*record.probes} == {"linear", "diagnostics"}
    assert record.training == first.training


def test_what_another_command_has_done_as_it_was_asked_is_not_done_twice(copy, asked):
    items = [planned(copy, copy / "cache", "linear", reprobe=True) for _ in range(2)]
    first, second = (records.checksum(execute(copy, copy / "cache", item)) for item in items)
    assert first == second and asked == ["linear"]


@pytest.mark.parametrize("lost", [True, False])
def test_parameters_that_go_away_after_the_plan_mean_training_again(copy, monkeypatch, lost, asked):
    item = planned(copy, copy / "cache", "linear", reprobe=True)
    assert item.state == "reprobe"
    if lost:
        shutil.rmtree(copy / "cache/parameters")
    else:
        monkeypatch.setattr(training.Kernel, "fit", None)
    record = execute(copy, copy / "cache", item)
    assert record.status == "ok" and {*record.probes} == {"linear", "diagnostics"}
    assert asked == (["diagnostics", "linear"] if lost else ["linear"])


def test_a_worker_tells_of_what_is_done_by_now_and_refuses_what_it_does_not_plan(copy, monkeypatch):
    item = planned(copy, copy / "cache", "linear", "diagnostics")
    assert item.state == "done"
    monkeypatch.setattr("benchmark.grid.runs_under", lambda options, folder: [item.run])
    told = []
    teller = Namespace(run_finished=lambda record: told.append(record.path))
    options = Namespace(out=copy, retry_failed=False, reprobe=False)
    known = records.checksum(item.record)
    for checksum in (known, "of another record", None):
        task = {"folder": "", "runs": [[str(item.run.path), checksum]]}
        assert worker._items(options, task, copy / "cache", teller) == []
    assert told == [item.run.path] * 3
    again = Namespace(out=copy, retry_failed=False, reprobe=True)
    (to_do,) = worker._items(again, {"folder": "", "runs": [[str(item.run.path), known]]}, copy / "cache", teller)
    assert to_do.state == "reprobe"
    with pytest.raises(UserError, match=r"runs/far.json: .* its worker does not: a plug-in has changed"):
        worker._items(options, {"folder": "", "runs": [["runs/far.json", None]]}, copy / "cache", teller)
