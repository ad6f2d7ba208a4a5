"""Slots from the channels of a backbone: SCN's encoder (Racah & Chandar 2020, section 4)."""

from math import sqrt

import jax
from flax import nnx

from benchmark.modules.backbones import backbone_of, grid_of
from benchmark.modules.rows import by_rows
from benchmark.types import Array, DatasetSpec, Float


class SCNEncoder(nnx.Module):
    """Backbone, then one slot from each group of feature maps; C-SWM, supervised and random-CNN have it too there.

    The backbone's F channels are cut into K groups of c = floor(F / K), what remains is unused. One head, shared by
    all slots, makes a slot of each group: convolution 3x3 without padding c -> floor(c / 2), ReLU, flatten, linear.
    """

    def __init__(self, spec: DatasetSpec, num_slots: int, slot_size: int, rngs: nnx.Rngs) -> None:
        self.num_slots = num_slots
        self.backbone = backbone_of(spec)(spec, rngs)
        height, width, features = grid_of(self.backbone, spec, least=3)
        self.group = features // num_slots
        orthogonal = nnx.initializers.orthogonal(sqrt(2))
        self.conv = nnx.Conv(self.group, self.group // 2, (3, 3), padding="VALID", kernel_init=orthogonal, rngs=rngs)
        flat = (height - 2) * (width - 2) * (self.group // 2)
        self.linear = nnx.Linear(flat, slot_size, kernel_init=orthogonal, rngs=rngs)

    def __call__(self, frames: Float[Array, "*b h w c"]) -> Float[Array, "*b k d"]:
        batch = frames.shape[:-3]
        features = self.backbone(frames.reshape(-1, *frames.shape[-3:]))
        maps = features[..., : self.num_slots * self.group].reshape(*features.shape[:-1], self.num_slots, self.group)
        hidden = jax.nn.relu(self.conv(maps.transpose(0, 3, 1, 2, 4).reshape(-1, *features.shape[1:3], self.group)))
        return by_rows(self.linear, hidden.reshape(*batch, self.num_slots, -1))
