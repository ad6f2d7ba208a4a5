"""The probes of a run asked about its frozen slots: the record with their answers."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from benchmark import parameters
from benchmark.answers import Answer
from benchmark.errors import RAISED, written
from benchmark.machine import commit
from benchmark.plan import Item
from benchmark.records import Record
from benchmark.registry import code, configuration
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
    run, names = item.run, item.probes_to_ask
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in record.metrics:
        rows.setdefault(row["probe"], []).append(row)
    notes, whole = dict(record.notes), parameters.arrays_intact(out, record)
    told = notes.pop("failed_probes", {})  # names only, in records of before
    told = told if isinstance(told, dict) else dict.fromkeys(told, "it raised")
    failed_before = {name: why for name, why in told.items() if name not in names}
    asked = dict(record.probes) if whole else {}
    place = out / record.arrays
    arrays = parameters.load_named(place) if whole and notes.get("arrays_sha256") else {}
    errors: dict[str, BaseException] = {}
    for name in names:
        say(f"probing, {name}")
        probe = run.probes[name]
        try:
            answer = Answer.of(name, probe(*frozen, jax.random.fold_in(key, zlib.crc32(name.encode()))))
        except RAISED as error:
            errors[name] = error
            asked.pop(name, None)
            continue
        origin = {"commit": commit(), "code": code(type(probe))}
        asked[name] = {"digest": run.probe_digests[name], "configuration": configuration(probe), **origin}
        rows[name], notes[name] = answer.rows, answer.notes
        arrays = {part: array for part, array in arrays.items() if part.partition(".")[0] != name} | answer.arrays
    number = {name: number for number, name in enumerate(run.probe_digests)}
    order = sorted(rows, key=lambda name: number.get(name, -1))  # which does not tell when a probe was asked
    confirm()
    with written(f"the arrays for figures {record.arrays}"):
        notes["arrays_sha256"] = parameters.save_named(place, arrays) if arrays else None
    answered = replace(record, probes=asked, metrics=[row for name in order for row in rows[name]], notes=notes)
    if errors or failed_before:
        return probes_failed(answered, errors, failed_before)
    return replace(answered, traceback=None)
