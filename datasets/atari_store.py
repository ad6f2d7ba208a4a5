"""Collected Atari games in the cache: collected by one process a core, kept, verified at each reading.

Beside the shards lies `manifest.json` with the recipe, the version of ale-py that began the collection and, written
last, the SHA-256 of each shard's content. A shard that is missing or does not match its hash is collected again;
finished shards of a collection that was killed are kept; of several processes that want the same game one collects and
the others wait.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from benchmark.contracts import Report
from benchmark.errors import DiskError, UserError
from datasets import atari_collect
from datasets.atari_collect import Job
from datasets.atari_shards import PROTOCOL, Collection, DamagedShardError, Reader, Recipe, cores, read_shard

if TYPE_CHECKING:
    from filelock import BaseFileLock

PATIENCE = 2.0
"""Seconds to wait for another process before that is said."""

BYTES_PER_FRAME = 1_500
"""On disk, for the game that compresses worst (Yars' Revenge)."""


def absent(recipe: Recipe, cache: Path) -> list[Job]:
    """The shards that are not on disk (those which are there have not been verified)."""
    return [job for job in recipe.all_jobs(recipe.folder(cache)) if not Path(job.path).exists()]


def load(recipe: Recipe, cache: Path, report: Report) -> tuple[Collection, str]:
    """Collects what is missing or damaged, then reads all; returns it and the version of ale-py that collected it.

    Raises UserError when the ROM is missing, or this ale-py is not the one that began an unfinished collection, or
    gives other frames than the one that collected the rest; DiskError when the cache cannot be written.
    """
    folder = recipe.folder(cache)
    if absent(recipe, cache):
        _collect_locked(recipe, folder, report, lambda: absent(recipe, cache))
    manifest = _read_manifest(folder) or {"ale_py": version("ale-py"), "sha256": {}}
    reader, expected = Reader(recipe, folder), manifest["sha256"]
    damaged = reader.read(recipe.all_jobs(folder), expected)
    for job in damaged:
        report(f"{recipe.game}: {Path(job.path).name} is damaged; collecting it again")
    if damaged:
        _collect_locked(recipe, folder, report, lambda: [job for job in damaged if not _is_good(job, expected)])
        if still := reader.read(damaged, expected):
            raise _unlike(Path(still[0].path), "gives", manifest["ale_py"])
    if not expected:
        _write_manifest(recipe, folder, manifest | {"sha256": reader.sha256})
    return reader.collection(), manifest["ale_py"]


def _is_good(job: Job, expected: dict[str, str]) -> bool:
    try:
        sha256 = read_shard(Path(job.path))[1]
    except DamagedShardError:
        return False
    return expected.get(Path(job.path).name, sha256) == sha256


def _unlike(path: Path, gives: str, ale_version: str) -> UserError:
    return UserError(
        f"{path}: ale-py {version('ale-py')} {gives} other frames than ale-py {ale_version}, which collected the "
        f"rest; install ale-py {ale_version}, or delete {path.parent} to collect all anew"
    )


def _collect_locked(recipe: Recipe, folder: Path, report: Report, wanted: Callable[[], list[Job]]) -> None:
    """Collects the wanted shards, asking for them only once no other process collects here."""
    from filelock import FileLock

    check_rom(recipe)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(FileLock(folder / ".lock"), lambda: report(f"{recipe.game}: waiting for another that collects it")):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink()
            jobs = wanted()
            _begin(recipe, folder, jobs)
            _collect(recipe, jobs, report)
    except OSError as error:
        raise _disk_error(recipe, folder, error) from None


@contextmanager
def _alone(lock: BaseFileLock, waiting: Callable[[], None]) -> Iterator[None]:
    """While no other process holds the lock; `waiting` is called if one does."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _begin(recipe: Recipe, folder: Path, jobs: list[Job]) -> None:
    """Notes which ale-py collects, where no finished collection has hashes that tell its frames from others.

    Raises UserError when some of its shards are another's.
    """
    manifest = _read_manifest(folder) or {"ale_py": None, "sha256": {}}
    if not jobs or manifest["sha256"]:
        return
    begun, first = len(jobs) < len(recipe.all_jobs(folder)), manifest["ale_py"] or version("ale-py")
    if begun and first != version("ale-py"):
        raise _unlike(Path(jobs[0].path), "may give", first)
    _write_manifest(recipe, folder, {"ale_py": version("ale-py"), "sha256": {}})


def check_rom(recipe: Recipe) -> None:
    """Raises UserError when ale-py has no ROM of the game."""
    import ale_py.roms

    known = recipe.rom in ale_py.roms.get_all_rom_ids()
    if not (known and (path := ale_py.roms.get_rom_path(recipe.rom)) and path.exists()):
        raise UserError(
            f"{recipe.game}: ale-py {version('ale-py')} has no ROM {recipe.rom!r}; its wheel has: pip install "
            "--force-reinstall ale-py"
        )


def _collect(recipe: Recipe, jobs: list[Job], report: Report) -> None:
    frames, lock, done = {job.path: job.frames for job in jobs}, Lock(), 0

    processes: list[subprocess.Popen[str]] = []
    over = Event()

    def keep(process: subprocess.Popen[str]) -> None:
        processes.append(process)
        if over.is_set():
            process.kill()

    def run(share: list[Job]) -> None:
        nonlocal done
        for path in _worker(recipe, share, keep):
            with lock:
                done += frames[path]
                report(f"{recipe.game}: collected {done:,} of {sum(frames.values()):,} frames")

    workers = min(cores(), len(jobs))
    with ThreadPoolExecutor(max(workers, 1)) as threads:
        try:
            list(threads.map(run, [jobs[i::workers] for i in range(workers)]))
        except BaseException:  # such as Ctrl-C: the threads would wait for the end of their shares
            over.set()
            for process in processes:
                process.kill()
            raise


def _worker(recipe: Recipe, share: list[Job], keep: Callable[[subprocess.Popen[str]], None]) -> Iterable[str]:
    """A process of its own, because the emulator holds the interpreter's lock; yields each path when it is written.

    A plain script, not multiprocessing: it works from notebooks and daemons, and the worker imports neither the user's
    main module nor JAX. It is given to `keep`. Raises OSError when the disk refuses.
    """
    jobs = json.dumps([asdict(job) for job in share])
    command = [sys.executable, "-P", atari_collect.__file__, jobs, str(os.getpid())]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    pipes |= {"encoding": sys.getfilesystemencoding(), "errors": "surrogateescape"}  # what it tells are paths
    try:
        process = subprocess.Popen(command, **pipes)
    except OSError as error:  # which is no disk's
        raise RuntimeError(f"no process can be started to collect {recipe.game} ({error.strerror})") from None
    with process:
        keep(process)
        assert process.stdout and process.stderr
        try:
            for line in process.stdout:
                word, _, rest = line.strip().partition(" ")
                if word == "failed":
                    raise OSError(rest)
                yield rest
            if process.wait():
                raise RuntimeError(f"the collector of {recipe.game} failed: {process.stderr.read()}")
        finally:
            process.kill()


def _disk_error(recipe: Recipe, folder: Path, error: OSError) -> DiskError:
    need = (recipe.train_frames + recipe.probe_frames) * BYTES_PER_FRAME / 1e6
    return DiskError(
        f"cannot write {recipe.game} to {folder}: {error.strerror or error}; it needs up to {need:.0f} MB: make room "
        "there, or set SLOTBENCH_CACHE to another folder"
    )


def _read_manifest(folder: Path) -> dict | None:
    """The manifest, or None when there is none that can be trusted."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        checksum = manifest.pop("checksum")
    except (OSError, ValueError, AttributeError, KeyError):
        return None
    return manifest if checksum == _checksum(manifest) else None


def _checksum(manifest: dict) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _write_manifest(recipe: Recipe, folder: Path, manifest: dict) -> None:
    body = {"protocol": PROTOCOL, "recipe": asdict(recipe), **manifest}
    temporary = folder / f".manifest.{os.getpid()}.tmp"
    try:
        temporary.write_text(json.dumps({"checksum": _checksum(body), **body}, indent=1, sort_keys=True))
        os.replace(temporary, folder / "manifest.json")
    except OSError as error:
        raise _disk_error(recipe, folder, error) from None
