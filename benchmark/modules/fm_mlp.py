"""FM-MLP: one slot from each feature map, the encoder that Löwe et al. 2020 compare Slot Attention with."""

from math import prod

import jax.numpy as jnp
from flax import nnx

from benchmark.modules.mlp import MLP
from benchmark.modules.position import PositionedFeatures
from benchmark.modules.rows import by_rows
from benchmark.types import Array, DatasetSpec, Float, Key, Slots


class FeatureMapEncoder(nnx.Module):
    """m = f_linear(h) has one map a slot; s_k = f_mlp(m_k), shared by slots (Eq. 5 and 6, Löwe et al. 2020)."""

    def __init__(self, spec: DatasetSpec, num_slots: int, slot_size: int, rngs: nnx.Rngs) -> None:
        self.features = PositionedFeatures(spec, rngs)
        self.linear = nnx.Linear(self.features.num_features, num_slots, rngs=rngs)
        self.mlp = MLP(prod(self.features.grid), 128, slot_size, rngs)

    def __call__(self, frames: Float[Array, "b t h w c"], key: Key | None = None) -> Slots:
        """Slots without masks; the key is not used."""
        maps = by_rows(self.linear, self.features(frames))
        return Slots(self.mlp(jnp.swapaxes(maps, -1, -2)))
