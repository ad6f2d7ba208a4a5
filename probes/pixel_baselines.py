"""Errors of the mean frame and of the frame before, which need no slot: what that of a decoder is to be judged by."""

from collections.abc import Iterator
from math import prod

import jax.numpy as jnp
import numpy as np

from benchmark.types import Bool, Float, Frozen

PIXELS_PER_CALL = 2**20
"""Pixels of the videos that are read at once for the baselines."""


def pixel_baselines(train: Frozen, test: Frozen) -> dict[str, float | None]:
    """MSE on test of the mean of the training frames and of the frame before; None where no frame counts."""
    total = sum(frames[valid].sum(0, dtype=np.float64) for frames, valid in _videos(train))
    mean = total / train.valid.sum()
    from_mean, from_previous = [], []
    for frames, valid in _videos(test):
        from_mean.append(np.square(frames[valid] - mean).mean((1, 2, 3)))
        both = valid[:, 1:] & valid[:, :-1]
        from_previous.append(np.square(frames[:, 1:][both] - frames[:, :-1][both]).mean((1, 2, 3)))
    return {"mean_image_mse": _mean(from_mean), "previous_frame_mse": _mean(from_previous)}


def _videos(frozen: Frozen) -> Iterator[tuple[Float[np.ndarray, "b t h w c"], Bool[np.ndarray, "b t"]]]:
    """The clips with what counts of them, some at a time."""
    assert frozen.read is not None
    size = max(1, PIXELS_PER_CALL // (frozen.valid.shape[1] * prod(frozen.spec.frame_shape[:2])))
    for start in range(0, len(frozen.valid), size):
        clips = np.arange(start, min(start + size, len(frozen.valid)))
        yield np.asarray(frozen.read(frozen.data, jnp.asarray(clips)).frames), frozen.valid[clips]


def _mean(parts: list[np.ndarray]) -> float | None:
    values = np.concatenate(parts)
    return float(values.mean(dtype=np.float64)) if len(values) else None
