"""The spatial broadcast decoder of IODINE (Greff et al. 2019, arXiv 1903.00450, multi-dSprites configuration)."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx

from benchmark.modules.position import position_grid
from benchmark.types import Array, DatasetSpec, Decoded, Float, Key


class SpatialBroadcastDecoder(nnx.Module):
    """Each slot is tiled over the frame with coordinates in [-1, 1] and decoded by itself.

    Four 5x5 convolutions with ELU, then a linear one to the mask's logit and the colours (not squashed).
    """

    def __init__(self, spec: DatasetSpec, slot_size: int, filters: int, rngs: nnx.Rngs) -> None:
        self.height, self.width, channels = spec.frame_shape
        sizes = [slot_size + 2, *[filters] * 4, 1 + channels]
        self.convolutions = nnx.List([nnx.Conv(i, o, (5, 5), padding="SAME", rngs=rngs) for i, o in pairwise(sizes)])

    def __call__(self, slots: Float[Array, "*b k d"]) -> Decoded:
        size = self.height, self.width
        tiled = jnp.broadcast_to(slots[..., None, None, :], (*slots.shape[:-1], *size, slots.shape[-1]))
        where = jnp.broadcast_to(position_grid(*size, -1.0, 1.0), (*slots.shape[:-1], *size, 2))
        x = jnp.concatenate([tiled, where], -1).reshape(-1, *size, slots.shape[-1] + 2)
        for convolution in self.convolutions[:-1]:
            x = jax.nn.elu(convolution(x))
        x = self.convolutions[-1](x).reshape(*slots.shape[:-1], *size, -1)
        masks, paintings = jax.nn.softmax(x[..., 0], axis=-3), x[..., 1:]
        return Decoded((masks[..., None] * paintings).sum(-4), masks, paintings)


def sampled_error(
    decoder: SpatialBroadcastDecoder,
    slots: Float[Array, "b t k d"],
    frames: Float[Array, "b t h w c"],
    count: int | None,
    key: Key,
) -> Float[Array, ""]:
    """Mean squared error of `count` frames drawn at random, decoded from their slots; None: of all frames."""
    slots, frames = slots.reshape(-1, *slots.shape[2:]), frames.reshape(-1, *frames.shape[2:])
    if count is not None and count < len(frames):
        some = jax.random.choice(key, len(frames), (max(1, count),), replace=False)
        slots, frames = slots[some], frames[some]
    return jnp.square(decoder(slots).frames - frames).mean()


def decoder_filters(spec: DatasetSpec) -> int:
    """Löwe et al. 2020: 16 for the small frames of GridWorld, 32 for Bouncing Balls."""
    height, width, _ = spec.frame_shape
    return 16 if height * width < 256 else 32
