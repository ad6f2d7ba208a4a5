"""Has training collapsed? Statistics of the slots alone, without a label and without anything fitted.

A contrastive loss can be low, and a regression on the slots mediocre rather than bad, although the slots are copies of
one another or vary along one direction only. These numbers show it, and a run that is surely collapsed is named so.
"""

from dataclasses import dataclass

import numpy as np

from benchmark.contracts import Probe
from benchmark.registry import probes
from benchmark.types import Bool, Float, Frozen, Key, Metric, ProbeResult


@probes.register("diagnostics")
@dataclass(frozen=True, kw_only=True)
class Diagnostics(Probe):
    """Four measures of the test split's slots (target `slots`), none of which is better when higher or lower.

    `effective_rank`, `slot_correlation`, `temporal_variance` and `slot_usage` are the functions of this file; None
    where they are undefined. The notes say how many slots are constant, and `collapsed`: None, or why the run counts as
    collapsed. It does, in this order, when

    - all slots are constant: a standard deviation of at most `constant` times their root mean square;
    - they vary along one direction: an effective rank of at most `rank`;
    - they are copies of one another, up to scale and sign: a slot correlation of at least `correlation`.
    """

    constant: float = 1e-4
    rank: float = 1.05
    correlation: float = 0.99

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """Reads `test` only; nothing is fitted and nothing is drawn."""
        slots = np.asarray(test.slots, np.float64)
        constant = constant_slots(slots[test.valid], self.constant)
        found = {
            "effective_rank": effective_rank(slots[test.valid]),
            "slot_correlation": slot_correlation(slots[test.valid]),
            "temporal_variance": temporal_variance(slots, test.valid),
            "slot_usage": slot_usage(slots[test.valid]),
        }
        metrics = tuple(Metric(name, "slots", value, higher_is_better=None) for name, value in found.items())
        reason = self._collapsed(constant, found["effective_rank"], found["slot_correlation"])
        notes = {"collapsed": reason, "constant_slots": int(constant.sum()), "frames": int(test.valid.sum())}
        return ProbeResult(metrics, notes=notes)

    def _collapsed(self, constant: Bool[np.ndarray, " k"], rank: float | None, correlation: float | None) -> str | None:
        if constant.all():
            return "slots are constant"
        if rank is not None and rank <= self.rank:
            return f"slots vary along one direction (effective rank {rank:.3g})"
        if correlation is not None and correlation >= self.correlation:
            return f"all slots are copies of one another (correlation {correlation:.3g})"
        return None


def constant_slots(slots: Float[np.ndarray, "n k d"], tolerance: float) -> Bool[np.ndarray, " k"]:
    """Which slots have a standard deviation of at most `tolerance` times their root mean square over the n frames.

    No slot counts as constant where there are fewer than two frames.
    """
    if len(slots) < 2:
        return np.zeros(slots.shape[1], bool)
    scale = np.square(slots).mean((0, 2))
    return slots.var(0).mean(-1) <= tolerance**2 * scale


def effective_rank(slots: Float[np.ndarray, "n k d"]) -> float | None:
    """exp H(p), where p are the singular values of the centred frames x (k d) matrix, divided by their sum.

    From 1, one direction, to min(n - 1, k d), all directions alike (Roy & Vetterli 2007). None when nothing varies.
    """
    centred = _centred(slots)
    singular = np.linalg.svd(centred.reshape(len(slots), slots.shape[1] * slots.shape[2]), compute_uv=False)
    return _perplexity(singular)


def slot_correlation(slots: Float[np.ndarray, "n k d"]) -> float | None:
    """Mean |Pearson correlation| over pairs of slots and over d, of element d of the one with element d of the other.

    From 0, unrelated, to 1, copies up to scale and sign. Elements that do not vary are left out; None when no pair
    remains, as with one slot. A measure of our own.
    """
    centred = _centred(slots)
    length = np.sqrt(np.square(centred).sum(0))
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    varies = length > 0
    first, second = np.triu_indices(slots.shape[1], 1)
    between = np.abs(np.einsum("nkd,njd->kjd", unit, unit))[first, second][varies[first] & varies[second]]
    return float(np.minimum(between, 1).mean()) if between.size else None


def temporal_variance(slots: Float[np.ndarray, "i t k d"], valid: Bool[np.ndarray, "i t"]) -> float | None:
    """The share of the slots' variance, summed over k and d, that lies within clips rather than between their means.

    From 0, every clip has its own constant slots, to 1, all clips have the same mean. Over valid frames; None when
    nothing varies. A measure of our own.
    """
    kept = [clip[counts] for clip, counts in zip(slots, valid, strict=True) if counts.any()]
    if not kept:
        return None
    within = sum(float(np.square(_centred(clip)).sum()) for clip in kept)
    total = float(np.square(_centred(np.concatenate(kept))).sum())
    return min(within / total, 1.0) if total > 0 else None


def slot_usage(slots: Float[np.ndarray, "n k d"]) -> float | None:
    """exp H(p) / k, where p are the shares of the k slots in the variance, summed over d.

    From 1 / k, one slot has all of it, to 1, all have the same. It measures scale: a slot of small variance may still
    tell something. None when nothing varies. A measure of our own.
    """
    perplexity = _perplexity(np.square(_centred(slots)).sum((0, 2)))
    return None if perplexity is None else perplexity / slots.shape[1]


def _centred(slots: Float[np.ndarray, "n k d"]) -> Float[np.ndarray, "n k d"]:
    """Without the mean over frames; an element that holds one number only becomes 0 exactly, not rounding noise."""
    if not len(slots):
        return slots
    return np.where(np.ptp(slots, axis=0) > 0, slots - slots.mean(0), 0.0)


def _perplexity(weights: Float[np.ndarray, " n"]) -> float | None:
    """exp of the entropy of the weights divided by their sum; None when they are all 0."""
    total = weights.sum()
    if not total > 0:
        return None
    from scipy.special import entr

    return float(np.exp(entr(weights / total).sum()))
