"""What a probe has answered, as a record keeps it; what cannot be kept is refused in one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from math import isfinite
from numbers import Real
from types import NoneType
from typing import Any

import numpy as np

from benchmark import records
from benchmark.checked import JSON, in_words
from benchmark.types import Metric, ProbeResult

ARRAYS_LIMIT = 4_000_000
"""Bytes of arrays for figures that a probe may leave beside a record."""


@dataclass(frozen=True)
class Answer:
    """Rows of `Record.metrics`, notes as plain JSON, and arrays for figures, each named "<probe>.<its name>"."""

    rows: list[dict[str, Any]]
    notes: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, probe: str, given: Any) -> Answer:
        """What the probe of that name gave.

        Raises TypeError for what is no ProbeResult, for notes that JSON does not have, for arrays of objects and for a
        `higher_is_better` that is neither True, False nor None, ValueError for a value that is no finite number, for a
        metric given twice and for arrays beyond ARRAYS_LIMIT.
        """
        if not isinstance(given, ProbeResult):
            raise TypeError(f"it gave a {type(given).__name__}, not a benchmark.types.ProbeResult")
        counts = Counter((metric.metric, metric.target, metric.split) for metric in given.metrics)
        if twice := [key for key, count in counts.items() if count > 1]:
            raise ValueError(f"it gave {twice[0][0]} of {twice[0][1]} twice")
        arrays = {f"{probe}.{part}": np.asarray(value) for part, value in given.arrays.items()}
        if (size := sum(array.nbytes for array in arrays.values())) > ARRAYS_LIMIT:
            raise ValueError(f"its arrays take {size} bytes; at most {ARRAYS_LIMIT} are kept")
        if strange := [name for name, array in arrays.items() if array.dtype.hasobject]:
            raise TypeError(f"its {strange[0]} is no array of numbers")
        try:
            notes = records.as_read(given.notes)
        except (TypeError, ValueError) as error:
            raise TypeError(f"its notes hold what is no JSON value ({error}); expected {JSON}") from None
        return cls([_row(probe, metric) for metric in given.metrics], notes, arrays)


def _row(probe: str, metric: Metric) -> dict[str, Any]:
    """A metric as a row of a record."""
    value = metric.value
    if not all(isinstance(name, str) for name in (metric.metric, metric.target, metric.split)):
        raise TypeError(f"it gave {metric.metric!r} of {metric.target!r} on {metric.split!r}; expected texts")
    if value is not None and not isinstance(value, Real):
        raise ValueError(f"it gave {metric.metric} of {metric.target} = {in_words(value)}; expected a number")
    if value is not None and not isfinite(value):
        raise ValueError(f"it gave {metric.metric} of {metric.target} = {value!r}; undefined must be None")
    better = metric.higher_is_better
    if not isinstance(better, (bool, np.bool_, NoneType)):
        raise TypeError(f"it gave {metric.metric} with higher_is_better {better!r}; expected True, False or None")
    row = {"probe": probe, **asdict(metric), "value": None if value is None else float(value)}
    return row | {"higher_is_better": None if better is None else bool(better)}
