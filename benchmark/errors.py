"""What a user can mend, a run that was lost to another process, and why a run failed in one line."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A user's mistake: its text is one line that names the value, the place and the remedy. Exit code 2."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not known, with the closest one that is."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return UserError(f"unknown {kind} {name!r}; {hint}known: {', '.join(names)}")


class LostError(Exception):
    """Another process has taken the run over."""


def reason(error: Exception) -> str:
    """Why a run failed, in one line."""
    line = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return f"out of memory; fewer frames a step need less (--set training.frames_per_step=N): {line}"
    return line
