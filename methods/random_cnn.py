"""RANDOM-CNN: the encoder (on Atari SCN's) as initialised; the floor of every table (Racah & Chandar 2020).

    python run_benchmark.py --methods random-cnn --suite atari

Expected at the paper's probe budget: mean R2 of .39 over 20 games.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from flax import nnx

from benchmark.contracts import Loss, Method
from benchmark.modules.slot_encoder import slot_encoder, too_many_slots
from benchmark.registry import methods
from benchmark.types import Array, Batch, DatasetSpec, Float, Key, Slots


@methods.register("random-cnn")
@dataclass(frozen=True, kw_only=True)
class RandomCNN(Method):
    """Random features: what they reach, a method must exceed to have learned anything."""

    trains = False

    slot_size: int = 32
    num_slots: int | None = None

    def window(self, spec: DatasetSpec) -> int:
        return 1

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> nnx.Module:
        return slot_encoder(spec, self.num_slots or spec.num_slots, self.slot_size, rngs)

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        """0: there is nothing to learn."""
        return jnp.zeros(()), {}

    def supports(self, spec: DatasetSpec) -> str | None:
        return too_many_slots(spec, self.num_slots)

    def encode(self, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        return Slots(model(frames))
