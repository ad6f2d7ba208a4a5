"""A yardstick that sees no slot: segments made of each frame's colours alone.

Löwe et al. 2020 (arXiv 2011.10287), appendix A.3: in these videos the colours alone tell the objects apart, so FG-ARI
of a method says little unless it stands beside that of clustering the pixels by colour.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from benchmark.contracts import Probe
from benchmark.registry import probes
from benchmark.types import DatasetSpec, Float, Frozen, Int, Key, Metric, ProbeResult
from probes.segmentation import fg_ari


@probes.register("colour-kmeans")
@dataclass(frozen=True, kw_only=True)
class ColourKMeans(Probe):
    """FG-ARI (target `pixels`) of k-means on the colours of every frame by itself, with as many clusters as slots.

    On the frames of `num_clips` test clips, spread evenly over the split; mean over those where it is defined, which
    the notes count. It is the same for every method and seed. Of frames stacked in channels the last counts, whose
    masks are known.
    """

    num_clips: int = 32
    restarts: int = 4
    seed: int = 0

    def supports(self, spec: DatasetSpec) -> str | None:
        if not spec.has_masks:
            return "it has no true masks"
        channels = spec.frame_shape[-1]
        return f"its frames have {channels} channels, no colours" if channels % 3 else None

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """Reads `test` only, and of it no slot; `key` is not used, as `seed` is fixed."""
        assert test.read is not None
        if test.labels.masks is None:
            return ProbeResult((Metric("fg_ari", "pixels", None),), notes={"undefined": "no true masks"})
        clips = np.unique(np.linspace(0, len(test.valid) - 1, self.num_clips).round().astype(int))
        counts = test.valid[clips]
        frames = np.asarray(test.read(test.data, jnp.asarray(clips)).frames)[counts]
        truth = np.asarray(test.labels.masks)[clips][counts]
        pixels = truth.shape[-2] * truth.shape[-1]
        settings = test.spec.num_slots, self.restarts, self.seed
        segments = [cluster(frame[..., -3:].reshape(pixels, 3), *settings) for frame in frames]
        ari = fg_ari(truth.reshape(-1, pixels), np.reshape(segments, (-1, pixels)).astype(int))
        return ProbeResult((Metric("fg_ari", "pixels", ari.mean),), notes={"frames": int(ari.defined.sum())})


def cluster(pixels: Float[np.ndarray, "n c"], num_clusters: int, restarts: int, seed: int) -> Int[np.ndarray, " n"]:
    """The cluster of every pixel. Each colour is clustered once, with the number of its pixels as weight."""
    colours, which, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    if len(colours) <= num_clusters:
        return which.reshape(-1)
    from sklearn.cluster import KMeans

    kmeans = KMeans(num_clusters, n_init=restarts, random_state=seed).fit(colours, sample_weight=counts)
    return kmeans.labels_[which.reshape(-1)].astype(int)
