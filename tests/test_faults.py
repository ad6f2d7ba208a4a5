"""What goes wrong on a machine that is not ours: kills, full disks, read-only folders, clocks that are set."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_grid
from small import command
from test_checkpoints import fit

from benchmark import plan, records
from benchmark.checkpoints import Checkpoints
from benchmark.engines import cluster
from benchmark.engines.process import Duty, Worker, gpus, share_of_cores
from benchmark.engines.workers import Workers
from benchmark.errors import UserError
from benchmark.progress import PlainProgress
from datasets import atari_store
from datasets.atari_shards import Recipe

pytestmark = pytest.mark.usefixtures("no_figures")

LIMIT = 240.0
"""Seconds after which a test gives up waiting."""


def wait_for(condition, *processes):
    """Until the condition holds; fails when a process ends before, or after LIMIT seconds."""
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert all(process.poll() is None for process in processes), "a process ended too early"
        assert time.monotonic() < end, "nothing happened for too long"
        time.sleep(0.02)
    return found


def tables(out: Path) -> dict[Path, bytes]:
    return {p.relative_to(out): p.read_bytes() for p in sorted((out / "tables").rglob("*.*"))}


def workers_of(process: subprocess.Popen) -> list[int]:
    """The worker processes that a command has started."""
    return [int(n) for n in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def holders(out: Path) -> list[int]:
    """The processes that claims name."""
    found = []
    for path in out.glob("runs/*/*/*/*.claim-*"):
        with suppress(FileNotFoundError):
            found.append(json.loads(path.read_bytes()[12:])["process"])
    return found


def in_flight(out: Path) -> str:
    """What a kill interrupts: the runs that are claimed, each with the step of its newest checkpoint."""
    told = []
    for claim in sorted(out.glob("runs/*/*/*/*.claim-*")):
        run = claim.relative_to(out / "runs").with_suffix("")
        told.append(
            f"{run.parent.parent} {run.name} (checkpoint {Checkpoints(out / 'cache/checkpoints' / run).step()})"
        )
    return ", ".join(dict.fromkeys(told)) or "nothing in training"


def ripe(out: Path, process: subprocess.Popen) -> bool:
    """Is there a record, a checkpoint, and a run in the hands of the command's workers?"""
    recorded = list(out.glob("runs/*/*/*/seed-*.json"))
    saved = list(out.glob("cache/checkpoints/*/*/*/seed-*/[0-9]*"))
    return bool(recorded and saved and set(holders(out)) & set(workers_of(process)))


def survive(out: Path, kills: list[str], grid: list[str], chance: random.Random) -> None:
    """Do a grid with two workers that is killed again and again, and print what each kill interrupts.

    Each comes when a run has been recorded, a checkpoint is there, and the workers have begun.
    """
    environment = {"TEST_CHECKPOINT_EVERY": "0.3", "TEST_ATTEMPTS": "100"}
    process = tiny_grid.start(out, *grid, "--workers", "2", **environment)
    for number, kill in enumerate(kills, 1):
        wait_for(lambda begun=process: ripe(out, begun), process)
        time.sleep(chance.random())
        assert process.poll() is None, f"the grid was done before kill {number}"
        print(f"kill {number}, {kill}: {in_flight(out)}")
        if kill == "a worker":
            os.kill(chance.choice(workers_of(process)), signal.SIGKILL)
            continue
        began = time.monotonic()
        if kill == "all":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.send_signal(signal.SIGKILL if kill == "the command" else signal.SIGTERM)
        process.communicate()
        if kill == "SIGTERM":
            assert process.returncode == 143 and time.monotonic() - began < 5
        process = tiny_grid.start(out, *grid, "--workers", "2", **environment)
    shown, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, shown


@pytest.fixture(autouse=True)
def _nothing_is_left_running():
    yield
    for process in tiny_grid.started:
        with_group_gone(process)
    tiny_grid.started.clear()


def undisturbed(out: Path, grid: list[str]) -> None:
    """The same grid in one process, on as many cores as each of two workers has."""
    cores = ",".join(map(str, share_of_cores(0, 2)))
    command = ["taskset", "-c", cores, sys.executable, str(tiny_grid.ROOT / "run_benchmark.py"), *grid]
    subprocess.run(command, check=True, env=tiny_grid.environment(out), capture_output=True)


binds = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processes cannot be bound to cores here")


