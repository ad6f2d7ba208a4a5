"""The spatial broadcast decoder of IODINE (Greff et al. 2019, arXiv 1903.00450, multi-dSprites configuration)."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx

from benchmark.modules.convolution import convolve, convolve_constant
from benchmark.modules.position import position_grid
from benchmark.types import Array, DatasetSpec, Decoded, Float, Key


class SpatialBroadcastDecoder(nnx.Module):
    """Each slot is tiled over the frame with coordinates in [-1, 1] and decoded by itself.

    Four 5x5 convolutions with ELU, then a linear one to the mask's logit and the colours (not squashed). The frame that
    it paints is `reduce` times smaller each way than the data set's, the last row and column rounded up.
    """

    def __init__(self, spec: DatasetSpec, slot_size: int, filters: int, rngs: nnx.Rngs, *, reduce: int = 1) -> None:
        height, width, channels = spec.frame_shape
        self.frame_size = height, width
        self.reduce = reduce
        self.height, self.width = (-(-side // reduce) for side in self.frame_size)
        sizes = [slot_size + 2, *[filters] * 4, 1 + channels]
        self.convolutions = nnx.List([nnx.Conv(i, o, (5, 5), padding="SAME", rngs=rngs) for i, o in pairwise(sizes)])

    def __call__(self, slots: Float[Array, "*b k d"]) -> Decoded:
        size = self.height, self.width
        first, *hidden, last = self.convolutions
        of_slots = convolve_constant(first, slots.reshape(-1, slots.shape[-1]), size)
        of_position = convolve(
            first, jnp.pad(position_grid(*size, -1.0, 1.0), [(0, 0), (0, 0), (slots.shape[-1], 0)])[None]
        )
        x = jax.nn.elu(of_slots + of_position)
        for convolution in hidden:
            x = jax.nn.elu(convolve(convolution, x))
        x = convolve(last, x).reshape(*slots.shape[:-1], *size, -1)
        masks, paintings = jax.nn.softmax(x[..., 0], axis=-3), x[..., 1:]
        return Decoded((masks[..., None] * paintings).sum(-4), masks)

    def in_full_size(self, slots: Float[Array, "*b k d"]) -> Decoded:
        """As when called, but in the size of the data set's frames: pixels of a reduced frame are repeated."""
        height, width = self.frame_size

        def repeat(image: Array, rows: int) -> Array:
            return image.repeat(self.reduce, rows).repeat(self.reduce, rows + 1)

        small = self(slots)
        frames, masks = repeat(small.frames, -3), repeat(small.masks, -2)
        return Decoded(frames[..., :height, :width, :], masks[..., :height, :width])


def sampled_error(
    decoder: SpatialBroadcastDecoder,
    slots: Float[Array, "b t k d"],
    frames: Float[Array, "b t h w c"],
    count: int | None,
    key: Key,
) -> Float[Array, ""]:
    """Mean squared error of `count` frames drawn at random, decoded from their slots; None: of all frames.

    Where the decoder paints reduced frames they are compared with the mean of the pixels that each of theirs covers.
    """
    slots, frames = slots.reshape(-1, *slots.shape[2:]), frames.reshape(-1, *frames.shape[2:])
    if count is not None and count < len(frames):
        some = jax.random.choice(key, len(frames), (max(1, count),), replace=False)
        slots, frames = slots[some], frames[some]
    if decoder.reduce > 1:
        frames = reduced(frames, decoder.reduce)
    return jnp.square(decoder(slots).frames - frames).mean()


def frames_decoded(decoder: SpatialBroadcastDecoder, num_slots: int, frames: int | None, pixels: int) -> int | None:
    """How many frames a step decodes from slots, and again from predictions; None, for all, where `frames` is None.

    Together they are `frames`, or fewer where these have more than so many `pixels`, as painted. A pixel counts as two
    with 8 slots, twice the number of Löwe et al. 2020, and as three with 12.
    """
    if frames is None:
        return None
    each = decoder.height * decoder.width * max(1, num_slots // 4)
    return max(1, min(frames, pixels // each) // 2)


def reduced(frames: Float[Array, "b h w c"], factor: int) -> Float[Array, "b y x c"]:
    """Frames `factor` times smaller each way: the mean of every square of pixels, or of what of it is in the frame."""
    b, height, width, c = frames.shape
    beyond = (0, 0), (0, -height % factor), (0, -width % factor), (0, 0)
    padded = jnp.pad(frames, beyond, constant_values=jnp.nan)
    return jnp.nanmean(padded.reshape(b, -(-height // factor), factor, -(-width // factor), factor, c), (2, 4))


def reduction(spec: DatasetSpec, max_pixels: int) -> int:
    """1 for frames of at most `max_pixels`, else the power of 2 by which each side is divided to have so few.

    4 for Atari's 210x160 frames and 64 * 64 pixels: 53x40.
    """
    height, width, _ = spec.frame_shape
    factor = 1
    while -(-height // factor) * -(-width // factor) > max_pixels:
        factor *= 2
    return factor


def decoder_filters(spec: DatasetSpec) -> int:
    """Löwe et al. 2020: 16 for the small frames of GridWorld, 32 for Bouncing Balls."""
    height, width, _ = spec.frame_shape
    return 16 if height * width < 256 else 32
