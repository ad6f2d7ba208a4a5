"""SIGTERM, by which schedulers and pre-emption announce the end: answered within GRACE seconds; and Ctrl-C.

Ordinary work ends at once, by either. At SIGTERM a training ends at its next step with a checkpoint. What does not come
back to Python in time, such as a long compilation, is ended from outside: all that is on the disk is whole.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

GRACE = 4.0
"""Seconds from the signal to the end of the process at the latest."""
CODE = 128 + signal.SIGTERM
"""The exit code of a process that was stopped so."""
SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
"""SIGUSR2 is what submitit has Slurm send before a job's time is over."""

DROPPING = ("__del__", "_xla_gc_callback")
"""Functions out of which Python drops whatever is raised: finalisers, and JAX's callback of the garbage collector."""
AGAIN = 0.05
"""Seconds after which a signal that came there is sent again."""

last_acts: set[Callable[[], None]] = set()
"""What must be done even where the process has to be ended from outside."""

_asked = threading.Event()
_putting_off = False


class Stopped(BaseException):
    """The process was asked to end; like KeyboardInterrupt no failure of what was being done."""


def asked() -> bool:
    """Has a signal come that is still to be answered?"""
    return _asked.is_set()


@contextmanager
def put_off() -> Iterator[None]:
    """Inside, none of the signals interrupts but Ctrl-C.

    What takes long must itself ask whether to stop, as it does at each checkpoint.
    """
    global _putting_off
    _putting_off = True
    try:
        yield
    finally:
        _putting_off = False
    if asked():
        raise Stopped


@contextmanager
def listening() -> Iterator[None]:
    """Inside, the signals raise Stopped, Ctrl-C KeyboardInterrupt.

    Does nothing outside the main thread, which alone hears signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _asked.clear()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = {number: signal.signal(number, _answer) for number in SIGNALS}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, _interrupt)
    waking = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(reading, over), daemon=True, name="stopping")
    watch.start()
    try:
        yield
    finally:
        over.set()
        _asked.clear()
        signal.set_wakeup_fd(waking)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)
        watch.join()
        os.close(reading)


def _answer(number: int, frame: FrameType | None) -> None:
    """Runs in the main thread, between two of Python's operations. A second signal does not disturb the first's end."""
    if _sent_again(number, frame):
        return
    first = not _asked.is_set()
    _asked.set()
    if first and not _putting_off:
        raise Stopped


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C: as Python answers it."""
    if not _sent_again(number, frame):
        signal.default_int_handler(number, frame)


def _sent_again(number: int, frame: FrameType | None) -> bool:
    """Is the signal to come again a little later, since what it raised now would be dropped?"""
    while frame and frame.f_code.co_name not in DROPPING:
        frame = frame.f_back
    if frame:
        threading.Timer(AGAIN, os.kill, (os.getpid(), number)).start()
    return frame is not None


def _watch(reading: int, over: threading.Event) -> None:
    """Runs beside the main thread: hears of signals though that is busy outside Python."""
    while numbers := os.read(reading, 64):
        if set(numbers) & set(SIGNALS):
            if over.wait(GRACE):
                return
            for act in list(last_acts):
                act()
            os._exit(CODE)
