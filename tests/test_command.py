"""The command, from a typing mistake to the tables, on a data set of a hundred small frames."""

import csv
import json
import os
import shutil
import sys
from collections import namedtuple
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from filelock import FileLock
from small import SMALL, command

from benchmark import parameters, plan, records, runner, training
from benchmark.check.look_alike import look_alike
from benchmark.command import main
from benchmark.configure import Configuration, parse_overrides
from benchmark.machine import memory
from benchmark.progress import PlainProgress
from benchmark.registry import datasets, methods, probes
from benchmark.report.writing import report
from benchmark.types import Metric, ProbeResult

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "setcn,scn"], "unknown method 'setcn'; did you mean 's"),
        (["--methods", "scnn"], "did you mean 'scn'?"),
        (["--methods", "all,scnn"], "unknown method 'scnn'; did you mean 'scn'?"),
        (["--methods", ","], "no method named"),
        (["--suite", "atary"], "unknown suite 'atary'; did you mean 'atari'?"),
        (["--datasets", "pongg"], "unknown data set 'pongg'; did you mean 'pong'? run_benchmark.py --list has all"),
        (["--budget", "quik"], "did you mean 'quick'?"),
        (["--seeds", "0"], "--seeds: '0' is not a whole number of at least 1"),
        (["--seeds", "99999999999999999"], "is more than 10000"),
        (["--seeds", "-2"], "--seeds"),
        (["--seeds", "many"], "'many'"),
        (
            ["--set", "methods.scn.slot_sise=3"],
            "field in --set 'methods.scn.slot_sise=3': 'slot_sise'; did you",
        ),
        (["--set", "methods.scm.slot_size=3"], "unknown method 'scm'"),
        (["--set", "method.scn.slot_size=3"], "did you mean 'methods'?"),
        (["--set", "methods.scn.slot_size"], "no '='"),
        (["--set", "methods.scn.slot_size=big"], "'big' is not a whole number"),
        (["--set", "methods.scn.slot_size=0"], "SCN: slot_size is 0"),
        (["--set", "methods.scn=5"], "names no field"),
        (["--set", "methods.*.slot_sise=3"], "did you mean 'slot_size'?"),
        (["--set", "datasets.pong.game=boxing"], "'pong' stands for game=pong"),
        (["--set", "methods.scn-saliency.diversity_weight=1"], "stands for diversity_weight=0.0"),
        (["--set", "probes.linear.ridge=1,big"], "is not one or more of a finite number"),
        (["--set", "probes.linear.floor_draws=0"], "floor_draws"),
        (["--seed", "3"], "unrecognized arguments: --seed 3; did you mean --seeds? --help lists the options"),
        (["--seeds", "0,1"], "--seeds: '0,1' is a list; give their number, 2 for the seeds 0 and 1"),
        (["--methods", "scn", "--methods", "cswm"], "--methods is given twice; name all in one list: --methods A,B"),
        (["--methods", "SCN"], "unknown method 'SCN'; did you mean 'scn'?"),
        (["--set", "scn=8"], "does not say what 'scn' is; write methods.scn.FIELD=VALUE"),
        (["-H"], "unrecognized arguments: -H; --help lists the options"),
        (["--set", "scn.slot_size=8"], "does not say what 'scn' is; write methods.scn.slot_size=8"),
        (["--methods", "scn,", "cswm"], "unrecognized arguments: cswm; a list has commas and no blanks"),
        (["--methods", "mine"], "slotwise-matched, supervised; one of your own needs --plugin FILE"),
        (["--plugin", "a.py,b.py"], "there is no such file; between several there are blanks"),
        (["--tune"], "nothing"),
        (
            ["--tune", "--suite", "synthetic", "--probes", "linear"],
            "leave --tune out, or add decoder to --probes",
        ),
        (["--dry-run", "--report-only"], "--dry-run and --report-only ask for different things"),
        (["--report-only", "--methods", "scnn"], "did you mean 'scn'?"),
        (["--set", "methods.scn.learning_rate=nan"], "'nan' is not a finite number"),
        (["--set", "methods.cswm.negative=past"], "one of next, current"),
        (["--set", "training.steps=-5"], "'-5' is not a whole number >= 0"),
        (["--set", "training.steps=0"], "training.steps is 0; it must be at least 1"),
        (["--set", "training.stepps=9"], "did you mean 'steps'?"),
        (["--set", f"training.steps=1{400 * '0'}"], "is not a whole number >= 0, at most 2147483647"),
        (["--set", "methods.setcon.tau=0"], "SetCon: tau is 0; it must be a finite number above 0"),
        (["--set", "methods.scn.learning_rate=0"], "SCN: learning_rate is 0; it must be a finite number above 0"),
        (["--set", "methods.cswm.margin=0"], "CSWM: margin is 0"),
        (
            ["--methods", "cswm", "--set", "methods.scn.slot_size=8"],
            "'methods.scn.slot_size=8': no run of this plan has",
        ),
        (["--set", "datasets.gridworld.num_frames=9"], "no run of this plan has 'gridworld'"),
        (["--probes", "linear", "--set", "probes.decoder.max_steps=3"], "no run of this plan has 'decoder'"),
        (["--scheduler-resources", "GPU=1"], "goes with --scheduler"),
        (["--out", ""], "an empty name is no folder"),
        (["--report-only"], "does not exist; name a folder that has records"),
        (["--seeds", "2", "--seeds", "3"], "--seeds is given twice; leave one of them out"),
        (["--budget", "smoke", "--budget", "quick"], "--budget is given twice; leave one of them out"),
        (["--set", "training.steps=5", "training.frames_per_step=64"], "=64; write --set before each"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate; --help lists the options"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_2_and_nothing_starts(tmp_path, capsys, arguments, message):
    assert main(["--out", str(tmp_path / "out"), *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and message in shown.err
    assert not (tmp_path / "out").exists()


def test_nothing_starts_where_no_option_is_given(capsys):
    assert main([]) == 2
    assert (
        "no option says what to run; --suite atari runs all methods on its games, --list has" in capsys.readouterr().err
    )


@pytest.mark.parametrize("more", [[], ["--report-only"]])
def test_an_output_folder_that_is_a_file_is_a_mistake(tmp_path, capsys, more):
    (tmp_path / "file").write_text("mine")
    assert main(["--out", str(tmp_path / "file"), *more]) == 2
    assert "choose another with --out" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_cache_that_cannot_be_written_is_a_mistake(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SLOTBENCH_CACHE", str(tmp_path / "file" / "cache"))
    assert command(tmp_path / "out") == 2
    assert "set SLOTBENCH_CACHE" in capsys.readouterr().err


def test_a_disk_too_small_for_the_frames_says_how_much_is_needed(tmp_path, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1))
    monkeypatch.setattr(tiny.Tiny, "missing", lambda self, cache: (2_000_000, 5))
    assert command(tmp_path) == 2
    assert "need about 2 MB" in capsys.readouterr().err


def test_dry_run_plans_and_starts_nothing(tmp_path, capsys):
    assert command(tmp_path / "out", "--dry-run", "--methods", "scn,cswm", "--seeds", "3") == 0
    assert "6 to run" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_all_among_names_means_all(capsys):
    assert main(["--methods", "scn,all", "--dry-run", "--budget", "smoke"]) == 0
    assert f"{len(list(methods)) * 20} runs" in capsys.readouterr().out


def test_a_run_that_no_probe_fits_is_skipped_with_the_reason(tmp_path, capsys):
    assert command(tmp_path / "out", "--methods", "scn", "--probes", "masks", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "1 skipped" in shown and "no probe to ask it (masks: " in shown


def test_a_step_has_a_whole_window_at_least(tmp_path, capsys):
    sizes = ["--suite", "synthetic", "--datasets", "gridworld", "--methods", "slotwise", "--dry-run"]
    asked = ["--out", str(tmp_path / "out"), *sizes, "--set"]
    assert main([*asked, "training.frames_per_step=8"]) == 0
    assert main([*asked, "training.frames_per_step=7"]) == 2
    told = "training.frames_per_step is 7, but slotwise on gridworld learns from 8 frames at once; set at least 8\n"
    assert capsys.readouterr().err == f"run_benchmark.py: {told}"
    assert main([*asked, "training.frames_per_step=8", "--set", "methods.slotwise.clip=9"]) == 2
    told = (
        "learns from 9 frames at once, but its clips have 8 and training.frames_per_step is 8; let it be fewer or, if"
    )
    assert told in capsys.readouterr().err


def test_a_plan_tells_the_share_of_the_papers_training_for_the_suites_own_data_alone(tmp_path, capsys):
    assert command(tmp_path / "out", "--methods", "scn", "--dry-run") == 0
    assert "\n  2 steps of 4 frames a run\n" in capsys.readouterr().out
    on_pong = ["pong" if word == "tiny" else word for word in SMALL]
    assert main([*on_pong, "--methods", "scn", "--dry-run", "--out", str(tmp_path / "out")]) == 0
    assert "\n  2 steps of 4 frames a run, 4e-05 % of the paper's training\n" in capsys.readouterr().out
    assert (
        main(["--methods", "scn", "--datasets", "pong", "--budget", "paper", "--dry-run", "--out", str(tmp_path)]) == 0
    )
    assert "\n  78125 steps of 256 frames a run, 100 % of the paper's training\n" in capsys.readouterr().out


def test_a_game_and_its_centred_form_have_their_frames_collected_once(tmp_path, monkeypatch):
    def collected(*names: str) -> int:
        runs = plan.runs(Configuration("atari", "smoke", (), ()), ["scn"], names, 1)
        return len(plan.collecting(plan.Item(run, "new") for run in runs))

    assert collected("pong", "pong-centred") == collected("pong") == 1
    assert collected("pong", "boxing") == collected("pong-centred", "boxing", "boxing-centred") == 2


def test_list_names_everything(capsys):
    assert main(["--list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for registry in (methods, datasets, probes) for name in registry)
    lines = shown.splitlines()
    (line,) = [line for line in lines if "scn-saliency" in line]
    assert line.startswith("  scn-saliency  ") and line.endswith("(diversity_weight=0.0)")
    (line,) = [line for line in lines if "Atari games seen by a random agent" in line]
    assert "game=" not in line and "pong, privateeye" in lines[lines.index(line) - 1] + lines[lines.index(line) - 2]


def content(out: Path) -> dict[Path, bytes]:
    return {p.relative_to(out): p.read_bytes() for top in ("runs", "tables") for p in sorted((out / top).rglob("*.*"))}


def test_every_run_has_a_record_with_its_facts(finished):
    found, damaged = records.read_all(finished)
    assert len(found) == 6 and not damaged
    for record in found:
        assert record.status == "ok" and record.metrics and record.provenance["threads"] >= 1
        assert record.training["steps"] == (0 if record.method == "random-cnn" else 2)
        assert record.training["frames"] == record.training["steps"] * 4
        assert {"train", "freeze", "probe", "total"} <= set(record.timing)


def test_the_figures_of_its_suite_come_as_png_and_pdf(finished):
    drawn = {p.name for p in (finished / "figures").rglob("*.*") if p.name != "drawn.json"}
    names = ("learning-curves", "table3-r2", "heat-map-r2-ridge", "importance")
    assert drawn == {f"{name}.{ending}" for name in names for ending in ("png", "pdf")}


def test_tables_come_in_three_forms(finished):
    assert {p.suffix for p in (finished / "tables" / "atari-smoke").iterdir()} == {".tex", ".md", ".csv"}


def test_checkpoints_that_a_kill_left_beside_a_record_are_removed_by_the_next_command(copy):
    (record,) = copy.glob("runs/tiny/scn/*/seed-0.json")
    checkpoints = copy / "cache" / "checkpoints" / "tiny" / "scn"
    left, of_another_grid = checkpoints / record.parent.name / "seed-0", checkpoints / "0" / "seed-0"
    for folder in (left, of_another_grid):
        (folder / "1").mkdir(parents=True)
    assert command(copy, "--methods", "scn") == 0
    assert left.exists()  # it is younger than the record: of a training for another output folder
    before = record.stat().st_mtime - 1
    for folder in (left, of_another_grid):
        os.utime(folder, (before, before))
    assert command(copy, "--methods", "scn") == 0
    assert not left.exists() and of_another_grid.exists()


def test_room_is_asked_for_where_the_frames_are_collected(tmp_path, capsys, monkeypatch):
    engine = SimpleNamespace(lanes=1, out=tmp_path, execute=lambda items, display: iter(()))
    monkeypatch.setattr("benchmark.command.choose_engine", lambda *arguments: engine)
    monkeypatch.setattr(tiny.Tiny, "missing", lambda self, cache: (10**6, 9))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**5))
    assert command(tmp_path, "--methods", "scn") == 2
    assert "need about 1 MB" in capsys.readouterr().err
    assert command(tmp_path, "--methods", "scn", "--scheduler", "far:1") == 0


def test_the_plan_says_what_memory_its_processes_take_and_whether_it_is_there(tmp_path, capsys, monkeypatch):
    def plan(*more: str) -> str:
        assert command(tmp_path, "--dry-run", "--methods", "scn", *more) == 0
        return capsys.readouterr().out

    monkeypatch.setattr("benchmark.command.memory", lambda: 5_000_000_000)
    assert "GB" not in plan("--workers", "2")
    monkeypatch.setattr(tiny.Tiny, "held", lambda self: 2_000_000_000)
    assert "about 4.0 GB of memory, 2.0 GB of frames in each process; 5.0 GB are here" in plan()
    told = plan("--workers", "2")
    assert "about 8.0 GB of memory" in told and "only 5.0 GB are here: give fewer --workers, or take fewer" in told
    monkeypatch.setattr("benchmark.command.memory", lambda: 2_000_000_000)
    assert "only 2.0 GB are here: take fewer frames" in plan()
    engine = SimpleNamespace(lanes=9, out=tmp_path)
    monkeypatch.setattr("benchmark.command.choose_engine", lambda *arguments: engine)
    assert "GB" not in plan("--scheduler", "far:1")
    assert 10**8 < memory() < 10**15


def test_the_same_command_again_changes_no_byte(copy, capsys):
    before = content(copy)
    assert command(copy, "--methods", "random-cnn,scn,supervised", "--seeds", "2") == 0
    assert "6 done" in capsys.readouterr().out
    assert content(copy) == before


def test_another_seed_adds_to_what_is_there(copy):
    before = content(copy)
    assert command(copy, "--methods", "scn", "--seeds", "3") == 0
    runs = {path: data for path, data in content(copy).items() if path.parts[0] == "runs"}
    assert len([p for p in runs if p.suffix == ".json"]) == 7
    assert all(runs[path] == data for path, data in before.items() if path.parts[0] == "runs")


def test_the_same_seed_gives_the_same_numbers_in_a_fresh_folder(finished, tmp_path):
    command(tmp_path, "--methods", "scn")
    (again,) = records.read_all(tmp_path)[0]
    first = records.read(finished / again.path)
    assert again.metrics == first.metrics and again.curve == first.curve


def test_report_only_rebuilds_the_tables_byte_for_byte(copy):
    before = content(copy)
    shutil.rmtree(copy / "tables")
    assert main(["--report-only", "--out", str(copy)]) == 0
    assert content(copy) == before


def test_report_only_shows_the_methods_data_sets_and_suites_that_are_named(copy, capsys):
    def shown(*arguments: str) -> set[str]:
        assert main(["--report-only", "--out", str(copy), *arguments]) == 0
        (table,) = (copy / "tables").rglob("cross-r2-ridge.csv")
        return {line["column"].split()[0] for line in csv.DictReader(table.open())}

    everyone = {"random-cnn", "scn", "supervised"}
    assert shown() == shown("--methods", "all", "--datasets", "tiny") == everyone
    assert shown("--methods", "scn,cswm") == {"scn"}
    capsys.readouterr()
    assert shown("--budget", "smoke") == everyone
    assert capsys.readouterr().err == ""
    assert shown("--seeds", "1", "--set", "training.steps=9", "--probes", "linear") == everyone
    assert capsys.readouterr().err.endswith("of what is named; not heeded: --seeds, --set, --probes\n")
    for nothing in (["--methods", "setcon"], ["--datasets", "pong"], ["--suite", "worlds"], ["--budget", "paper"]):
        assert main(["--report-only", "--out", str(copy), *nothing]) == 2
        assert "records under" in (told := capsys.readouterr().err) and "is of the methods, data sets" in told


def test_report_only_of_a_folder_with_other_files_leaves_them_alone(tmp_path, capsys):
    page = tmp_path / "report.html"
    page.write_text("mine")
    assert main(["--report-only", "--out", str(tmp_path)]) == 2
    assert "has no records; with --out name a folder with `runs` in it" in capsys.readouterr().err
    assert page.read_text() == "mine" and [*tmp_path.iterdir()] == [page]


def test_report_only_of_an_empty_folder_says_so(tmp_path, capsys):
    assert main(["--report-only", "--out", str(tmp_path)]) == 0
    assert "no records" in capsys.readouterr().out


def test_report_only_of_the_folder_above_names_those_that_have_records(copy, capsys):
    above = copy.parent / "above"
    shutil.copytree(copy, above / "mine")
    assert main(["--report-only", "--out", str(above)]) == 2
    assert f"has no records; with --out name {above / 'mine'}" in capsys.readouterr().err
    assert not (above / "report.html").exists()


@pytest.mark.parametrize("damage", [lambda d: d[:50], lambda d: d.replace(b"scn", b"abc"), lambda d: b""])
def test_a_damaged_record_is_set_aside_and_the_run_done_again(copy, capsys, damage):
    path = next((copy / "runs/tiny/scn").glob("*/seed-0.json"))
    before = records.read(path)
    path.write_bytes(damage(path.read_bytes()))
    assert command(copy, "--methods", "scn", "--seeds", "2") == 0
    assert "set aside" in capsys.readouterr().out
    assert path.with_name("seed-0.json.damaged-1").exists()
    assert records.read(path).metrics == before.metrics


def test_a_changed_probe_asks_again_without_training(copy, capsys, monkeypatch):
    path = next((copy / "runs/tiny/scn").glob("*/seed-0.json"))
    before = records.read(path)
    monkeypatch.setattr(probes.entry("linear")[0], "version", 999)
    monkeypatch.setattr(training.Kernel, "fit", None)
    assert command(copy, "--methods", "scn", "--seeds", "2") == 0
    assert "2 to probe again on kept parameters" in capsys.readouterr().out
    after = records.read(path)
    assert after.probes["linear"]["configuration"]["version"] == 999
    assert after.metrics == before.metrics and after.training == before.training
    assert after.notes == before.notes


def test_a_new_or_changed_probe_is_asked_alone_and_the_arrays_of_the_others_stay(copy, capsys, monkeypatch, asked):
    path = next((copy / "runs/tiny/scn").glob("*/seed-0.json"))
    before, arrays = records.read(path), path.with_suffix(".npz").read_bytes()
    monkeypatch.setattr(probes.entry("diagnostics")[0], "version", 999)
    monkeypatch.setattr(training.Kernel, "fit", None)
    assert command(copy, "--methods", "scn") == 0
    assert asked == ["diagnostics"]
    assert "reprobe: scn (1): only diagnostics" in capsys.readouterr().out
    after = records.read(path)
    assert (after.metrics, after.notes) == (before.metrics, before.notes)
    assert path.with_suffix(".npz").read_bytes() == arrays
    assert command(copy, "--methods", "scn", "--dry-run") == 0
    assert "1 done" in capsys.readouterr().out


def test_all_probes_are_asked_again_on_request_or_where_the_arrays_are_lost(copy, monkeypatch, asked):
    monkeypatch.setattr(training.Kernel, "fit", None)
    assert command(copy, "--methods", "scn", "--reprobe") == 0
    assert asked == ["linear", "diagnostics"]
    next((copy / "runs/tiny/scn").glob("*/seed-0.npz")).unlink()
    monkeypatch.setattr(probes.entry("diagnostics")[0], "version", 999)
    assert command(copy, "--methods", "scn") == 0
    assert asked == ["linear", "diagnostics"] * 2


def test_one_command_at_a_time_writes_tables_and_the_last_one_knows_all_records(copy):
    (record, *_) = records.read_all(copy)[0]
    table = copy / "tables/atari-smoke/cross-r2-ridge.md"
    with FileLock(copy / ".report.lock"):
        other = Thread(target=report, args=(copy,))
        other.start()
        other.join(0.5)
        assert other.is_alive() and "written-late" not in table.read_text()
        records.write(copy, replace(record, dataset="written-late"))
    other.join()
    assert "written-late" in table.read_text()


@pytest.mark.parametrize("error", [NotImplementedError, OSError])
def test_where_nothing_can_be_locked_tables_are_written_all_the_same(copy, monkeypatch, error):
    def acquire(self, **how):
        raise error

    monkeypatch.setattr(FileLock, "acquire", acquire)
    (copy / "report.html").unlink()
    report(copy)
    assert (copy / "report.html").exists()


def test_damaged_arrays_are_named_and_made_again_while_parameters_are_kept(copy, capsys, monkeypatch, asked):
    monkeypatch.setattr(training.Kernel, "fit", None)
    arrays = next((copy / "runs/tiny/scn").glob("*/seed-0.npz"))
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:-1])
    assert main(["--report-only", "--out", str(copy)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"left out: {arrays.relative_to(copy)}: damaged")
    assert command(copy, "--methods", "scn") == 0
    shown = capsys.readouterr()
    assert "its arrays for figures are damaged" in shown.out and "left out" not in shown.err
    assert asked == ["linear", "diagnostics"] and arrays.read_bytes() == whole


def test_a_probe_whose_arrays_were_damaged_is_asked_again_though_others_were_asked_first(copy, asked):
    arrays = next((copy / "runs/tiny/scn").glob("*/seed-0.npz"))
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:-1])
    assert command(copy, "--methods", "scn", "--probes", "diagnostics") == 0
    assert asked == ["diagnostics"]
    assert command(copy, "--methods", "scn") == 0
    assert asked == ["diagnostics", "linear"] and arrays.read_bytes() == whole


def test_damaged_arrays_alone_are_no_reason_to_train_again(copy, capsys):
    next((copy / "runs/tiny/scn").glob("*/seed-0.npz")).write_bytes(b"x")
    for path in (copy / "cache/parameters").rglob("*.npz"):
        path.unlink()
    assert command(copy, "--methods", "scn", "--dry-run") == 0
    assert "1 done" in capsys.readouterr().out


def test_reprobe_asks_again_though_nothing_changed(copy, capsys, monkeypatch):
    monkeypatch.setattr(training.Kernel, "fit", None)
    assert command(copy, "--methods", "scn", "--reprobe") == 0
    assert "1 to probe again" in capsys.readouterr().out


@pytest.mark.parametrize("again", [["--probes", "diagnostics", "--reprobe"], ["--reprobe"]])
def test_a_record_has_the_seconds_of_all_answers_that_stand_in_it(copy, again):
    path = next((copy / "runs/tiny/scn").glob("*/seed-0.json"))
    spent = {"load": 1.0, "compile": 2.0, "train": 3.0, "freeze": 4.0, "probe": 1e6}
    records.write(copy, replace(records.read(path), timing=spent | {"total": sum(spent.values())}))
    assert command(copy, "--methods", "scn", *again) == 0
    timing = records.read(path).timing
    assert (timing["compile"], timing["train"]) == (2, 3)
    assert (timing["probe"] > 1e6) == ("--probes" in again)  # of all that are asked again nothing stays
    assert timing.pop("total") == pytest.approx(sum(timing.values()))


def test_damaged_parameters_mean_training_again(copy, capsys, monkeypatch):
    for path in (copy / "cache/parameters").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert command(copy, "--methods", "scn", "--reprobe", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "1 to run" in shown and "trained again" in shown


def test_parameters_are_kept_beside_the_record_on_request(tmp_path):
    assert command(tmp_path, "--methods", "scn", "--keep-params") == 0
    (record,) = records.read_all(tmp_path)[0]
    kept = (tmp_path / record.path).with_suffix(".parameters.npz")
    assert parameters.intact(kept, record.training["parameters_sha256"])


@dataclass(frozen=True, kw_only=True)
class Faulty(methods.entry("scn")[0]):
    """SCN with a fault."""

    fault: str = "raises"

    def loss(self, model, batch, key):
        if self.fault == "raises":
            raise RuntimeError("the slots fell over")
        if self.fault == "exits":
            sys.exit("the slots are gone")
        loss, logs = super().loss(model, batch, key)
        return loss * jnp.nan, logs


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setitem(methods._entries, "a-raises", (Faulty, {}))
    monkeypatch.setitem(methods._entries, "b-diverges", (Faulty, {"fault": "diverges"}))


@dataclass(frozen=True, kw_only=True)
class Leaving(probes.entry("linear")[0]):
    """A probe that exits where it is asked for something."""

    at: str = "call"

    def __call__(self, *arguments):
        sys.exit()

    def pixels_learned(self, spec):
        return sys.exit() if self.at == "plan" else 0


def test_an_exit_in_a_probe_leaves_the_answers_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setitem(probes._entries, "leaving", (Leaving, {}))
    assert command(tmp_path, "--methods", "random-cnn", "--probes", "leaving,linear") == 1
    (record,) = records.read_all(tmp_path)[0]
    assert record.reason.startswith(f"probe leaving: SystemExit: exit() ({__file__}, line ")
    assert {row["probe"] for row in record.metrics} == {"linear"}


def test_an_exit_in_a_data_set_fails_its_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.entry("tiny")[0], "load", lambda self, cache, report: sys.exit("no frames"))
    assert command(tmp_path, "--methods", "random-cnn", "--seeds", "2") == 1
    assert {record.reason.partition(" (")[0] for record in records.read_all(tmp_path)[0]} == {"SystemExit: no frames"}


def test_an_exit_while_seeds_are_trained_together_is_one_of_each(tmp_path, monkeypatch):
    monkeypatch.setitem(methods._entries, "a-exits", (Faulty, {"fault": "exits"}))
    assert command(tmp_path, "--methods", "a-exits", "--seeds", "2", "--seeds-together", "2") == 1
    assert [record.status for record in records.read_all(tmp_path)[0]] == ["failed", "failed"]


@pytest.mark.parametrize("asked", ["supports", "pixels", "tune"])
def test_an_exit_where_a_plan_asks_is_one_line(tmp_path, capsys, monkeypatch, asked):
    monkeypatch.setitem(probes._entries, "leaving", (Leaving, {"at": "plan" if asked == "pixels" else "call"}))
    if asked != "pixels":
        monkeypatch.setattr(methods.entry("scn")[0], "supports", lambda self, spec: sys.exit("not today"))
    options = {"pixels": ["--probes", "leaving"], "tune": ["--tune", "--suite", "synthetic"]}.get(asked, [])
    assert command(tmp_path, "--methods", "scn", *options, "--dry-run") == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "it raises SystemExit: " in shown and __file__ in shown


def test_an_exit_in_a_method_ends_its_run_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setitem(methods._entries, "a-exits", (Faulty, {"fault": "exits"}))
    assert command(tmp_path, "--methods", "a-exits,random-cnn") == 1
    found = {record.method: record for record in records.read_all(tmp_path)[0]}
    assert found["random-cnn"].status == "ok" and found["a-exits"].status == "failed"
    assert found["a-exits"].reason.startswith(f"SystemExit: the slots are gone ({__file__}, line ")


def test_a_failed_run_is_recorded_the_rest_goes_on_and_the_exit_code_is_1(tmp_path, capsys, faulty):
    assert command(tmp_path, "--methods", "a-raises,b-diverges,scn") == 1
    found = {record.method: record for record in records.read_all(tmp_path)[0]}
    assert found["scn"].status == "ok"
    assert found["a-raises"].status == "failed" and "fell over" in found["a-raises"].traceback
    assert found["b-diverges"].reason.startswith("DivergedError: the loss is nan at step 1")
    assert found["b-diverges"].metrics == []
    assert command(tmp_path, "--methods", "a-raises,b-diverges,scn") == 1
    assert "2 failed before; --retry-failed" in capsys.readouterr().out


def test_facts_that_no_record_can_hold_fail_their_runs_and_the_rest_goes_on(tmp_path, monkeypatch):
    load = tiny.Tiny.load

    def with_an_array(self, cache, report):
        splits = load(self, cache, report)
        return replace(splits, facts={**splits.facts, "frames": np.ones(3)})

    monkeypatch.setattr(tiny.Tiny, "load", with_an_array)
    assert command(tmp_path, "--methods", "random-cnn,scn") == 1
    found = records.read_all(tmp_path)[0]
    assert len(found) == 2 and all("ndarray is not JSON serializable" in record.reason for record in found)


def test_frames_of_another_shape_than_the_spec_says_fail_their_runs(tmp_path, monkeypatch):
    spec = tiny.Tiny.spec
    monkeypatch.setattr(tiny.Tiny, "spec", lambda self: replace(spec(self), frame_shape=(84, 84, 1)))
    monkeypatch.setattr(
        tiny.Tiny, "load", lambda self, cache, report: replace(look_alike(spec(self), 9), spec=self.spec())
    )
    assert command(tmp_path, "--methods", "random-cnn") == 1
    (record,) = records.read_all(tmp_path)[0]
    assert f"{tiny.__file__}: train.read gave frames of (1, 4, 84, 84, 3); expected" in record.reason


def test_a_probe_that_fails_costs_no_training(tmp_path, capsys, monkeypatch, broken_probe):
    assert command(tmp_path, "--methods", "scn") == 1
    (record,) = records.read_all(tmp_path)[0]
    file = Path(__file__).with_name("conftest.py")
    line = 1 + file.read_text().split('RuntimeError("the line is bent")')[0].count("\n")
    assert record.reason == f"probe linear: RuntimeError: the line is bent ({file}, line {line})"
    assert record.curve and record.training["steps"] == 2
    assert {name: len(part) for name, part in record.training["loss_parts"].items()} == {"diversity": 2, "saliency": 2}
    broken_probe()
    monkeypatch.setattr(training.Kernel, "fit", None)
    assert command(tmp_path, "--methods", "scn", "--retry-failed") == 0
    assert "1 to probe again on kept parameters" in capsys.readouterr().out
    (mended,) = records.read_all(tmp_path)[0]
    assert mended.status == "ok" and mended.reason is None and mended.metrics and mended.curve == record.curve


def test_a_failing_reprobe_keeps_what_the_record_held_and_is_a_failure_until_mended(copy, capsys, broken_probe):
    path = next((copy / "runs/tiny/scn").glob("*/seed-0.json"))
    before = records.read(path)
    assert command(copy, "--methods", "scn", "--reprobe") == 1
    after = records.read(path)
    assert after.status == "failed" and "bent" in after.traceback
    assert (after.metrics, after.training, after.curve) == (before.metrics, before.training, before.curve)
    assert command(copy, "--methods", "scn", "--reprobe", "--dry-run") == 0  # all can be asked again as before
    assert "1 to probe again on kept parameters" in capsys.readouterr().out
    assert command(copy, "--methods", "scn") == 1  # it is still a run that failed
    assert "1 failed before" in capsys.readouterr().out
    broken_probe()
    assert command(copy, "--methods", "scn", "--retry-failed") == 0
    assert "only linear" in capsys.readouterr().out
    mended = records.read(path)
    assert (mended.status, mended.metrics, mended.probes) == ("ok", before.metrics, before.probes)


def test_the_failure_of_a_probe_that_is_known_no_more_goes_when_the_run_is_asked_again(copy):
    path = next((copy / "runs/tiny/scn").glob("*/seed-0.json"))
    before = records.read(path)
    lost = {
        "status": "failed",
        "reason": "probe gone: it raised",
        "notes": before.notes | {"failed_probes": {"gone": "x"}},
    }
    records.write(copy, replace(before, **lost))
    assert command(copy, "--methods", "scn", "--retry-failed") == 0
    after = records.read(path)
    assert (after.status, after.reason, after.metrics) == ("ok", None, before.metrics)
    assert "failed_probes" not in after.notes


def test_a_probe_that_fails_takes_no_other_with_it_and_alone_is_asked_again(tmp_path, capsys, broken_probe):
    assert [*plan.runs(Configuration("atari", "smoke"), ["scn"], ["tiny"], 1)[0].probes] == ["linear", "diagnostics"]
    assert command(tmp_path, "--methods", "scn") == 1
    (record,) = records.read_all(tmp_path)[0]
    assert record.status == "failed" and {row["probe"] for row in record.metrics} == {"diagnostics"}
    shown = capsys.readouterr().out
    assert (
        f"the last in {tmp_path / record.path};" in shown
        and "1 runs 1 failed, of which what other probes answered" in shown
    )
    assert command(tmp_path, "--methods", "scn", "--probes", "diagnostics", "--dry-run") == 0
    assert "1 done" in capsys.readouterr().out  # what is asked now has not failed
    assert command(tmp_path, "--methods", "scn", "--dry-run") == 0
    assert "1 failed before" in capsys.readouterr().out
    broken_probe()
    assert command(tmp_path, "--methods", "scn", "--retry-failed") == 0
    assert "only linear" in capsys.readouterr().out
    (mended,) = records.read_all(tmp_path)[0]
    assert [row for row in mended.metrics if row["probe"] != "linear"] == record.metrics
    assert mended.probes.keys() == {"linear", "diagnostics"} and mended.status == "ok"


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "high"])
def test_a_probe_that_gives_no_number_fails_its_run_and_no_other(tmp_path, monkeypatch, value):
    linear = probes.entry("linear")[0]
    monkeypatch.setattr(linear, "__call__", lambda *a: ProbeResult((Metric("r2", "all", value),)))
    assert command(tmp_path, "--methods", "random-cnn,scn") == 1
    found = records.read_all(tmp_path)[0]
    assert [record.status for record in found] == ["failed", "failed"] and all(r.training for r in found)


