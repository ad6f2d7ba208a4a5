"""Splits that are held in memory: of anything that can be drawn frame by frame, and of plain frames."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from benchmark.contracts import Split, check_window
from benchmark.types import Array, Batch, Bool, Data, Int, Key, Labels

States = Any
"""A pytree of arrays [i t ...] or [b t ...]: what there is to draw in every frame, and the action taken after it."""


class Episodes(Split):
    """Clips of equal length, kept as `states` and drawn inside the compiled step.

    A sample is a window of a clip, both drawn at random, uniformly. `valid` is False at entries that do not count;
    None: all do. Clips with such entries can be read, but not sampled: `sample` raises ValueError.
    """

    def __init__(
        self, states: States, draw: Callable[[States], Batch], valid: Bool[np.ndarray, "i t"] | None = None
    ) -> None:
        self.data, self.draw = states, draw
        self.valid = np.ones(jax.tree.leaves(states)[0].shape[:2], bool) if valid is None else valid

    def sample(self, data: Data, key: Key, batch_size: int, window: int) -> Batch:
        if not self.valid.all():
            invalid = f"{np.sum(~self.valid)} of {self.valid.size} frames of these clips are not valid"
            raise ValueError(f"{invalid}: they can be read, not sampled; give a training split without such frames")
        clips, length = jax.tree.leaves(data)[0].shape[:2]
        check_window(window, length)
        which, when = jax.random.split(key)
        chosen = jax.random.randint(which, (batch_size, 1), 0, clips)
        times = jax.random.randint(when, (batch_size, 1), 0, length - window + 1) + jnp.arange(window)
        return self.draw(jax.tree.map(lambda array: jnp.asarray(array)[chosen, times], data))

    def read(self, data: Data, clips: Int[Array, " b"]) -> Batch:
        return self.draw(jax.tree.map(lambda array: jnp.asarray(array)[clips], data))


class ClipsInMemory(Episodes):
    """Clips of frames, for a data set that has nothing better of its own.

    Frames stay one byte a value; inside the compiled step 0 to 255 become floats in `frame_range`. Labels and actions
    lie beside them, [i t ...]. `valid` is as in `Episodes`. Raises ValueError for frames of another kind, and for what
    lies beside them of other clips than there are frames of.
    """

    def __init__(
        self,
        frames: UInt8[np.ndarray, "i t h w c"],
        labels: Labels,
        actions: Int[np.ndarray, "i t"] | None = None,
        frame_range: tuple[float, float] = (0.0, 1.0),
        valid: Bool[np.ndarray, "i t"] | None = None,
    ) -> None:
        if frames.dtype != np.uint8 or frames.ndim != 5:
            given = f"{frames.dtype} of shape {frames.shape}"
            raise ValueError(f"frames are {given}; expected uint8 (0 to 255), [i t h w c]")
        if not isinstance(labels, Labels):
            raise ValueError(f"labels are a {type(labels).__name__}; expected benchmark.types.Labels(coordinates)")
        beside = {f"labels.{name}": array for name, array in labels._asdict().items()}
        for name, array in {**beside, "actions": actions, "valid": valid}.items():
            if array is not None and np.shape(array)[:2] != frames.shape[:2]:  # JAX would read the last clip's again
                expected = f"[i t ...] with i = {frames.shape[0]}, t = {frames.shape[1]}, as the frames beside it"
                raise ValueError(f"{name} has shape {np.shape(array)}; expected {expected}")
        super().__init__({"frames": frames, "actions": actions, "labels": labels}, partial(_batch, frame_range), valid)
        self.frame_range = frame_range


def _batch(frame_range: tuple[float, float], taken: States) -> Batch:
    low, high = frame_range
    frames = low + (high - low) / 255 * taken["frames"].astype(jnp.float32)
    return Batch(jnp.clip(frames, low, high), taken["actions"], taken["labels"])  # rounding may lead a hair beyond
