"""How well the encoder's own attention masks find the objects, without a decoder."""

from dataclasses import dataclass
from math import isqrt

import numpy as np

from benchmark.contracts import Probe
from benchmark.registry import probes
from benchmark.types import DatasetSpec, Frozen, Int, Key, Metric, ProbeResult
from probes.segmentation import fg_ari, hard_segments, mean_best_overlap

MEASURES = {"fg_ari": fg_ari, "mbo": mean_best_overlap}


@probes.register("masks")
@dataclass(frozen=True, kw_only=True)
class Masks(Probe):
    """FG-ARI and mBO (target `attention`) of the slot with the largest mask at every pixel of the test frames.

    Means over the frames where each is defined, which the notes count. Masks over a coarser grid of features, each
    feature of a square of pixels, are enlarged. Undefined for a method without masks, or with another grid.
    """

    def supports(self, spec: DatasetSpec) -> str | None:
        return None if spec.has_masks else "it has no true masks"

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """Reads `test` only; nothing is fitted and nothing is drawn."""
        segments, reason = _segments(test)
        if segments is None or test.labels.masks is None:
            undefined = tuple(Metric(name, "attention", None) for name in MEASURES)
            return ProbeResult(undefined, notes={"undefined": reason or "no true masks"})
        truth = np.asarray(test.labels.masks)[test.valid]
        found = {name: measure(_flat(truth), _flat(segments)) for name, measure in MEASURES.items()}
        metrics = tuple(Metric(name, "attention", scores.mean) for name, scores in found.items())
        return ProbeResult(metrics, notes={"frames": {name: int(s.defined.sum()) for name, s in found.items()}})


def _flat(frames: Int[np.ndarray, "m h w"]) -> Int[np.ndarray, "m n"]:
    return frames.reshape(len(frames), frames.shape[1] * frames.shape[2])


def _segments(frozen: Frozen) -> tuple[Int[np.ndarray, "m h w"] | None, str]:
    """The slot at every pixel of the frames that count, or why there is none."""
    if frozen.masks is None:
        return None, "the method has no masks"
    height, width, _ = frozen.spec.frame_shape
    positions = frozen.masks.shape[-1]
    side = isqrt(height * width // positions)
    if not side or height % side or width % side or side**2 * positions != height * width:
        return None, f"masks over {positions} positions are no grid of squares in a frame of {height}x{width}"
    coarse = hard_segments(np.asarray(frozen.masks)[frozen.valid]).reshape(-1, height // side, width // side)
    return coarse.repeat(side, 1).repeat(side, 2), ""
