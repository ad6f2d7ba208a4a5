"""What a user can mend, a run that was lost to another process, and what went wrong and where in one line."""

import os
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path


class UserError(ValueError):
    """A user's mistake: its text is one line that names the value, the place and the remedy. Exit code 2."""


class DiskError(UserError):
    """A disk that is full or cannot be written: the fault of no run, so that none is recorded as failed for it."""


@contextmanager
def written(what: str) -> Iterator[None]:
    """Turns an OSError, inside, into the DiskError that says so of `what`."""
    try:
        yield
    except OSError as error:
        remedy = "make room there, then give the same command again"
        raise DiskError(f"{what} cannot be written ({error.strerror}); {remedy}") from None


MANY = 30
"""Names that are too many for a line."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not known, with the closest one that is, and all of them if they are not many."""
    names = sorted(known)
    close = closest(name, names)
    hint = f"did you mean {close!r}? " if close else ""
    own = "; one of your own needs --plugin FILE" if kind in ("method", "data set", "probe") else ""
    all_ = f"known: {', '.join(names) or 'none'}" if len(names) <= MANY else "run_benchmark.py --list has all"
    return UserError(f"unknown {kind} {name!r}; {hint}{all_}{own}")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The name among those known that is most like it, capitals apart; None if none is."""
    names = {other.lower(): other for other in known}
    return next((names[found] for found in get_close_matches(name.lower(), names, n=1)), None)


RAISED = (Exception, SystemExit)
"""What code of a plug-in may raise: its `exit()` fails what it was asked for, and does not end the command."""


class LostError(Exception):
    """Another process has taken the run over."""


LONGEST = 1_000
"""Characters of what an error says that are told in a line; a record's traceback has all."""


def reason(error: BaseException) -> str:
    """Why a run failed, in one line, with the place in a plug-in's file where that took part."""
    line = f"{type(error).__name__}: {_text(error)}"
    if _plugins_frames(error) and not isinstance(error, UserError):
        line += f" ({place(error)})"
    return f"out of memory: {line}" if out_of_memory(error) else line


def out_of_memory(error: BaseException) -> bool:
    """Of the machine or of the device."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in _whole(error)


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Turns whatever a plug-in raises when it is asked something outside a run into a UserError that names the line."""
    try:
        yield
    except UserError:
        raise
    except RAISED as error:
        raise UserError(f"{what}: {raised(error)}") from None


def raised(error: BaseException) -> str:
    """What a plug-in raised, and where, in one line; a user's mistake says where itself."""
    if isinstance(error, UserError):
        return str(error)
    return f"it raises {type(error).__name__}: {_text(error)} ({place(error)})"


def _text(error: BaseException) -> str:
    """The first line of what it says, all of it where that announces what follows, or what it does."""
    if isinstance(error, SystemExit) and error.code is None:
        return "exit()"
    first, _, rest = _whole(error).strip().partition("\n")
    line = " ".join([first, *rest.split()]) if first.endswith(":") else first
    return line if len(line) <= LONGEST or isinstance(error, UserError) else f"{line[:LONGEST]} …"


def _whole(error: BaseException) -> str:
    """All that it says, without what is no text, as names of files may hold."""
    try:
        return str(error).encode("utf-8", "replace").decode()
    except Exception:  # a plug-in's own class
        return "its text cannot be had"


def place(error: BaseException) -> str:
    """The file and line where code of a plug-in went wrong; the innermost of all where no such code took part."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    last = (_plugins_frames(error) or traceback.extract_tb(error.__traceback__))[-1]
    return f"{last.filename}, line {last.lineno}"


def _plugins_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Where the error went through code of a plug-in, the innermost place last."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if not frame.filename.startswith(("<frozen", "<string>", *_NOT_A_PLUGINS))]


_NOT_A_PLUGINS = (
    str(Path(__file__).resolve().parent) + os.sep,
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")),
)
"""Folders of the engine, of Python and of installed packages."""
