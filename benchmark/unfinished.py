"""The record of a run before it is done, and where it did not end well."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmark import records
from benchmark.claims import ATTEMPTS
from benchmark.errors import out_of_memory, reason
from benchmark.machine import provenance
from benchmark.plan import Item, Run
from benchmark.records import Record
from benchmark.registry import code


def blank(run: Run) -> Record:
    """The record of a run of which nothing is known yet but its identity."""
    return Record(
        suite=run.suite,
        budget=run.budget,
        dataset=run.dataset_name,
        method=run.method_name,
        seed=run.seed,
        digest=run.digest,
        status="failed",
        configuration=run.configuration,
        provenance=provenance() | {"code": {"method": code(type(run.method)), "dataset": code(type(run.dataset))}},
    )


def standing_record(path: Path) -> Record | None:
    """The record that is there, if it is whole."""
    try:
        return records.read(path)
    except records.DamagedRecordError:
        return None


def standing_before(item: Item) -> Record:
    """What stands of a run until it is done: the training, where only probes are asked, and what was ever answered."""
    known = item.record
    return known if known and (item.state == "reprobe" or known.metrics) else blank(item.run)


def given_up(item: Item) -> Record:
    """The record of a run that ended the life of all that tried it."""
    why = f"its process died {ATTEMPTS} times without getting further: crashed, or killed as for want of memory"
    return _failed(standing_before(item), why, "no traceback: the process did not come back to Python")


def failed(standing: Record, error: BaseException) -> Record:
    """The record of a run that raised; what stands of it already, such as its training, stays."""
    why = reason(error)
    if out_of_memory(error):
        why += "; if it was in training, fewer frames a step need less (--set training.frames_per_step=N)"
    return _failed(standing, why, "".join(traceback.format_exception(error)))


def probes_failed(standing: Record, errors: Mapping[str, BaseException], before: Mapping[str, str]) -> Record:
    """The record of a run of which these probes raised, and others `before`, whose reasons its notes have.

    Its own reason is that of the first.
    """
    reasons = {**{name: reason(error) for name, error in errors.items()}, **before}
    first, *others = reasons
    too = f" ({', '.join(others)} failed too)" if others else ""
    told = [line for error in errors.values() for line in traceback.format_exception(error)]
    if before:
        told.append(standing.traceback or "")
    record = _failed(standing, f"probe {first}{too}: {reasons[first]}", "".join(told))
    return replace(record, notes=record.notes | {"failed_probes": reasons})


def _failed(standing: Record, why: str, told: str) -> Record:
    """With the instant, so that no two failures of a run are alike: by another record others see that it was tried.

    What a probe that failed before had answered still earlier goes with the note of its failure, which hid it.
    """
    notes = {name: note for name, note in standing.notes.items() if name != "failed_probes"}
    told = f"{datetime.now(UTC).isoformat()}\n{told}"
    return replace(standing, status="failed", reason=why, traceback=told, notes=notes, metrics=standing.standing)
