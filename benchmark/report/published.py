"""The numbers that papers print, from results/papers."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from benchmark.errors import UserError

PAPERS = Path(__file__).parents[2] / "results" / "papers"
"""A TOML file a paper."""


@cache
def published(paper: str) -> dict[str, Any]:
    """One paper's tables, as in its file there ("racah2020").

    Raises UserError for a file that is not there, is no TOML, or has something else in its tables than numbers, alone
    or in pairs.
    """
    path = PAPERS / f"{paper}.toml"
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; papers' values are read from it, so put it back") from None
    except ValueError as error:  # not TOML, or no text
        raise UserError(f"{path}: {error}; mend it, or put back the one of the repository") from None
    values = dict(_values(found))
    pairs = 2 * sum(isinstance(value, list) for value in values.values()) >= len(values)
    for place, value in values.items():
        numbers = value if pairs else [value]
        if not (isinstance(numbers, list) and len(numbers) == 1 + pairs and all(map(_is_finite, numbers))):
            expected = "[mean, spread], two finite numbers" if pairs else "a finite number"
            raise UserError(f"{path}: {place} is {value!r}; expected {expected}, as most of its values are")
    return found


def _values(table: dict[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """What stands in the tables, and where; texts about a paper stand above them."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _values(value, f"{place}{name}.")
        elif place:
            yield f"{place}{name}", value


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)
