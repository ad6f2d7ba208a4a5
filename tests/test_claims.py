"""Of all that want a run one has it, until it is done or its holder is dead."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import tiny_grid
from small import command

from benchmark import claims, records, stopping
from benchmark.claims import ATTEMPTS, Claims, Holder
from benchmark.errors import UserError

pytestmark = pytest.mark.usefixtures("no_figures")

RECORD = Path("runs/tiny/scn/abcd/seed-0.json")
ELSEWHERE = Holder("far", "another machine", 1, "its token", 1, 0)


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that is set by hand."""
    now = [1000.0]
    monkeypatch.setattr(claims.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def held(tmp_path) -> Path:
    """The claim of a process on another machine."""
    path = tmp_path / RECORD.with_suffix(".claim-1")
    path.parent.mkdir(parents=True)
    return _write(path, ELSEWHERE)


def _write(path, holder, count=0):
    path.write_bytes(f"{count:012d}{json.dumps(asdict(holder))}".encode())
    return path


def test_of_many_that_ask_at_once_one_has_the_run(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        taken = [claim for claim in threads.map(lambda _: Claims(tmp_path).take(RECORD), range(40)) if claim]
    assert len(taken) == 1
    taken[0].release()


def test_a_run_given_back_is_free_and_leaves_nothing_behind(tmp_path):
    mine, other = Claims(tmp_path), Claims(tmp_path)
    claim = mine.take(RECORD)
    assert other.take(RECORD) is None and other.holder(RECORD).process == os.getpid()
    claim.release()
    claim.release()
    assert list((tmp_path / RECORD).parent.iterdir()) == []
    other.take(RECORD).release()


def test_the_holder_raises_the_counter(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.01)
    claim = Claims(tmp_path).take(RECORD)
    path = tmp_path / RECORD.with_suffix(".claim-1")
    before = path.read_bytes()
    while path.read_bytes() == before:
        time.sleep(0.01)
    assert path.read_bytes()[claims.DIGITS :] == before[claims.DIGITS :]
    claim.release()


def test_a_counter_that_is_raised_keeps_the_run_however_long_it_takes(tmp_path, clock, held):
    mine = Claims(tmp_path)
    for count in range(5):
        _write(held, ELSEWHERE, count)
        assert mine.take(RECORD) is None and not mine.free(RECORD)
        clock[0] += claims.PATIENCE - 1


def test_a_folder_that_cannot_be_read_for_a_moment_costs_no_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.01)
    claim = Claims(tmp_path).take(RECORD)
    path = tmp_path / RECORD.with_suffix(".claim-1")

    def stale(*_):
        raise OSError(errno.ESTALE, "stale file handle")

    for owner, name in ((os, "listdir"), (Path, "read_bytes")):
        with monkeypatch.context() as broken:
            broken.setattr(owner, name, stale)
            assert claim.confirm()
            time.sleep(0.05)
        before = path.read_bytes()
        time.sleep(0.5)
        assert claim.confirm() and path.read_bytes() != before
    path.unlink()
    assert not claim.confirm()
    claim.release()


def test_a_counter_that_stands_still_gives_the_run_away(tmp_path, clock, held):
    mine = Claims(tmp_path)
    assert mine.take(RECORD) is None
    clock[0] += claims.PATIENCE - 1
    assert mine.take(RECORD) is None
    clock[0] += 1
    assert mine.free(RECORD)
    claim = mine.take(RECORD)
    assert claim.holder.attempt == 2
    claim.release()


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_clock_that_is_set_changes_nothing(tmp_path, monkeypatch, held, jump):
    mine = Claims(tmp_path)
    assert mine.take(RECORD) is None
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    os.utime(held, (real() + jump, real() + jump))
    assert mine.take(RECORD) is None and mine._watched[held][1] <= time.monotonic()


def test_a_dead_process_of_this_machine_is_seen_at_once(tmp_path, held):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    _write(held, replace(ELSEWHERE, machine=claims.machine(), process=child.pid))
    claim = Claims(tmp_path).take(RECORD)
    assert claim.holder.attempt == 2
    claim.release()


def test_a_process_of_another_machine_is_not_looked_for_on_this_one(tmp_path, held):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    _write(held, replace(ELSEWHERE, process=child.pid))  # a number that no process of this machine has
    assert Claims(tmp_path).take(RECORD) is None and not Claims(tmp_path).free(RECORD)


def test_of_many_that_take_over_at_once_one_has_the_run(tmp_path, clock, held):
    crowd = [Claims(tmp_path) for _ in range(20)]
    assert not any(claims.take(RECORD) for claims in crowd)
    clock[0] += claims.PATIENCE
    with ThreadPoolExecutor(8) as threads:
        taken = [claim for claim in threads.map(lambda mine: mine.take(RECORD), crowd) if claim]
    assert len(taken) == 1
    taken[0].release()


def test_a_holder_that_wakes_up_late_sees_that_the_run_is_anothers_and_leaves_it_alone(tmp_path, clock, monkeypatch):
    slow, quick = Claims(tmp_path), Claims(tmp_path)
    asleep = slow.take(RECORD)
    quick.take(RECORD)
    clock[0] += claims.PATIENCE
    taken = quick.take(RECORD)
    assert asleep.confirm() is False and taken.confirm() is True
    before = (tmp_path / RECORD.with_suffix(".claim-2")).read_bytes()
    asleep.release()
    assert (tmp_path / RECORD.with_suffix(".claim-2")).read_bytes() == before and taken.confirm()
    assert (tmp_path / RECORD.with_suffix(".claim-1")).exists()  # the dead one's, until the run is recorded
    taken.release()


def test_attempts_count_from_the_last_checkpoint_that_was_new(tmp_path, clock, held):
    attempts, steps = [], [0, 0, 50, 50, 60]
    for step in steps:
        mine = Claims(tmp_path)
        assert mine.take(RECORD, step) is None
        clock[0] += claims.PATIENCE
        claim = mine.take(RECORD, step)
        attempts.append(claim.holder.attempt)
        claim._over.set()  # it dies
    assert attempts == [2, 3, 1, 2, 1]


@pytest.mark.parametrize("content", [b"", b"000000000007{", b"000000000007" + b'{"host": 3}', b"\xff" * 40])
def test_a_damaged_claim_is_one_of_nobody_and_is_taken_over_in_time(tmp_path, clock, held, content):
    held.write_bytes(content)
    mine = Claims(tmp_path)
    assert mine.take(RECORD) is None
    clock[0] += claims.PATIENCE
    mine.take(RECORD).release()


def test_a_file_system_without_hard_links_is_a_mistake(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UserError, match=r"Operation not permitted.*hard links"):
        Claims(tmp_path).take(RECORD)
    assert list((tmp_path / RECORD).parent.iterdir()) == []


def test_a_run_whose_holders_keep_dying_is_recorded_as_failed(tmp_path, capsys):
    (path,) = tiny_grid.claim_paths(tmp_path, "scn")
    path.parent.mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    _write(path, replace(ELSEWHERE, machine=claims.machine(), process=dead.pid, attempt=ATTEMPTS))
    assert command(tmp_path, "--methods", "scn") == 1
    (record,) = records.read_all(tmp_path)[0]
    assert record.status == "failed" and f"died {ATTEMPTS} times" in record.reason
    assert not list(tmp_path.rglob("*.claim-*"))
    assert command(tmp_path, "--methods", "scn", "--retry-failed") == 0


def test_a_run_that_another_finishes_meanwhile_is_not_done_again(tmp_path, capsys, monkeypatch):
    (path,) = tiny_grid.claim_paths(tmp_path, "scn")
    path.parent.mkdir(parents=True)
    _write(path, ELSEWHERE)
    other = tmp_path / "other"
    assert command(other, "--methods", "scn") == 0

    def they_finish(seconds):
        source = next(other.glob("runs/*/*/*/seed-0.json"))
        (tmp_path / source.relative_to(other)).write_bytes(source.read_bytes())
        path.unlink(missing_ok=True)

    monkeypatch.setattr("benchmark.runner.time.sleep", they_finish)
    capsys.readouterr()
    assert command(tmp_path, "--methods", "scn") == 0
    shown = capsys.readouterr().out
    assert "waiting for tiny, scn, seed 0 of process 1 on far" in shown and "done elsewhere" in shown


def test_a_signal_that_comes_with_the_record_leaves_neither_checkpoint_nor_claim(tmp_path, monkeypatch):
    (path,) = tiny_grid.claim_paths(tmp_path, "scn")
    path.parent.mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    _write(path, replace(ELSEWHERE, machine=claims.machine(), process=dead.pid))
    (run,) = tiny_grid.runs("scn")
    checkpoint = run.checkpoints(tmp_path / "cache") / "1"
    checkpoint.mkdir(parents=True)
    monkeypatch.setenv("SLOTBENCH_CACHE", str(tmp_path / "cache"))
    write = records.write

    def write_and_be_seen(out, record):
        write(out, record)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(records, "write", write_and_be_seen)
    assert command(tmp_path, "--methods", "scn") == stopping.CODE
    assert [record.status for record in records.read_all(tmp_path)[0]] == ["ok"]
    assert not checkpoint.parent.exists() and not list(tmp_path.rglob("*.claim-*"))