@binds
def test_each_worker_has_as_many_cores_of_its_own(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 4, 5, 6, 7, 9, 11, 12})
    assert [share_of_cores(index, 3) for index in range(3)] == [[3, 4], [5, 6], [7, 9]]
    assert [share_of_cores(index, 9) for index in range(9)] == [[3], [4], [5], [6], [7], [9], [11], [12], [3]]


@pytest.mark.parametrize(
    ("platforms", "visible", "found"),
    [
        ("", "0,1", ["0", "1"]),
        ("cuda", "2", ["2"]),
        ("cpu", "0", []),
        ("cuda", "-1", []),
        ("cuda", "1,-1,0", ["1"]),
        ("cuda", "", []),
    ],
)
def test_the_gpus_are_those_that_jax_would_use(monkeypatch, platforms, visible, found):
    monkeypatch.setattr("benchmark.engines.process._jax_has_cuda", lambda: True)
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus() == found


@binds
def test_a_grid_killed_three_times_ends_with_the_tables_of_an_undisturbed_one(tmp_path):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    kills = ["a worker", "all", "SIGTERM"]
    survive(broken, kills, tiny_grid.arguments(broken, "random-cnn,scn", 2, 200), random.Random(0))
    undisturbed(whole, tiny_grid.arguments(whole, "random-cnn,scn", 2, 200))
    assert tables(broken) == tables(whole)
    assert not list(broken.glob("cache/checkpoints/*/*/*/seed-*"))


@pytest.mark.slow
@binds
def test_a_grid_killed_twenty_times_ends_with_the_tables_of_an_undisturbed_one(tmp_path, capsys):
    chance = random.Random(1)
    kills = [chance.choice(["a worker", "a worker", "the command", "all", "SIGTERM"]) for _ in range(20)]
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    with capsys.disabled():
        survive(broken, kills, tiny_grid.arguments(broken, "random-cnn,scn,cswm", 3, 2500), chance)
    undisturbed(whole, tiny_grid.arguments(whole, "random-cnn,scn,cswm", 3, 2500))
    assert tables(broken) == tables(whole)


def test_two_commands_at_once_share_the_runs_and_do_none_twice(tmp_path):
    grid = tiny_grid.arguments(tmp_path, "random-cnn", 4)
    both = [tiny_grid.start(tmp_path, *grid) for _ in range(2)]
    shown = [process.communicate(timeout=LIMIT)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], shown
    done = [line for text in shown for line in text.splitlines() if ", took " in line]
    assert len(done) == 4 and len({line.partition("] ")[2].partition(":")[0] for line in done}) == 4, shown
    assert [record.status for record in records.read_all(tmp_path)[0]] == ["ok"] * 4
    assert not list(tmp_path.rglob("*.claim-*"))


def test_workers_that_keep_dying_end_the_command_with_what_they_said(tmp_path):
    class Fatal(Duty):
        def start(self, cores=(), environment=None):
            words = "import sys; sys.exit('the worker has had enough')"
            return Worker([sys.executable, "-c", words], "", str(tmp_path), dict(os.environ))

    (run,) = tiny_grid.runs("random-cnn")
    crew = Workers(2, Fatal((), ""), tmp_path)
    with pytest.raises(UserError, match="ended with exit code 1: the worker has had enough; so did 6 before it"):
        list(crew.execute([plan.Item(run, "new")], PlainProgress({run.path: 1.0})))


ASKS = """
from dataclasses import dataclass
from benchmark.registry import methods
from methods.random_cnn import RandomCNN


@methods.register("asks")
@dataclass(frozen=True, kw_only=True)
class Asks(RandomCNN):
    def build(self, spec, rngs):
        {what}
        return super().build(spec, rngs)
"""


@pytest.mark.parametrize(("what", "why"), [("input()", "EOFError"), ("exit(3)", "SystemExit: 3")])
def test_a_plugin_that_reads_the_input_or_closes_it_fails_its_run_in_a_worker_too(tmp_path, what, why):
    plugin = tmp_path / "asks.py"
    plugin.write_text(ASKS.format(what=what))
    grid = tiny_grid.arguments(tmp_path, "asks,random-cnn", 1, 2, "--plugin", str(plugin), "--workers", "2")
    shown, _ = (process := tiny_grid.start(tmp_path, *grid)).communicate(timeout=LIMIT)
    assert process.returncode == 1, shown
    found = {record.method: record for record in records.read_all(tmp_path)[0]}
    assert found["random-cnn"].status == "ok" and why in found["asks"].reason


