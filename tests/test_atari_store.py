"""The cache of collected games: verified at each reading, mended where damaged, shared between processes."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from benchmark import stopping
from benchmark.errors import UserError
from datasets import atari_collect, atari_shards, atari_store
from datasets.atari_shards import Recipe

RECIPE = Recipe("pong", "pong", train_frames=250, probe_frames=120, max_episode_steps=40, seed=0)


def quiet(line):
    pass


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(atari_shards, "SHARD_FRAMES", 100)


@pytest.fixture
def cache(tmp_path):
    """A complete collection of three train and two probe shards."""
    atari_store.load(RECIPE, tmp_path, quiet)
    return tmp_path


def _shards(cache):
    return sorted(RECIPE.folder(cache).glob("*.zst"))


def test_a_collection_holds_the_frames_that_were_asked_for(cache):
    collection, version = atari_store.load(RECIPE, cache, quiet)
    assert collection.train.frames.shape == (250, 210, 160)
    assert collection.probe.frames.shape == (120, 210, 160)
    assert collection.train.ram.shape == (250, 128)
    assert [path.name for path in _shards(cache)] == [f"probe-00{i}.zst" for i in "01"] + [
        f"train-00{i}.zst" for i in "012"
    ]
    assert version == json.loads((RECIPE.folder(cache) / "manifest.json").read_text())["ale_py"]


def test_train_and_probe_frames_come_from_different_play(cache):
    collection, _ = atari_store.load(RECIPE, cache, quiet)
    assert (collection.train.actions[:120] != collection.probe.actions).any()
    assert (collection.train.ram[:120] != collection.probe.ram).any(1).mean() > 0.9


def test_the_same_recipe_gives_the_same_hash_and_another_seed_another(cache, tmp_path_factory):
    first, _ = atari_store.load(RECIPE, cache, quiet)
    again, _ = atari_store.load(RECIPE, tmp_path_factory.mktemp("again"), quiet)
    other, _ = atari_store.load(replace(RECIPE, seed=1), cache, quiet)
    assert first.sha256 == again.sha256 != other.sha256
    np.testing.assert_array_equal(first.train.frames, again.train.frames)


def test_shards_with_colours_of_their_own_come_into_one_palette(tmp_path):
    recipe = replace(RECIPE, game="yarsrevenge", rom="yars_revenge", train_frames=180)
    collection, _ = atari_store.load(recipe, tmp_path, quiet)
    rgb, start = collection.palettes[collection.train.banks[:, None, None], collection.train.frames], 0
    for job in recipe.jobs("train", recipe.folder(tmp_path)):
        arrays = [np.empty(shape, np.uint8) for shape in ((90, 210, 160), (90, 128), (90,), (90,), (90,))]
        banks, _ = atari_shards.read_shard(Path(job.path), tuple(arrays))
        assert len(banks) == 1
        own = np.concatenate([collection.palettes[0, :128], banks[0]])
        np.testing.assert_array_equal(rgb[start : start + 90], own[arrays[0]])
        start += 90


def test_banks_of_shards_are_gathered_into_as_few_as_hold_them():
    banks = atari_shards._Banks()
    first, second, third = list(range(1, 101)), list(range(101, 181)), list(range(20, 0, -1))
    assert [banks.add(colours)[0] for colours in (first, second, third)] == [0, 1, 0]
    number, codes = banks.add(third)
    assert (banks.palettes()[number][codes[128:148]] == third).all()
    assert (codes[:128] == np.arange(128)).all()


def test_a_second_reading_collects_nothing(cache, monkeypatch):
    monkeypatch.setattr(atari_store, "_collect", None)
    said = []
    atari_store.load(RECIPE, cache, said.append)
    assert not said


@pytest.mark.parametrize("damage", ["flip", "cut", "missing"])
def test_a_damaged_shard_is_collected_again_with_the_same_content(cache, damage):
    before, _ = atari_store.load(RECIPE, cache, quiet)
    path = _shards(cache)[3]
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flip" else content[:-1])
    said = []
    after, _ = atari_store.load(RECIPE, cache, said.append)
    assert after.sha256 == before.sha256
    np.testing.assert_array_equal(after.train.frames, before.train.frames)
    assert "pong: collected 83 of 83 frames" in said
    if damage != "missing":
        assert f"pong: {path.name} is damaged; collecting it again" in said


def test_what_was_finished_before_a_kill_is_kept(cache):
    folder, before = RECIPE.folder(cache), {path: path.stat().st_mtime_ns for path in _shards(cache)}
    (folder / "manifest.json").unlink()
    (folder / "train-002.zst").unlink()
    (folder / ".train-002.zst.1.tmp").write_bytes(b"half")
    said = []
    atari_store.load(RECIPE, cache, said.append)
    assert said == ["pong: collected 84 of 84 frames"]
    after = {path: path.stat().st_mtime_ns for path in _shards(cache)}
    assert [path.name for path in after if after[path] != before[path]] == ["train-002.zst"]
    assert not list(folder.glob(".*.tmp"))
    assert (folder / "manifest.json").exists()


def _begun_by(cache, version):
    """A collection that an ale-py of that version left without its last shard."""
    folder = RECIPE.folder(cache)
    (folder / "train-002.zst").unlink()
    atari_store._write_manifest(RECIPE, folder, {"ale_py": version, "sha256": {}})


def test_a_collection_is_not_finished_by_another_ale_py(cache):
    _begun_by(cache, "0.1.2")
    with pytest.raises(UserError, match=r"train-002\.zst: ale-py .* may give other frames than ale-py 0\.1\.2.*delete"):
        atari_store.load(RECIPE, cache, quiet)


def test_a_collection_is_finished_by_the_ale_py_that_began_it_and_says_so_from_the_first_frame(cache, monkeypatch):
    before = atari_store._read_manifest(RECIPE.folder(cache))
    _begun_by(cache, before["ale_py"])
    at_start = []
    collect = atari_store._collect

    def watched(*arguments):
        at_start.append(atari_store._read_manifest(RECIPE.folder(cache)))
        collect(*arguments)

    monkeypatch.setattr(atari_store, "_collect", watched)
    atari_store.load(RECIPE, cache, quiet)
    assert at_start == [before | {"sha256": {}}]
    assert atari_store._read_manifest(RECIPE.folder(cache)) == before


def test_another_ale_py_may_begin_where_no_shard_was_finished(cache):
    folder = RECIPE.folder(cache)
    before = atari_store._read_manifest(folder)
    _begun_by(cache, "0.1.2")
    for path in _shards(cache):
        path.unlink()
    atari_store.load(RECIPE, cache, quiet)
    assert atari_store._read_manifest(folder) == before


def test_a_damaged_manifest_is_written_again(cache):
    path = RECIPE.folder(cache) / "manifest.json"
    content = path.read_text()
    path.write_text(content.replace('"seed": 0', '"seed": 1'))
    atari_store.load(RECIPE, cache, quiet)
    assert path.read_text() == content


def test_frames_unlike_the_manifest_name_both_versions_of_ale_py(cache):
    folder = RECIPE.folder(cache)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["checksum"]
    manifest["sha256"]["train-001.zst"] = "0" * 64
    atari_store._write_manifest(RECIPE, folder, {**manifest, "ale_py": "0.1.2"})
    with pytest.raises(UserError, match=r"other frames than ale-py 0\.1\.2.*delete"):
        atari_store.load(RECIPE, cache, quiet)


def test_of_two_processes_one_collects(tmp_path):
    script = """
