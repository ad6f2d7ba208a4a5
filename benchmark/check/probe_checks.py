"""What any probe must keep. Each check takes a `Question`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmark import checked
from benchmark.answers import Answer
from benchmark.check import outcome
from benchmark.check.outcome import Check
from benchmark.contracts import Probe, Split, Splits
from benchmark.types import DatasetSpec, Float, Frozen, ProbeResult

SLOT_SIZE = 4
KEY = 0

Spoil = Callable[[Frozen], Frozen]


@dataclass(frozen=True)
class Question:
    """A configured probe, and splits that are to be seen as random slots."""

    probe: Probe
    splits: Splits

    @property
    def spec(self) -> DatasetSpec:
        """Of the data."""
        return self.splits.spec

    @cached_property
    def answer(self) -> ProbeResult:
        """What the probe says of random slots with random masks and predictions."""
        return self.ask()

    def ask(self, key: int = KEY, change: Spoil = lambda frozen: frozen) -> ProbeResult:
        """The probe's answer on these splits, changed."""
        splits = (self.splits.probe, self.splits.val, self.splits.test)
        frozen = [change(self._frozen(split, seed)) for seed, split in enumerate(splits)]
        train, val, test = frozen
        return self.probe(train, val, test, jax.random.key(key))

    def _frozen(self, split: Split, seed: int) -> Frozen:
        rng, (clips, length), k = np.random.default_rng(seed), split.valid.shape, self.spec.num_slots
        labels = jax.tree.map(np.asarray, split.read(split.data, jnp.arange(clips)).labels)
        height, width, _ = self.spec.frame_shape
        masks = rng.exponential(size=(clips, length, k, height * width))
        ahead = max(1, self.probe.horizon)
        return Frozen(
            slots=_normal(rng, clips, length, k, SLOT_SIZE),
            labels=labels,
            valid=split.valid,
            spec=self.spec,
            masks=(masks / masks.sum(2, keepdims=True)).astype(np.float32),
            predicted=_normal(rng, clips, length, ahead, k, SLOT_SIZE),
            context=1,
            data=split.data,
            read=split.read,
        )


def _normal(rng: np.random.Generator, *shape: int) -> Float[np.ndarray, ...]:
    return rng.normal(size=shape).astype(np.float32)


def settings_are_plain_values(question: Question) -> str | None:
    return outcome.settings_are_plain_values(question.probe)


def supports_gives_a_reason_or_none(question: Question) -> str | None:
    checked.supports(question.probe, question.spec)  # raises otherwise
    return None


def its_answer_can_be_kept_in_a_record(question: Question) -> str | None:
    given = question.answer
    try:
        answer = Answer.of("probe", given)
    except (TypeError, ValueError) as error:
        return str(error)
    return None if answer.rows else "it gave no metric; expected at least one, None where it is undefined"


def one_key_gives_one_answer(question: Question) -> str | None:
    if _values(question.ask()) == _values(question.answer):
        return None
    return "asked twice with one key it gives other numbers; expected all randomness to come from `key`"


def a_method_without_masks_or_predictions_is_answered_too(question: Question) -> str | None:
    bare = question.ask(change=lambda frozen: replace(frozen, masks=None, predicted=None, context=0))
    return None if bare.metrics else "without masks and predictions it gave no metric; expected undefined ones as None"


def entries_that_do_not_count_change_nothing(question: Question) -> str | None:
    """The last frame of every clip is marked as invalid; its slots, masks, predictions and labels must not matter."""
    plain = _values(question.ask(change=_without_last))
    for what, spoiled in SPOILED.items():
        values = _values(question.ask(change=partial(_without_last, spoiled=spoiled)))
        if values != plain:
            changed = next(key for key in plain if plain[key] != values.get(key))
            return f"{changed} depends on {what} where `valid` is False; expected such entries to be left out"
    return None


def _without_last(frozen: Frozen, spoiled: Spoil = lambda frozen: frozen) -> Frozen:
    valid = frozen.valid.copy()
    valid[:, -1] = False
    return replace(spoiled(frozen), valid=valid)


def _last(array: Any, value: Any) -> Any:
    """With that value in the last frame of every clip."""
    if array is None:
        return None
    changed = np.array(array)
    changed[:, -1] = value
    return changed


SPOILED: dict[str, Spoil] = {
    "slots": lambda frozen: replace(frozen, slots=_last(frozen.slots, 9.0)),
    "masks": lambda frozen: replace(frozen, masks=_last(frozen.masks, np.eye(frozen.spec.num_slots)[0, :, None])),
    "predictions from": lambda frozen: replace(frozen, predicted=_last(frozen.predicted, 9.0)),
    "labels": lambda frozen: replace(frozen, labels=jax.tree.map(partial(_last, value=1), frozen.labels)),
}


def _values(result: ProbeResult) -> dict[tuple[str, str, str], str]:
    """As texts, by which NaN equals itself."""
    return {(row.metric, row.target, row.split): repr(row.value) for row in result.metrics}


CHECKS: tuple[Check, ...] = (
    settings_are_plain_values,
    supports_gives_a_reason_or_none,
    its_answer_can_be_kept_in_a_record,
    one_key_gives_one_answer,
    a_method_without_masks_or_predictions_is_answered_too,
    entries_that_do_not_count_change_nothing,
)
