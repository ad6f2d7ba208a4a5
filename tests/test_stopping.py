"""SIGTERM is answered within the time that schedulers give, whatever the process is doing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark import stopping

BUSY = """
import hashlib, sys, threading
from benchmark import stopping
stopping.GRACE = 0.5
stopping.last_acts.add(lambda: print("given back", flush=True))
with stopping.listening(), stopping.put_off():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2_000_000_000)
"""

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")


def test_ordinary_work_ends_at_once_and_the_handlers_of_before_are_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(stopping.Stopped), stopping.listening():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_signal_does_not_disturb_what_the_first_has_set_going():
    ended = []
    with pytest.raises(stopping.Stopped), stopping.listening():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            ended.append(True)
    assert ended


@pytest.mark.parametrize(("number", "raised"), [("SIGINT", KeyboardInterrupt), ("SIGTERM", stopping.Stopped)])
def test_a_signal_in_a_finaliser_which_drops_what_is_raised_is_heard_all_the_same(number, raised):
    class Finalised:
        def __del__(self):
            signal.raise_signal(getattr(signal, number))
            heard.append(True)

    heard = []
    with pytest.raises(raised), stopping.listening():
        Finalised()
        time.sleep(5)
    assert heard


def test_ctrl_c_where_it_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping.listening():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_work_that_asks_by_itself_is_stopped_at_its_end_at_the_latest():
    reached = []
    with stopping.listening():
        with pytest.raises(stopping.Stopped), stopping.put_off():
            signal.raise_signal(signal.SIGTERM)
            reached.append(stopping.asked())
        assert reached == [True]
    with stopping.listening():
        assert not stopping.asked()


def test_a_process_that_does_not_come_back_to_python_is_ended_from_outside_and_gives_its_claim_back():
    command = [sys.executable, "-c", BUSY]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "busy\n"
    began = time.monotonic()
    process.terminate()
    assert process.stdout.read() == "given back\n"
    assert process.wait() == stopping.CODE == 143 and time.monotonic() - began < 5
