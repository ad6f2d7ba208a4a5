"""Asking a check, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from benchmark.errors import RAISED, raised
from benchmark.records import digest
from benchmark.registry import configuration

Check = Callable[[Any], str | None]
"""Named for its claim; None, or what is wrong and what was expected."""


@dataclass(frozen=True)
class Outcome:
    """A claim, and what is wrong with it if anything is."""

    claim: str
    wrong: str | None


def ask(checks: Sequence[Check], subject: Any) -> Iterator[Outcome]:
    """Ask all in turn; an exception is what is wrong, with the line of one's own code that it came from."""
    for check in checks:
        yield Outcome(title(check), _answer(check, subject))


def title(check: Check) -> str:
    """The claim as a sentence."""
    return check.__name__.replace("_", " ")


def _answer(check: Check, subject: Any) -> str | None:
    try:
        return check(subject)
    except RAISED as error:
        return raised(error)


def settings_are_plain_values(plugin: Any) -> str | None:
    """Of a configured method, data set or probe: its fields make a digest, the same for equal settings."""
    try:
        same = digest(configuration(plugin)) == digest(configuration(replace(plugin)))
    except (TypeError, ValueError) as error:
        return f"a field is no JSON value ({error}); expected numbers, texts, booleans, None and tuples of these"
    return None if same else "equal settings give different digests; fields must not change once they are set"


def program(function: Callable[..., Any], *arguments: Any) -> str:
    """The text of a function traced anew: constants drawn outside JAX are in it, arguments that it ignores are not."""
    return jax.jit(lambda *traced: function(*traced)).lower(*arguments).as_text()


def draws_outside_jax(function: Callable[..., Any], *arguments: Any) -> bool:
    """Does tracing it twice give two programs? NumPy's or Python's random numbers are constants to JAX."""
    return program(function, *arguments) != program(function, *arguments)


def same_bits(a: Any, b: Any) -> bool:
    """Have two trees the same numbers, NaN being one?"""
    return all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
