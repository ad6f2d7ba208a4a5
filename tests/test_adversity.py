"""A full disk, a terminal that has gone, a folder that may not be read, an error without a text: one line says it, and
nothing that is done is lost.
"""

import io
import json
import os
import shutil
import sys
from dataclasses import replace
from errno import EIO, ENOSPC
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from filelock import FileLock
from small import command

from benchmark import errors, parameters, records
from benchmark.command import main
from benchmark.estimate import Timings
from benchmark.machine import cache_folder, set_up_jax
from benchmark.progress import Heard, progress_for, say
from benchmark.registry import methods, probes
from benchmark.report import writing
from benchmark.types import Metric, ProbeResult

pytestmark = pytest.mark.usefixtures("no_figures")


def full(*arguments):
    raise OSError(ENOSPC, "No space left on device")


def path_of(out, method="scn"):
    return next((out / "runs/tiny" / method).glob("*/seed-0.json"))


def test_where_the_cache_has_no_room_for_parameters_the_run_is_done_and_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(parameters, "save", full)
    assert command(tmp_path, "--methods", "random-cnn") == 0
    assert "no parameters kept in" in (shown := capsys.readouterr().out) and "set SLOTBENCH_CACHE to" in shown
    record = records.read(path_of(tmp_path, "random-cnn"))
    assert record.status == "ok" and record.metrics and record.training["parameters_sha256"] is None
    monkeypatch.undo()
    assert command(tmp_path, "--methods", "random-cnn", "--reprobe") == 0  # trained again, as nothing was kept
    assert records.read(path_of(tmp_path, "random-cnn")).training["parameters_sha256"]


def test_where_the_cache_has_no_room_parameters_are_still_kept_beside_the_record(tmp_path, monkeypatch):
    save = parameters.save
    monkeypatch.setattr(parameters, "save", lambda to, model: save(to, model) if tmp_path in to.parents else full())
    assert command(tmp_path, "--methods", "random-cnn", "--keep-params") == 0
    record = records.read(path_of(tmp_path, "random-cnn"))
    kept = path_of(tmp_path, "random-cnn").with_name("seed-0.parameters.npz")
    assert parameters.intact(kept, record.training["parameters_sha256"])


def test_where_arrays_cannot_be_written_no_run_is_blamed(tmp_path, capsys, monkeypatch):
    result = ProbeResult((Metric("r2", "all", 0.5),), {"few": np.arange(3)})
    monkeypatch.setattr(probes.entry("linear")[0], "__call__", lambda *arguments: result)
    save = parameters.save_named
    with monkeypatch.context() as patch:
        patch.setattr(parameters, "save_named", lambda to, named: full() if tmp_path in to.parents else save(to, named))
        assert command(tmp_path, "--methods", "random-cnn") == 2
    assert "the arrays for figures runs/tiny/random-cnn" in (shown := capsys.readouterr().err) and "make room" in shown
    assert shown.count("\n") == 1 and records.read_all(tmp_path)[0] == []
    assert command(tmp_path, "--methods", "random-cnn") == 0


@pytest.mark.parametrize("error", [OSError(EIO, "Input/output error"), BrokenPipeError(), OSError(ENOSPC, "full")])
def test_work_goes_on_when_nobody_hears_of_it(error, monkeypatch):
    lost = []

    class Gone(io.StringIO):
        def write(self, text):
            lost.append(text)
            raise error

        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Gone())
    say("hello")
    Heard(Gone()).flush()
    with progress_for({}) as display:
        display.bars.console.print("a run that failed")
        display.lane().note("hello")
    assert "hello" in lost and any("a run that failed" in text for text in lost)


def test_what_a_screen_has_no_sign_for_is_replaced(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert main(["--list"]) == 0
    say("größe")
    assert b"gr??e" in sys.stdout.buffer.getvalue()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_list_that_cannot_be_written_is_a_mistake(capfd, monkeypatch):
    with open("/dev/full", "w") as there:
        monkeypatch.setattr(sys, "stdout", there)
        assert main(["--list"]) == 2
    assert capfd.readouterr().err == (
        "run_benchmark.py: the output: No space left on device; name a place that can be used\n"
    )


def test_a_command_may_have_no_output_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["--list"]) == 0
    assert command(tmp_path, "--methods", "random-cnn") == 0


def test_a_path_that_may_not_be_used_is_one_line(capsys, monkeypatch):
    def refused(plugins):
        raise PermissionError(13, "Permission denied", "theirs/x.py")

    monkeypatch.setattr("benchmark.command.load_plugins", refused)
    assert main(["--list"]) == 2
    assert (
        capsys.readouterr().err == "run_benchmark.py: 'theirs/x.py': Permission denied; name a place that can be used\n"
    )


