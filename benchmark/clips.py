"""A split of clips that are held in memory, for a data set that has nothing better of its own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from benchmark.contracts import Split, check_window
from benchmark.types import Array, Batch, Bool, Data, Float, Int, Key, Labels


class ClipsInMemory(Split):
    """Clips of equal length; a sample is a window of a clip drawn at random, both uniform.

    Frames stay one byte a value; inside the compiled step 0 to 255 become floats in `frame_range`. Labels and actions
    lie beside them, [i t ...]. `valid` is False at entries that do not count; None: all do. Raises ValueError for
    frames of another kind.
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
        self.data = {"frames": frames, "actions": actions, "labels": labels}
        self.frame_range = frame_range
        self.valid = np.ones(frames.shape[:2], bool) if valid is None else valid

    def sample(self, data: Data, key: Key, batch_size: int, window: int) -> Batch:
        clips, length = data["frames"].shape[:2]
        check_window(window, length)
        which, when = jax.random.split(key)
        rows = jax.random.randint(which, (batch_size, 1), 0, clips)
        starts = jax.random.randint(when, (batch_size, 1), 0, length - window + 1)
        return self._batch(data, (rows, starts + jnp.arange(window)))

    def read(self, data: Data, clips: Int[Array, " b"]) -> Batch:
        return self._batch(data, clips)

    def _batch(self, data: Data, index: Any) -> Batch:
        low, high = self.frame_range
        taken = jax.tree.map(lambda array: jnp.asarray(array)[index], data)
        frames = low + (high - low) / 255 * taken["frames"].astype(jnp.float32)
        return Batch(_kept_within(frames, low, high), taken["actions"], taken["labels"])


def _kept_within(frames: Float[Array, "b t h w c"], low: float, high: float) -> Float[Array, "b t h w c"]:
    """Rounding may lead a hair beyond the range."""
    return jnp.clip(frames, low, high)
