"""What a decoder's probe leaves for figures: a clip as it is, as it is decoded, and in masks."""

import jax.numpy as jnp
import numpy as np

from benchmark.types import DatasetSpec, Frozen
from probes.decoding import Aligned, Decode, painted

FIGURE_BYTES = 1_300_000
"""Bytes of arrays for figures that a decoder probe leaves."""


def figures(
    decode: Decode, test: Frozen, entries: dict[str, Aligned], with_masks: bool, batch_size: int
) -> dict[str, np.ndarray]:
    """The last frames of the first whole clip as bytes: `frames`, and `s.frames`, `p1.frames`, ... as decoded.

    `clips` and `times` say which; all others are [1, times, ...]. Colours run over the frames' range, beyond which they
    are clipped; of frames stacked in channels the last is kept. `with_masks` adds those of the decoder, `s.masks`, and
    of the encoder, `attention`, from 0 to 1.
    """
    entries = {target: aligned for target, aligned in entries.items() if len(aligned.clips)}
    first = max(int(aligned.times.min()) for aligned in entries.values())
    length = figure_frames(test.spec, test.slots.shape[2], len(entries), with_masks)
    times = np.arange(first, test.valid.shape[1])[-length:]
    clips = np.flatnonzero(test.valid[:, times].all(1))[:1]
    if not (clips.size and times.size):
        return {}
    where = [jnp.asarray(index.ravel()) for index in np.meshgrid(clips, times, indexing="ij")]

    def stored(values: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        scaled = np.rint(255 * np.clip((values - low) / (high - low), 0, 1)).astype(np.uint8)
        return scaled.reshape(len(clips), len(times), *values.shape[1:])

    arrays = {"clips": clips, "times": times}
    for target, aligned in entries.items():
        decoded, frames = painted(decode, test, Aligned(aligned.slots, *where), batch_size)
        arrays["frames"] = stored(frames[..., -3:], *test.spec.frame_range)
        arrays[f"{target}.frames"] = stored(np.asarray(decoded.frames)[..., -3:], *test.spec.frame_range)
        if with_masks and target == "s":
            arrays["s.masks"] = stored(np.asarray(decoded.masks))
    if with_masks and test.masks is not None:
        arrays["attention"] = stored(test.masks[clips][:, times].reshape(-1, *test.masks.shape[2:]))
    return arrays


def figure_frames(spec: DatasetSpec, num_slots: int, num_targets: int, with_masks: bool) -> int:
    """Frames of the figures' clip that fit into FIGURE_BYTES, one at least."""
    h, w, c = spec.frame_shape
    masks = 2 * num_slots if with_masks else 0
    return max(1, FIGURE_BYTES // (h * w * (c + num_targets * c + masks)))
