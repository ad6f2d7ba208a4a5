"""Who does which run where several commands share an output folder, on one machine or on a shared file system.

A claim is a small file beside the place of the run's record, `seed-0.claim-1`: who holds the run, and a counter that
the holder raises every BEAT seconds. Others watch the counter by their own monotonic clock: no time of one machine is
compared with another's. Where it stood still for PATIENCE seconds the holder is dead (on its own machine a dead process
is seen at once), and `seed-0.claim-2` takes over.

A claim appears by `link` from a finished temporary file. That is atomic on every version of NFS, and nobody ever reads
half a claim; exclusive creation is neither. A dead claim stays until the run is recorded: were it removed, two that
take over at once could remove each other's. The counter is raised in place, in the holder's own file, so a holder that
wakes up late disturbs no successor, and a full disk stops no counter.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from benchmark import stopping
from benchmark.errors import UserError

BEAT = 5.0
"""Seconds between two raises of a counter."""
PATIENCE = 90.0
"""Seconds that a counter must stand still; NFS clients may keep what they have read for 60."""
ATTEMPTS = 3
"""Holders of a run that may die one after the other, none further than the one before, until the run has failed."""
DIGITS = 12


@dataclass(frozen=True)
class Holder:
    """What a claim says of who holds the run; `step` is where its checkpoints stood when it was claimed.

    `attempt` counts from 1 the holders that did not get further than the one before them.
    """

    host: str
    machine: str
    process: int
    token: str
    attempt: int
    step: int

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"

    @property
    def surely_dead(self) -> bool:
        """Is it a process of this machine that is gone? False where that cannot be known."""
        if self.machine != machine():
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except OSError:  # a process of somebody else
            pass
        return False


class Claim:
    """A run that is this process's until `release`."""

    lost = False
    """Has another been seen to take over, because this process stood still for too long?"""

    def __init__(self, path: Path, holder: Holder, standing: Callable[[], bool]) -> None:
        """Starts to raise the counter of the claim that lies at `path`.

        `standing` asks whether it is the last one, and may raise OSError.
        """
        self.holder, self._path, self._standing = holder, path, standing
        self._file = os.open(path, os.O_WRONLY)
        self._over = threading.Event()
        stopping.last_acts.add(self.release)
        self._thread = threading.Thread(target=self._raise_counter, daemon=True, name="claim")
        self._thread.start()

    @property
    def exhausted(self) -> bool:
        """Have too many holders before died without getting further?"""
        return self.holder.attempt > ATTEMPTS

    def confirm(self) -> bool:
        """Look whether the run is still this process's, as far as is known where the folder cannot be read just now."""
        with suppress(OSError):
            self.lost = self.lost or not self._standing()
        return not self.lost

    def _raise_counter(self) -> None:
        count = 0
        while not self._over.wait(BEAT) and self.confirm():
            count += 1
            try:
                os.pwrite(self._file, f"{count:0{DIGITS}d}".encode(), 0)
                os.fsync(self._file)
            except OSError:  # a beat that the disk did not take; the next may be
                continue

    def release(self) -> None:
        """Give the run back; does nothing the second time."""
        stopping.last_acts.discard(self.release)
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            os.close(self._file)
            if self.confirm():
                self._path.unlink(missing_ok=True)


@dataclass
class Claims:
    """All claims under the output folder `out`, as this process sees them."""

    out: Path
    _watched: dict[Path, tuple[bytes, float]] = field(default_factory=dict)

    def take(self, record: Path, step: int = 0) -> Claim | None:
        """Claim the run whose record has that path under `out`, or None where another holds it.

        Raises UserError where the folder cannot be written or its file system has no hard links.
        """
        last, dead = self._last(record), None
        if last and not (dead := self._dead(self._path(record, last))):
            return None
        attempt = dead.attempt + 1 if dead and step <= dead.step else 1
        holder = Holder(socket.gethostname(), machine(), os.getpid(), uuid.uuid4().hex, attempt, step)
        path = self._path(record, last + 1)
        if not _appear(path, b"0" * DIGITS + json.dumps(asdict(holder)).encode()):
            return None
        return Claim(path, holder, lambda: self._last(record) == last + 1 and _holder(path) == holder)

    def free(self, record: Path) -> bool:
        """Might the run be claimed now?"""
        last = self._last(record)
        return not last or self._dead(self._path(record, last)) is not None

    def holder(self, record: Path) -> Holder | None:
        """Who holds the run, dead or alive."""
        last = self._last(record)
        return _read(self._path(record, last))[1] if last else None

    def clear(self, record: Path) -> None:
        """Remove all claims of a run that is recorded."""
        for number in self._numbers(record):
            self._path(record, number).unlink(missing_ok=True)

    def _dead(self, path: Path) -> Holder | None:
        """Who held the claim, once it is certain that it is dead."""
        content, holder = _read(path)
        if holder.surely_dead:
            return holder
        now = time.monotonic()
        if path not in self._watched or self._watched[path][0] != content:
            self._watched[path] = content, now
        return holder if now - self._watched[path][1] >= PATIENCE else None

    def _last(self, record: Path) -> int:
        return max(self._numbers(record), default=0)

    def _numbers(self, record: Path) -> list[int]:
        folder, pattern = (self.out / record).parent, re.compile(rf"{re.escape(record.stem)}\.claim-(\d+)")
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            names = []
        return [int(match[1]) for match in map(pattern.fullmatch, names) if match]

    def _path(self, record: Path, number: int) -> Path:
        return (self.out / record).with_suffix(f".claim-{number}")


def _appear(path: Path, content: bytes) -> bool:
    """Write a file that must not be there yet, whole; False if it is there."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.link(temporary, path)
        except FileExistsError:
            return os.stat(temporary).st_nlink == 2  # the answer to the first of two requests was lost
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{str(path)!r} cannot be written ({error.strerror}); make room there, or choose a folder that can be "
            "written and has hard links with --out"
        ) from None
    return True


NOBODY = Holder("an unknown machine", "", 0, "", 1, -1)


def _read(path: Path) -> tuple[bytes, Holder]:
    """A claim's content and what it says; NOBODY for one that is gone, damaged or not to be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return b"", NOBODY
    return content, _said(content)


def _holder(path: Path) -> Holder:
    """What a claim says; NOBODY for one that is gone or damaged. Raises OSError where that cannot be read."""
    try:
        return _said(path.read_bytes())
    except FileNotFoundError:
        return NOBODY


def _said(content: bytes) -> Holder:
    try:
        return Holder(**json.loads(content[DIGITS:]))
    except (ValueError, TypeError):
        return NOBODY


@cache
def machine() -> str:
    """What tells this machine, and the container on it, from all others; a process number means something only here."""
    parts = [socket.gethostname()]
    for read in (lambda: Path("/proc/sys/kernel/random/boot_id").read_text(), lambda: os.readlink("/proc/self/ns/pid")):
        try:
            parts.append(read().strip())
        except OSError:  # no Linux
            continue
    return "/".join(parts)