import sys, pathlib
from datasets import atari_store, atari_shards
recipe = atari_shards.Recipe("pong", "pong", 250, 120, 40, 0)
collection, _ = atari_store.load(recipe, pathlib.Path(sys.argv[1]), lambda line: print(line, file=sys.stderr))
print(collection.sha256)
"""
    command, root = [sys.executable, "-c", script, str(tmp_path)], Path(__file__).parents[1]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": root}
    results = [process.communicate() for process in [subprocess.Popen(command, **pipes) for _ in range(2)]]
    assert results[0][0] == results[1][0] != ""
    assert sorted("collected" in said for _, said in results) == [False, True]


def test_a_process_says_that_it_waits_for_another_that_collects(tmp_path, monkeypatch):
    monkeypatch.setattr(atari_store, "PATIENCE", 0.01)
    (folder := RECIPE.folder(tmp_path)).mkdir(parents=True)
    held, heard, said = threading.Event(), threading.Event(), []

    def other():
        with FileLock(folder / ".lock"):
            held.set()
            heard.wait(10)

    def hear(line):
        said.append(line)
        heard.set()

    threading.Thread(target=other).start()
    held.wait(10)
    atari_store.load(RECIPE, tmp_path, hear)
    assert said[0] == "pong: waiting for another that collects it" and "collected" in said[-1]


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_an_interrupted_collection_ends_at_once_and_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(atari_shards, "SHARD_FRAMES", 50_000)
    long = replace(RECIPE, train_frames=100_000, probe_frames=50_000, max_episode_steps=27_000)
    started = threading.Event()

    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            processes.append(self)
            started.set()

    processes = []
    monkeypatch.setattr(subprocess, "Popen", Popen)
    main = threading.main_thread().ident
    over = threading.Event()

    def interrupt():
        if started.wait(60) and not over.wait(0.5):
            signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    began = time.monotonic()
    try:  # as a command does, which sends an interrupt again that came where Python drops it
        with pytest.raises(KeyboardInterrupt), stopping.listening():
            atari_store.load(long, tmp_path, quiet)
    finally:
        over.set()
    assert time.monotonic() - began < 10  # of the minute or more that all these frames take
    assert processes and all(process.poll() is not None for process in processes)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_collector_ends_with_the_process_that_started_it(tmp_path):
    job = next(iter(replace(RECIPE, train_frames=10**6).all_jobs(tmp_path)))
    job = replace(job, frames=10**6)
    command = [sys.executable, "-P", atari_collect.__file__, json.dumps([asdict(job)])]
    script = f"""