def test_a_record_that_may_be_whole_is_not_set_aside(copy, capsys, monkeypatch):
    path = path_of(copy)
    later = path.read_bytes().replace(b'"schema": 1', b'"schema": 2')
    path.write_bytes(later)
    assert command(copy, "--methods", "scn", "--seeds", "2") == 2
    assert "schema 2, this version reads 1; it may be whole" in (shown := capsys.readouterr().err)
    assert shown.count("\n") == 1 and path.read_bytes() == later
    path.write_bytes(later.replace(b'"schema": 2', b'"schema": 1'))
    read = type(path).read_bytes
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "read_bytes", lambda self: _refuse(self) if self == path else read(self))
        assert command(copy, "--methods", "scn", "--seeds", "2") == 2
        assert "cannot be read (Permission denied); it may be whole" in capsys.readouterr().err
    assert command(copy, "--methods", "scn", "--seeds", "2", "--dry-run") == 0
    assert not list(path.parent.glob("*damaged*"))


def _refuse(path, *arguments):
    raise PermissionError(13, "Permission denied", str(path))


def test_a_folder_of_records_that_cannot_be_read_is_named(copy, monkeypatch):
    scandir, hidden = os.scandir, path_of(copy).parent
    whole = len(records.read_all(copy)[0])
    monkeypatch.setattr(os, "scandir", lambda place: _refuse(place) if str(place) == str(hidden) else scandir(place))
    good, damaged = records.read_all(copy)
    assert 0 < len(good) < whole
    assert [(str(place), why) for place, why in damaged] == [(str(hidden), "cannot be read (Permission denied)")]


def test_only_records_are_read_also_through_links(copy, tmp_path):
    everything = [record.path for record in records.read_all(copy)[0]]
    (linked := tmp_path / "linked").mkdir()
    (linked / "runs").mkdir()
    (linked / "runs/tiny").symlink_to(copy / "runs/tiny")
    (linked / "runs/seed-0.json").write_text("{}")
    shutil.copytree(copy / "runs", linked / "runs/runs")  # as `cp -r A/runs B/runs` leaves it
    for name in "ab":
        (linked / "runs" / name).symlink_to(linked / "runs")
    assert [record.path for record in records.read_all(linked)[0]] == everything
    assert records.read_all(tmp_path / "nothing") == ([], [])


def test_a_record_that_may_be_whole_is_not_set_aside_by_a_run_that_ends(tmp_path, capsys, monkeypatch):
    encode, later = records.encode, b'{"schema": 2}'

    def meanwhile(record):  # by another command, of a newer version
        (tmp_path / record.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / record.path).write_bytes(later)
        return encode(record)

    monkeypatch.setattr(records, "encode", meanwhile)
    assert command(tmp_path, "--methods", "random-cnn") == 2
    assert "schema 2, this version reads 1; it may be whole, so that no other is written" in capsys.readouterr().err
    assert path_of(tmp_path, "random-cnn").read_bytes() == later


def test_a_second_command_says_what_it_waits_for(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "PATIENCE", 0.01)
    held, heard = Event(), Event()
    monkeypatch.setattr(writing, "say", lambda text: (said.append(text), heard.set()))
    said = []

    def other():
        with FileLock(tmp_path / ".report.lock"):
            held.set()
            heard.wait(10)

    Thread(target=other).start()
    held.wait(10)
    with writing._alone(tmp_path):
        pass
    assert said == [f"waiting for another command that writes the report of {str(tmp_path)!r}"]


def test_empty_programs_that_a_full_disk_left_are_removed(tmp_path):
    (kept := tmp_path / "compiled").mkdir()
    (kept / "a-cache").write_bytes(b"")
    (kept / "b-cache").write_bytes(b"whole")
    set_up_jax(tmp_path)
    assert [path.name for path in kept.iterdir()] == ["b-cache"]


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MuteError(), "MuteError: its text cannot be had"),
        (ValueError("x" * 2000), f"ValueError: {1000 * 'x'} …"),
        (ValueError("named \udcff.png"), "ValueError: named ?.png"),
        (errors.UserError("x" * 2000), f"UserError: {2000 * 'x'}"),
        (ValueError(f"no algorithm\n{'x' * 400} RESOURCE_EXHAUSTED"), "out of memory: ValueError: no algorithm"),
    ],
)
def test_whatever_an_error_says_is_one_line_that_can_be_written(error, told):
    assert errors.reason(error) == told
    assert told.encode()


def test_a_stop_iteration_is_told_with_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(methods.entry("scn")[0], "loss", lambda *arguments: next(iter([])))
    assert command(tmp_path, "--methods", "scn") == 1
    assert records.read(path_of(tmp_path)).reason.startswith("StopIteration: ")


def test_a_page_is_written_of_texts_that_are_none(copy):
    record = records.read(path_of(copy))
    records.write(copy, replace(record, status="failed", reason="named \udcff.png"))
    assert command(copy, "--report-only") == 0
    assert b"named ?.png" in (copy / "report.html").read_bytes()


def test_damaged_timings_are_left_out(tmp_path):
    row = dict.fromkeys(Timings.FIELDS, 1.0)
    rows = [row, row | {"guessed": 0.0}, row | {"step": "x"}, 3, {"step": 1.0}]
    (tmp_path / "timings.json").write_text(json.dumps(rows))
    assert Timings(tmp_path).rows == [row]


def test_the_cache_folder_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SLOTBENCH_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"