def test_a_part_that_is_the_whole_loss_is_not_kept_beside_it(tmp_path):
    assert command(tmp_path, "--methods", "scn-saliency") == 0
    (record,) = records.read_all(tmp_path)[0]
    assert [*record.training["loss_parts"]] == ["diversity"]


def test_a_part_of_the_loss_that_is_no_number_is_named(tmp_path, capsys, monkeypatch):
    scn = methods.entry("scn")[0]
    loss = scn.loss

    def with_nan(self, model, batch, key):
        whole, parts = loss(self, model, batch, key)
        return whole, parts | {"saliency": jnp.nan}

    monkeypatch.setattr(scn, "loss", with_nan)
    assert command(tmp_path, "--methods", "scn") == 0
    assert "tiny, scn, seed 0: of the loss's parts saliency is not always finite" in capsys.readouterr().out
    (record,) = records.read_all(tmp_path)[0]
    assert record.training["loss_parts"]["saliency"] == [None, None]


def test_runs_of_one_method_with_two_learning_rates_train_differently(tmp_path):
    def run(rate):
        overrides = parse_overrides([f"methods.scn.learning_rate={rate}", *SMALL[3:4], *SMALL[5:6]])
        return plan.runs(Configuration("atari", "smoke", tuple(overrides)), ["scn"], ["tiny"], seeds=1)[0]

    items = [plan.Item(run(rate), "new") for rate in (1e-3, 1e-2)]
    quiet = PlainProgress({}).lane()
    curves = [record.curve for record in runner.Runner(tmp_path, tmp_path, quiet).execute(items)]
    assert curves[0][0] == curves[1][0] and curves[0][1] != curves[1][1]


