"""Splits of worlds that are kept as states and drawn inside the compiled step: a few bytes a frame."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmark.contracts import Split, check_window
from benchmark.types import Array, Batch, Bool, Data, Int, Key

States = Any
"""A pytree of arrays [i t ...] or [b t ...]: what there is to draw in every frame, and the action taken after it."""


class Episodes(Split):
    """Episodes of one length; a sample is a window that starts at a frame drawn at random, both uniform."""

    def __init__(
        self, states: States, draw: Callable[[States], Batch], valid: Bool[np.ndarray, "i t"] | None = None
    ) -> None:
        self.data, self.draw = states, draw
        shape = jax.tree.leaves(states)[0].shape[:2]
        self.valid = np.ones(shape, bool) if valid is None else valid

    def sample(self, data: Data, key: Key, batch_size: int, window: int) -> Batch:
        episodes, length = jax.tree.leaves(data)[0].shape[:2]
        check_window(window, length)
        which, when = jax.random.split(key)
        chosen = jax.random.randint(which, (batch_size, 1), 0, episodes)
        times = jax.random.randint(when, (batch_size, 1), 0, length - window + 1) + jnp.arange(window)
        return self.draw(jax.tree.map(lambda array: jnp.asarray(array)[chosen, times], data))

    def read(self, data: Data, clips: Int[Array, " b"]) -> Batch:
        return self.draw(jax.tree.map(lambda array: jnp.asarray(array)[clips], data))
