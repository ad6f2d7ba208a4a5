"""Slots from object maps: C-SWM's encoder (Kipf et al. 2020, section 2.2)."""

from math import ceil

import jax
from flax import nnx

from benchmark.modules.backbones import backbone_of, grid_of
from benchmark.modules.rows import by_rows
from benchmark.types import Array, DatasetSpec, Float

MAPS = {"cswm_small": (1, 1), "cswm_medium": (5, 5), "cswm_large": (3, 1)}
"""C-SWM's backbones, each with the size and the step of the convolution that makes the object maps."""

HIDDEN = 512
"""Width of the layers that make a slot of a map."""


class CSWMEncoder(nnx.Module):
    """K feature maps in [0, 1] from the data set's backbone, then a slot of each by an MLP that all slots share.

    Linear, ReLU, linear, LayerNorm, ReLU, linear.
    """

    def __init__(self, spec: DatasetSpec, num_slots: int, slot_size: int, rngs: nnx.Rngs) -> None:
        self.backbone = backbone_of(spec)(spec, rngs)
        size, step = MAPS[spec.backbone]
        rows, columns, features = grid_of(self.backbone, spec, least=1)
        self.to_maps = nnx.Conv(features, num_slots, (size, size), step, padding="SAME", rngs=rngs)
        self.linear1 = nnx.Linear(ceil(rows / step) * ceil(columns / step), HIDDEN, rngs=rngs)
        self.linear2 = nnx.Linear(HIDDEN, HIDDEN, rngs=rngs)
        self.norm = nnx.LayerNorm(HIDDEN, rngs=rngs)
        self.linear3 = nnx.Linear(HIDDEN, slot_size, rngs=rngs)

    def maps(self, frames: Float[Array, "b h w c"]) -> Float[Array, "b y x k"]:
        """Where each slot finds its object, from 0 to 1."""
        return jax.nn.sigmoid(self.to_maps(self.backbone(frames)))

    def __call__(self, frames: Float[Array, "*b h w c"]) -> Float[Array, "*b k d"]:
        maps = self.maps(frames.reshape(-1, *frames.shape[-3:]))
        flat = maps.transpose(0, 3, 1, 2).reshape(*frames.shape[:-3], maps.shape[-1], -1)
        return by_rows(self._slot, flat)

    def _slot(self, rows: Float[Array, "n positions"]) -> Float[Array, "n d"]:
        hidden = self.linear2(jax.nn.relu(self.linear1(rows)))
        return self.linear3(jax.nn.relu(self.norm(hidden)))
