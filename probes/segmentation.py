"""How well segments match the objects of a frame: FG-ARI and mBO, each with whether it is defined."""

from typing import Any, NamedTuple

import numpy as np

from benchmark.types import Bool, Float, Int


class PerFrame(NamedTuple):
    """One number a frame; where `defined` is False the value is NaN and must not enter a mean."""

    values: Float[np.ndarray, "*b"]
    defined: Bool[np.ndarray, "*b"]

    @property
    def mean(self) -> float | None:
        """Over the frames where it is defined; None if there is none."""
        return float(self.values[self.defined].mean()) if self.defined.any() else None


def hard_segments(masks: Float[np.ndarray, "*b k n"]) -> Int[np.ndarray, "*b n"]:
    """The slot with the largest mask at every position."""
    return masks.argmax(-2)


def fg_ari(truth: Int[np.ndarray, "*b n"], segments: Int[np.ndarray, "*b n"]) -> PerFrame:
    """Adjusted Rand index of the pixels that show an object (`truth` above 0); 1 is perfect, 0 is chance.

    Per frame; time is not folded in. Undefined where no two pixels show the same object (nothing could be torn apart:
    an empty frame, or objects of one pixel), and where one object in one segment leaves nothing to compare.
    Hubert & Arabie 1985; without background as in Greff et al. 2019. `segments` are numbers from 0.
    """
    overlap = _overlaps(truth, segments)[..., 1:, :]
    together = _pairs(overlap).sum((-1, -2))
    objects, found = _pairs(overlap.sum(-1)).sum(-1), _pairs(overlap.sum(-2)).sum(-1)
    everything = _pairs(overlap.sum((-1, -2)))
    expected = objects / np.maximum(everything, 1) * found
    defined = (objects > 0) & ((objects < everything) | (found < everything))
    return _ratio(together - expected, (objects + found) / 2 - expected, defined)


def mean_best_overlap(truth: Int[np.ndarray, "*b n"], segments: Int[np.ndarray, "*b n"]) -> PerFrame:
    """mBO: the best intersection over union with any segment, mean over the objects that are seen; 0 to 1.

    Segments count with all their pixels, those on the background too. Undefined in a frame without objects.
    """
    overlap = _overlaps(truth, segments)
    sizes, areas = overlap.sum(-1)[..., 1:], overlap.sum(-2)
    union = sizes[..., :, None] + areas[..., None, :] - overlap[..., 1:, :]
    best = (overlap[..., 1:, :] / np.maximum(union, 1)).max(-1)
    seen = (sizes > 0).sum(-1)
    return _ratio(best.sum(-1), seen, seen > 0)


def _overlaps(truth: Int[np.ndarray, "*b n"], segments: Int[np.ndarray, "*b n"]) -> Int[np.ndarray, "*b o k"]:
    """How many pixels every pair of a true label (0 the background) and a segment share, counted exactly."""
    labels, slots = int(truth.max(initial=0)) + 1, int(segments.max(initial=0)) + 1
    frames = truth.reshape(-1, truth.shape[-1]).astype(np.int64)
    cells = (np.arange(len(frames))[:, None] * labels + frames) * slots + segments.reshape(frames.shape)
    counts = np.bincount(cells.ravel(), minlength=len(frames) * labels * slots)
    return counts.reshape(*truth.shape[:-1], labels, slots)


# NumPy's sums over a single frame are scalars, hence Any.
def _pairs(counts: Any) -> Any:
    return counts * (counts - 1) // 2


def _ratio(above: Any, below: Any, defined: Any) -> PerFrame:
    values = np.divide(above, below, out=np.full(np.shape(below), np.nan), where=defined)
    return PerFrame(np.asarray(values), np.asarray(defined))
