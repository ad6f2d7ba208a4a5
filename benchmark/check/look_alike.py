"""A tiny data set that resembles another: its frames' shape, objects, labels and actions, but squares that jump about.

Positions are drawn anew in every frame, so that nothing that a check changes goes unseen by chance.
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from benchmark.contracts import Splits
from benchmark.modules.clips import ClipsInMemory
from benchmark.types import DatasetSpec, Int, Labels

CLIPS = 6
MAX_PIXELS = 16_384
"""Larger frames are halved until they have no more: a check is about rules, not about size."""


def look_alike(spec: DatasetSpec, clips: int = CLIPS) -> Splits:
    """Splits of so many clips each, in the shape of that data set; all of its candidate coordinates are labels."""
    spec = _small(spec)
    train, probe, val, test = (squares(spec, seed, clips) for seed in range(4))
    known = np.asarray(train.data["labels"].coordinates)
    return Splits(spec.measured(known), train, probe, val, test, {"protocol": "squares that jump about"})


def _small(spec: DatasetSpec) -> DatasetSpec:
    height, width, channels = spec.frame_shape
    while height * width > MAX_PIXELS:
        height, width = height // 2, width // 2
    return replace(spec, frame_shape=(height, width, channels))


def squares(spec: DatasetSpec, seed: int, clips: int = CLIPS) -> ClipsInMemory:
    """Clips of a square an object, each of its own colour; a later object hides the earlier ones."""
    rng = np.random.default_rng(seed)
    height, width, channels = spec.frame_shape
    side, shape = max(1, min(height, width) // 7), (clips, spec.clip_length)
    corners = rng.integers(0, (width - side + 1, height - side + 1), (*shape, len(spec.objects), 2))
    masks = _masks(corners, (height, width), side)
    colours = np.random.default_rng(0).integers(80, 256, (len(spec.objects) + 1, channels)).astype(np.uint8)
    colours[0] = 0
    axes = {"x": 0, "y": 1}
    positions = [corners[..., c.object, axes[c.axis]] for c in spec.coordinates]
    coordinates = np.stack(positions, -1) if positions else np.zeros((*shape, 0))
    labels = Labels(jnp.asarray(coordinates, jnp.float32), jnp.asarray(masks) if spec.has_masks else None)
    actions = rng.integers(0, spec.num_actions, shape).astype(np.int32) if spec.num_actions else None
    return ClipsInMemory(colours[masks], labels, actions, spec.frame_range)


def _masks(corners: Int[np.ndarray, "i t o 2"], size: tuple[int, int], side: int) -> Int[np.ndarray, "i t h w"]:
    """0, or j + 1 where object j is seen."""
    masks = np.zeros((*corners.shape[:2], *size), np.int32)
    for i, t, j in np.ndindex(*corners.shape[:3]):
        x, y = corners[i, t, j]
        masks[i, t, y : y + side, x : x + side] = j + 1
    return masks