def test_a_setting_for_all_reaches_those_that_have_the_field(tmp_path, capsys):
    assert main([*SMALL[:2], "--dry-run", "--out", str(tmp_path), "--set", "methods.*.encoder=fm_mlp"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*SMALL[:2], "--dry-run", "--out", str(tmp_path), "--set", "datasets.*.train_frames=500"]) == 0
    assert capsys.readouterr().err.count("none of the datasets of this plan has that field") == 1


def test_verbose_says_what_is_applied(tmp_path, capsys):
    assert command(tmp_path, "--methods", "random-cnn", "--verbose") == 0
    shown = capsys.readouterr().out
    assert "compiler options" in shown and "runs/tiny/random-cnn" in shown
    assert shown.count("\n  method random-cnn: version=1, ") == 1
    assert shown.count("\n  data set tiny: version=1, clips=25, ") == 1
    assert "\n  training: steps=2, frames_per_step=4, " in shown and "\n  probe linear: version=" in shown


def test_parameters_of_what_is_probed_again_are_kept_too(copy):
    assert command(copy, "--methods", "scn", "--reprobe", "--keep-params") == 0
    assert [path.name for path in (copy / "runs").rglob("*.parameters.npz")] == ["seed-0.parameters.npz"]


def test_parameters_beside_the_record_do_where_the_cache_is_lost(tmp_path, capsys, monkeypatch):
    assert command(tmp_path, "--methods", "scn", "--keep-params") == 0
    monkeypatch.setenv("SLOTBENCH_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(training.Kernel, "fit", None)
    assert command(tmp_path, "--methods", "scn", "--reprobe") == 0


def test_retry_failed_runs_them_again(tmp_path, monkeypatch, faulty):
    assert command(tmp_path, "--methods", "a-raises") == 1
    monkeypatch.setattr(Faulty, "loss", methods.entry("scn")[0].loss)
    assert command(tmp_path, "--methods", "a-raises") == 1
    assert command(tmp_path, "--methods", "a-raises", "--retry-failed") == 0


def test_a_data_set_that_cannot_be_had_fails_its_runs_only(tmp_path, capsys):
    assert command(tmp_path, "--methods", "scn", "--set", "datasets.tiny.broken=true") == 1
    (record,) = records.read_all(tmp_path)[0]
    assert record.reason == f"RuntimeError: the disk with the squares is gone ({tiny.__file__}, line 39)"


def test_a_record_that_the_disk_cannot_take_ends_the_command_with_one_line(tmp_path, capsys, monkeypatch):
    def full(out, record):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records, "write", full)
    assert command(tmp_path, "--methods", "scn") == 2
    assert "No space left on device" in capsys.readouterr().err