@contextmanager
def file_system(folder: Path, options: str):
    """A small one in memory, mounted on the folder."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """A file that leaves so many bytes of the file system free."""
    ballast, free = folder / "ballast", os.statvfs(folder)
    ballast.write_bytes(bytes(free.f_bavail * free.f_bsize - leave))
    return ballast


def test_a_disk_too_full_for_a_record_ends_the_command_and_the_same_goes_on_once_there_is_room(tmp_path, capsys):
    with file_system(tmp_path / "disk", "size=4m") as disk:
        ballast = fill(disk, leave=2 * os.sysconf("SC_PAGESIZE"))
        assert command(disk, "--methods", "random-cnn") == 2
        assert "No space left on device" in capsys.readouterr().err
        assert (
            not list(disk.rglob("seed-0.json")) and not list(disk.rglob("*.tmp")) and not list(disk.rglob("*.claim*"))
        )
        ballast.unlink()
        assert command(disk, "--methods", "random-cnn") == 0
        assert [record.status for record in records.read_all(disk)[0]] == ["ok"]


def test_a_disk_too_full_for_a_checkpoint_is_named_and_training_goes_on(tmp_path):
    with file_system(tmp_path / "disk", "size=1m") as disk:
        fill(disk, leave=2 * os.sysconf("SC_PAGESIZE"))
        said: list[str] = []
        fitted = fit(
            Checkpoints(disk / "c", every=0.5, note=said.append), on_step=lambda step, loss, parts: time.sleep(0.1)
        )
        assert fitted.curve == fit().curve
        assert said and all(text.startswith("no checkpoint of step ") for text in said)
        assert fit(Checkpoints(disk / "c", every=1e9)).curve == fitted.curve


def test_a_disk_too_full_for_a_collected_game_is_named_and_the_rest_is_collected_once_there_is_room(tmp_path):
    recipe = Recipe("pong", "pong", train_frames=120, probe_frames=60, max_episode_steps=40, seed=0)
    with file_system(tmp_path / "disk", "size=8m") as disk:
        ballast = fill(disk, leave=4 * os.sysconf("SC_PAGESIZE"))
        with pytest.raises(UserError, match="No space left on device; it needs up to"):
            atari_store.load(recipe, disk, lambda line: None)
        ballast.unlink()
        mended, _ = atari_store.load(recipe, disk, lambda line: None)
        assert not list(disk.rglob("*.tmp"))
    (tmp_path / "roomy").mkdir()
    roomy, _ = atari_store.load(recipe, tmp_path / "roomy", lambda line: None)
    assert mended.sha256 == roomy.sha256
    np.testing.assert_array_equal(mended.train.frames, roomy.train.frames)


def test_a_read_only_cache_is_a_mistake_with_a_remedy(tmp_path, capsys, monkeypatch):
    with file_system(tmp_path / "disk", "size=1m,ro") as disk:
        monkeypatch.setenv("SLOTBENCH_CACHE", str(disk / "cache"))
        assert command(tmp_path / "out", "--methods", "random-cnn") == 2
    assert "set SLOTBENCH_CACHE to a folder that can be written" in capsys.readouterr().err


def test_a_clock_that_is_set_during_a_training_changes_no_number(tmp_path, monkeypatch):
    steady, chance, real, jump = fit(), random.Random(0), time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jump[0])

    def set_the_clock(step, loss, parts):
        jump[0] = chance.uniform(-1e8, 1e8)
        time.sleep(0.05)

    jumping = fit(Checkpoints(tmp_path, every=0.2), on_step=set_the_clock)
    assert Checkpoints(tmp_path).step() > 0
    assert jumping.curve == steady.curve and 0 <= jumping.seconds < LIMIT


def test_a_dask_cluster_finishes_the_grids_of_two_commands_though_a_worker_is_killed(tmp_path):
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    scheduler = _dask(
        "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
    )
    workers = [_dask("worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard") for _ in range(2)]
    first, second, process, other = tmp_path / "first", tmp_path / "second", None, None
    try:
        wait_for(file.exists, scheduler, *workers)
        grid = tiny_grid.arguments(first, "random-cnn", 4)
        process = tiny_grid.start(tmp_path, *grid, "--scheduler", str(file))
        holder = wait_for(lambda: holders(first), process)[0]
        victim = next(worker for worker in workers if os.getpgid(holder) == worker.pid)
        os.killpg(victim.pid, signal.SIGKILL)
        other = tiny_grid.start(tmp_path, *tiny_grid.arguments(second, "scn"), "--scheduler", str(file))
        for each in (process, other):
            shown, _ = each.communicate(timeout=LIMIT)
            assert each.returncode == 0, shown
    finally:
        for started in filter(None, [process, other, *workers, scheduler]):
            with_group_gone(started)
    assert [record.status for record in records.read_all(first)[0]] == ["ok"] * 4
    assert [record.status for record in records.read_all(second)[0]] == ["ok"]
    assert not list(tmp_path.rglob("*.claim-*"))


def _dask(*arguments: str) -> subprocess.Popen:
    """One of Dask's own command lines, leader of a group of processes."""
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def with_group_gone(process: subprocess.Popen) -> None:
    """Kill what is left of the processes that were started with this one."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_scheduler_that_does_not_answer_and_resources_that_say_nothing_are_mistakes(tmp_path, capsys, monkeypatch):
    cluster = pytest.importorskip("benchmark.engines.cluster")
    monkeypatch.setattr(cluster, "CONNECT", 0.2)
    assert command(tmp_path, "--methods", "scn", "--scheduler", "127.0.0.1:9") == 2
    assert "no Dask scheduler answers there" in capsys.readouterr().err
    for text in ("GPU", "GPU=many", "GPU=0", "=1"):
        with pytest.raises(UserError, match="write it as GPU=1"):
            cluster.resources(text)
    assert cluster.resources("GPU=1, MEMORY=2e9") == {"GPU": 1, "MEMORY": 2e9} and cluster.resources(None) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Expecting value"),
        (b"[1]", "names no address"),
        (b'{"address": "far"}', "missing port"),
        (b"\x00\xff", ""),
    ],
)
def test_a_file_that_no_scheduler_wrote_is_a_mistake_before_any_client_is_there(tmp_path, capsys, content, said):
    pytest.importorskip("distributed")
    (tmp_path / "scheduler.json").write_bytes(content)
    for address in (str(tmp_path / "scheduler.json"), "far", ""):
        assert command(tmp_path / "out", "--methods", "scn", "--scheduler", address) == 2
        shown = capsys.readouterr().err
        assert shown.count("\n") == 1 and "no Dask scheduler answers there" in shown
        assert said in shown or address in ("far", "")


@pytest.mark.parametrize(
    ("option", "value", "package"), [("--scheduler", "x:1", "distributed"), ("--slurm", "o.yaml", "submitit")]
)
def test_what_is_not_installed_is_named_in_one_line(tmp_path, capsys, monkeypatch, option, value, package):
    (tmp_path / "o.yaml").write_text("jobs: 1")
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    assert command(tmp_path, "--methods", "scn", option, value) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "not installed: pip install -e '.[distributed]'" in shown


def test_a_scheduler_that_goes_away_ends_the_command_with_one_line(tmp_path):
    """A client that hears nothing for some seconds closes itself."""
    closed, engine = [], object.__new__(cluster.Cluster)
    engine.address, engine._futures = "tcp://far:1", {}
    engine._client = SimpleNamespace(status="closed", close=lambda: closed.append(True))  # which can nothing else
    (item,) = [plan.Item(run, "new") for run in tiny_grid.runs("scn")]
    with pytest.raises(UserError, match="the Dask scheduler does not answer any more; once it is back the same"):
        engine._try_again(str(item.run.path), item, 1, RuntimeError("lost"))
    engine._leave()
    assert closed


@pytest.mark.parametrize("lines", [0, 1])
def test_a_command_whose_reader_has_gone_does_its_runs_and_writes_its_tables(tmp_path, lines):
    """As with `| head -1`."""
    command = [sys.executable, "run_benchmark.py", *tiny_grid.arguments(tmp_path, "random-cnn", 1, 2, "--verbose")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=tiny_grid.ROOT, env=tiny_grid.environment(tmp_path), **pipes)
    for _ in range(lines):
        process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() == 0 and "Traceback" not in errors and "Exception ignored" not in errors
    assert (tmp_path / "report.html").exists() and len(records.read_all(tmp_path)[0]) == 1
