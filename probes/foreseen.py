"""Slots set beside a later frame: those predicted for it, and the encoded ones that the prediction was made from."""

import numpy as np

from benchmark.types import Bool, Float, Frozen


def foreseen(frozen: Frozen, ahead: int) -> Bool[np.ndarray, "i t"]:
    """Which frames count and are predicted `ahead` steps before, once `context` frames have been seen."""
    if frozen.predicted is None:
        return np.zeros_like(frozen.valid)
    return frozen.valid & (np.arange(frozen.valid.shape[1]) >= frozen.context - 1 + ahead)


def predicted(frozen: Frozen, ahead: int) -> Float[np.ndarray, "i t k d"]:
    """The slots predicted for each frame `ahead` steps before; zeros where there were none."""
    assert frozen.predicted is not None
    return _later(frozen.predicted[:, :, ahead - 1], ahead)


def last_seen(frozen: Frozen, ahead: int) -> Float[np.ndarray, "i t k d"]:
    """For each frame the encoded slots of the one `ahead` steps before it; zeros for the first."""
    return _later(frozen.slots, ahead)


def context(frozen: Frozen, ahead: int) -> Float[np.ndarray, "i t s d"]:
    """For each frame the encoded slots of the `context` frames, s = context x k, that it is predicted from."""
    return np.concatenate([last_seen(frozen, ahead + earlier) for earlier in range(frozen.context)], axis=2)


def _later(slots: Float[np.ndarray, "i t k d"], ahead: int) -> Float[np.ndarray, "i t k d"]:
    moved = np.zeros_like(slots)
    moved[:, ahead:] = slots[:, :-ahead]
    return moved