def test_interrupting_keeps_what_is_finished_and_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    fit, calls = training.Kernel.fit, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(self, *arguments)

    monkeypatch.setattr(training.Kernel, "fit", interrupted)
    assert command(tmp_path, "--methods", "random-cnn,scn") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert [record.method for record in records.read_all(tmp_path)[0]] == ["random-cnn"]
    assert command(tmp_path, "--methods", "random-cnn,scn") == 0
    assert "1 done" in capsys.readouterr().out


def test_a_run_with_other_settings_is_another_run_named_by_what_differs(copy):
    assert command(copy, "--methods", "scn", "--set", "methods.scn.diversity_weight=0.5") == 0
    text = (copy / "tables").rglob("*.md")
    assert any("diversity_weight=0.5" in path.read_text() for path in text)


def test_a_record_is_strict_json(finished):
    path = next(finished.glob("runs/tiny/scn/*/seed-0.json"))
    assert json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_missing_rom_is_a_mistake_before_anything_starts(tmp_path, capsys, monkeypatch):
    import ale_py.roms

    monkeypatch.setenv("SLOTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(ale_py.roms, "get_rom_path", lambda rom: None)
    assert main(["--datasets", "pong", "--budget", "smoke", "--out", str(tmp_path / "out")]) == 2
    assert "has no ROM 'pong'" in capsys.readouterr().err
    assert not (tmp_path / "out" / "runs").exists()


def test_a_run_that_is_asked_again_in_another_suite_is_of_that_suite(copy):
    path = next((copy / "runs/tiny/random-cnn").glob("*/seed-0.json"))
    assert records.read(path).suite == "atari"
    assert command(copy, "--methods", "random-cnn", "--suite", "worlds", "--reprobe") == 0
    assert records.read(path).suite == "worlds"
