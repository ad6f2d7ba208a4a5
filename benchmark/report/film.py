"""A clip that a decoder's probe left beside a record: frames, what was decoded from their slots, and masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.types import Float

DECODED = ("s", "p1", "p2", "p3", "p4", "p5")
"""What frames are decoded from: slots of the frame itself, and predicted 1 to 5 steps ahead."""


@dataclass(frozen=True)
class Film:
    """One clip of a run, as a decoder's probe left it: values from 0 to 1, at the `times` of the clip.

    `decoded` are the frames by what they were decoded from, of DECODED; `masks` are the decoder's for "s".
    """

    times: list[int]
    frames: Float[np.ndarray, "t h w 3"]
    decoded: Mapping[str, Float[np.ndarray, "t h w 3"]]
    masks: Float[np.ndarray, "t k h w"] | None
    attention: Float[np.ndarray, "t k h w"] | None

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], probe: str) -> Film | None:
        """The first clip; None if that probe left nothing."""
        own = {name.removeprefix(f"{probe}."): array for name, array in arrays.items() if name.startswith(f"{probe}.")}
        if "s.frames" not in own:
            return None
        clip = {name: array[0] / np.float64(255) for name, array in own.items() if array.dtype == np.uint8}
        grey = {name: a for name, a in clip.items() if name.endswith("frames") and a.shape[-1] != 3}
        clip |= {name: array[..., -1:].repeat(3, -1) for name, array in grey.items()}
        decoded = {target: clip[f"{target}.frames"] for target in DECODED if f"{target}.frames" in clip}
        attention = _as_frames(clip["attention"], clip["frames"]) if "attention" in clip else None
        return cls([int(time) for time in own["times"]], clip["frames"], decoded, clip.get("s.masks"), attention)

    @property
    def num_slots(self) -> int:
        """Of the decoder's masks; 0 where there are none."""
        return 0 if self.masks is None else self.masks.shape[1]


def _as_frames(
    attention: Float[np.ndarray, "t k n"], frames: Float[np.ndarray, "t h w 3"]
) -> Float[np.ndarray, "t k h w"] | None:
    """Masks over the pixels; None where they are over a coarser grid."""
    height, width = frames.shape[1:3]
    return attention.reshape(*attention.shape[:2], height, width) if attention.shape[-1] == height * width else None
