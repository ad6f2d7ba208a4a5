"""The probes of a run asked about its frozen slots: the record with their answers."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from benchmark import parameters
from benchmark.answers import Answer
from benchmark.errors import RAISED, written
from benchmark.machine import commit
from benchmark.plan import Item, Run
from benchmark.records import Record
from benchmark.registry import code, configuration, probes
from benchmark.types import Frozen, Key
from benchmark.unfinished import probes_failed


def ask(
    item: Item,
    record: Record,
    frozen: tuple[Frozen, Frozen, Frozen],
    key: Key,
    out: Path,
    say: Callable[[str], None],
    confirm: Callable[[], None],
) -> Record:
    """The record with the answers of the probes that the item asks, as a failed one where some of them raise.

    Answers and failures of other probes stay in it, and what a probe that raises has answered before; but such a
    probe is no longer among those that were asked, nor are the others where their arrays are lost. `confirm` is called
    before the arrays are written into `out`, and raises where the run is another process's by then. Raises DiskError
    where they cannot be written.
    """
    run, whole = item.run, parameters.arrays_intact(out, record)
    answers, errors = _answers(run, item.probes_to_ask, frozen, key, say)
    notes = record.notes | {name: answer.notes for name, answer in answers.items()}
    failed_before = _reasons(notes.pop("failed_probes", {}), item.probes_to_ask)
    asked = {name: known for name, known in record.probes.items() if whole and name not in errors}
    asked |= {name: _origin(run, name) for name in answers}
    rows = [row for row in record.metrics if row["probe"] not in answers]
    rows += [row for answer in answers.values() for row in answer.rows]
    number = {name: number for number, name in enumerate(run.probe_digests)}
    rows.sort(key=lambda row: number.get(row["probe"], -1))  # which does not tell when a probe was asked
    place = out / record.arrays
    arrays = parameters.load_named(place) if whole and notes.get("arrays_sha256") else {}
    arrays = {part: array for part, array in arrays.items() if part.partition(".")[0] not in answers}
    for answer in answers.values():
        arrays |= answer.arrays
    confirm()
    with written(f"the arrays for figures {record.arrays}"):
        notes["arrays_sha256"] = parameters.save_named(place, arrays) if arrays else None
    answered = replace(record, probes=asked, metrics=rows, notes=notes)
    if errors or failed_before:
        return probes_failed(answered, errors, failed_before)
    return replace(answered, traceback=None)


def _answers(
    run: Run, names: Iterable[str], frozen: tuple[Frozen, Frozen, Frozen], key: Key, say: Callable[[str], None]
) -> tuple[dict[str, Answer], dict[str, BaseException]]:
    """What each of these probes gives, or raises; a probe's key depends on its name alone."""
    answers: dict[str, Answer] = {}
    errors: dict[str, BaseException] = {}
    for name in names:
        say(f"probing, {name}")
        try:
            given = run.probes[name](*frozen, jax.random.fold_in(key, zlib.crc32(name.encode())))
            answers[name] = Answer.of(name, given)
        except RAISED as error:
            errors[name] = error
    return answers, errors


def _origin(run: Run, name: str) -> dict[str, Any]:
    """What a record says of a probe that has answered."""
    probe = run.probes[name]
    told = {"digest": run.probe_digests[name], "configuration": configuration(probe)}
    return told | {"commit": commit(), "code": code(type(probe))}


def _reasons(told: Any, asked: Iterable[str]) -> dict[str, str]:
    """Why probes failed that are not asked now, if they are known still; records of before have their names only."""
    reasons = told if isinstance(told, dict) else dict.fromkeys(told, "it raised")
    return {name: why for name, why in reasons.items() if name not in asked and name in probes}