import os, subprocess, time
print(subprocess.Popen([*{command!r}, str(os.getpid())], stdout=subprocess.DEVNULL).pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    collector = int(parent.stdout.readline())
    while not list(Path(job.path).parent.glob(".*.tmp")):  # it is at work
        assert Path(f"/proc/{collector}").exists()
        time.sleep(0.05)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{collector}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{collector}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        assert time.monotonic() < deadline


def test_no_shard_is_missing_only_once_all_are_there(cache, tmp_path_factory):
    assert atari_store.absent(RECIPE, cache) == []
    assert sum(job.frames for job in atari_store.absent(RECIPE, tmp_path_factory.mktemp("empty"))) == 370


def test_a_missing_rom_is_named(tmp_path):
    with pytest.raises(UserError, match=r"pong: ale-py .* has no ROM 'no_such_game'.*pip install"):
        atari_store.load(replace(RECIPE, rom="no_such_game"), tmp_path, quiet)


def test_a_cache_that_cannot_be_written_is_named_with_the_room_needed(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write pong to .*: Not a directory; it needs up to 1 MB"):
        atari_store.load(RECIPE, tmp_path / "file", quiet)


def test_a_full_disk_is_named_with_the_room_needed(tmp_path, monkeypatch):
    worker = tmp_path / "worker.py"
    worker.write_text("print('failed No space left on device')")
    monkeypatch.setattr(atari_collect, "__file__", str(worker))
    with pytest.raises(UserError, match=r"No space left on device; it needs up to 1 MB"):
        atari_store.load(RECIPE, tmp_path, quiet)


def test_frames_lie_where_jax_can_use_them_without_a_copy(cache):
    import jax

    frames = atari_store.load(RECIPE, cache, quiet)[0].train.frames
    assert jax.device_put(frames, jax.devices("cpu")[0]).unsafe_buffer_pointer() == frames.ctypes.data


def test_every_shard_has_a_seed_of_its_own():
    seeds = [job.seed for job in RECIPE.all_jobs(Path())]
    assert len(set(seeds)) == len(seeds) == 3 + 2


def test_actions_and_episodes_are_read_back_as_they_were_played(cache):
    train = atari_store.load(RECIPE, cache, quiet)[0].train
    assert set(train.actions.tolist()) == set(range(6))
    assert set(np.diff(train.episodes).tolist()) == {0, 1} and train.episodes[0] == 0
    assert np.bincount(train.episodes).max() <= 40


def test_banks_of_a_shard_are_renumbered_all_at_once():
    recipe = replace(RECIPE, train_frames=2, probe_frames=2)
    reader, (train, probe) = atari_shards.Reader(recipe, Path()), (job.path for job in recipe.all_jobs(Path()))
    first, second, third = (list(range(start, start + 100)) for start in (1, 101, 201))
    reader._banks = {train: [first, second], probe: [second, third]}
    for play in reader._plays.values():
        play.frames[:], play.banks[:] = 130, [0, 1]
    found = reader.collection()
    assert (found.train.banks.tolist(), found.probe.banks.tolist()) == ([0, 1], [1, 2])
    assert found.palettes[found.probe.banks, found.probe.frames[:, 0, 0]].tolist() == [second[2], third[2]]


def test_a_whole_shard_of_other_frames_is_collected_again(tmp_path):
    before, said = atari_store.load(RECIPE, tmp_path, quiet)[0], []
    folder = RECIPE.folder(tmp_path)
    shutil.copy(folder / "train-000.zst", folder / "train-001.zst")  # whole, but of other frames
    after, _ = atari_store.load(RECIPE, tmp_path, said.append)
    assert after.sha256 == before.sha256 and "pong: train-001.zst is damaged; collecting it again" in said
    np.testing.assert_array_equal(after.train.frames, before.train.frames)


def test_a_collector_that_crashes_is_told(tmp_path, monkeypatch):
    worker = tmp_path / "worker.py"
    worker.write_text("import sys; sys.exit('the emulator crashed')")
    monkeypatch.setattr(atari_collect, "__file__", str(worker))
    with pytest.raises(RuntimeError, match="the collector of pong failed: the emulator crashed"):
        atari_store.load(RECIPE, tmp_path, quiet)


def test_another_protocol_or_cut_into_shards_has_another_folder(monkeypatch):
    folders = {RECIPE.folder(Path())}
    for name in ("PROTOCOL", "SHARD_FRAMES"):
        with monkeypatch.context() as patch:
            patch.setattr(atari_shards, name, 7)
            folders.add(RECIPE.folder(Path()))
    assert len(folders) == 3
