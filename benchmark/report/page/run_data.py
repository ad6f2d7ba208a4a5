"""What the page's script shows of a run: its record, with what many runs have in common said once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmark.records import Record, digest

SHARED = ("configuration", "probes", "data", "provenance")


def run_data(records: Iterable[Record]) -> dict[str, Any]:
    """`runs`, whose SHARED fields are numbers of entries in `shared` and whose metrics begin with one of `metrics`."""
    shared, kinds = _Numbered(), _Numbered()
    runs = [_run(record, shared, kinds) for record in records]
    return {"runs": runs, "shared": shared.values, "metrics": kinds.values}


class _Numbered:
    """Values, each kept once and known by its number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        key = value if isinstance(value, tuple) else digest(value)
        if key not in self._numbers:
            self._numbers[key] = len(self.values)
            self.values.append(value)
        return self._numbers[key]


def _run(record: Record, shared: _Numbered, kinds: _Numbered) -> dict[str, Any]:
    plain = ("suite", "budget", "dataset", "method", "seed", "status", "reason", "traceback", "training", "notes")
    told = {name: getattr(record, name) for name in plain}
    told |= {name: shared.number(getattr(record, name)) for name in SHARED}
    told["path"] = record.path.as_posix()
    told["metrics"] = [
        [kinds.number((row["probe"], row["metric"], row["target"], row["split"])), _rounded(row["value"])]
        for row in record.metrics
    ]
    told["training"] = {name: fact for name, fact in record.training.items() if name != "loss_parts"}
    told["curve"] = [[_rounded(x) for x in point] for point in record.curve]
    told["parts"] = {name: curve for name, curve in _parts(record).items() if curve}
    return {name: value for name, value in told.items() if value not in (None, [], {})}


def _parts(record: Record) -> dict[str, list[list[float | None]]]:
    """The curves of the loss's named parts, where these are finite."""
    curves = {
        name: [[step, _rounded(value)] for (step, _), value in zip(record.curve, values, strict=True)]
        for name, values in record.training.get("loss_parts", {}).items()
    }
    return {name: [point for point in curve if None not in point] for name, curve in curves.items()}


def _rounded(value: float | None) -> float | None:
    """To six digits; the record has all."""
    return None if value is None else float(f"{value:.6g}")
