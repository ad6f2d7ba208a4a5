"""Does a prediction of the next states find the true one among those of other scenes?

Kipf et al. 2020, "Contrastive Learning of Structured World Models" (arXiv 1911.12247), section 4.2: without actions or
frames beyond the first, states are predicted 1, 5 and 10 steps ahead; then for every scene its true state's embedding
ranks the predictions of all scenes by distance. Hits@1 is how often the scene's own prediction comes first, MRR the
mean of 1 / its rank.

Departures: the original breaks ties towards the truth, so that an encoder that maps everything to one point scores
100 %; here tied predictions share the mean of their ranks. It drops the last partial batch; nothing is dropped here but
scenes whose true state another scene has too, as both predictions are right then: the first of them stays.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import numpy as np

from benchmark.contracts import Probe
from benchmark.registry import probes
from benchmark.types import DatasetSpec, Float, Frozen, Metric, ProbeResult

__all__ = ["Ranking"]

STEPS = (1, 5, 10)

PAIRS_PER_CALL = 2**22
"""Distances that are held at once."""


@probes.register("ranking")
@dataclass(frozen=True, kw_only=True)
class Ranking(Probe):
    """Hits@1 and MRR, from 0 to 1, of states predicted 1, 5 and 10 steps ahead: targets `p1`, `p5`, `p10`.

    One scene a test clip, `num_clips` of them at most, all predicted from the same frame: the last from which 10 steps
    fit into a clip. Undefined for a method that does not predict, or needs more frames before that one. At chance
    Hits@1 is 1 / n; the notes hold n. `embedding_variance` is that of all test frames, mean over the elements of all
    slots, for every method: near 0, the encoder has collapsed.
    """

    horizon: ClassVar[int] = max(STEPS)

    num_clips: int = 10_000

    def supports(self, spec: DatasetSpec) -> str | None:
        if not spec.coordinates:
            return "it has no coordinates to tell one state from another"
        if spec.clip_length <= self.horizon:
            return f"its clips of {spec.clip_length} frames are too short to predict {self.horizon} steps"
        return None

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: jax.Array) -> ProbeResult:
        """Reads `test` only; nothing is fitted and nothing is drawn."""
        now = test.slots.shape[1] - 1 - self.horizon
        spread = Metric("embedding_variance", "s", _variance(test), higher_is_better=None)
        if test.predicted is None or test.context - 1 > now:
            undefined = [Metric(name, f"p{step}", None) for step in STEPS for name in ("hits_at_1", "mrr")]
            reason = "the method does not predict" if test.predicted is None else f"it needs {test.context} frames"
            return ProbeResult((*undefined, spread), notes={"undefined": reason})
        found = {step: scenes(test, now, step, self.num_clips) for step in STEPS}
        metrics = [metric for step, those in found.items() for metric in _metrics(step, those)]
        return ProbeResult(
            (*metrics, spread), notes={"n": {f"p{step}": len(those.truth) for step, those in found.items()}}
        )


class Scenes(NamedTuple):
    """Embeddings, all slots side by side, of the true states and of the predicted ones."""

    truth: Float[np.ndarray, "n f"]
    predicted: Float[np.ndarray, "n f"]


def scenes(test: Frozen, now: int, step: int, num_clips: int) -> Scenes:
    """The first clips that count at frame `now` and `step` frames later, no two alike there."""
    assert test.predicted is not None
    then = now + step
    clips = np.flatnonzero(test.valid[:num_clips, now] & test.valid[:num_clips, then])
    states = np.asarray(test.labels.coordinates)[clips, then]
    clips = clips[np.sort(np.unique(states, axis=0, return_index=True)[1])]
    truth, predicted = test.slots[clips, then], test.predicted[clips, now, step - 1]
    k, d = truth.shape[1:]
    return Scenes(*(slots.reshape(len(clips), k * d).astype(np.float64) for slots in (truth, predicted)))


def ranks(truth: Float[np.ndarray, "n f"], predicted: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
    """The rank, from 1, of prediction i among all by distance to true state i; ties share the mean of their ranks."""
    from scipy.spatial.distance import cdist

    found, rows = [np.zeros(0)], max(1, PAIRS_PER_CALL // max(1, len(truth)))
    for start in range(0, len(truth), rows):
        distances = cdist(truth[start : start + rows], predicted, "sqeuclidean")
        distances[np.isnan(distances)] = np.inf  # a prediction that ran out of range is the last
        own = distances[np.arange(len(distances)), start + np.arange(len(distances))][:, None]
        nearer, tied = (distances < own).sum(1), (distances == own).sum(1)
        found.append(nearer + (tied + 1) / 2)
    return np.concatenate(found)


def _variance(test: Frozen) -> float | None:
    slots = test.slots[test.valid]
    return float(slots.var(0, dtype=np.float64).mean()) if len(slots) else None


def _metrics(step: int, those: Scenes) -> list[Metric]:
    places = ranks(*those)
    if not len(places):
        return [Metric("hits_at_1", f"p{step}", None), Metric("mrr", f"p{step}", None)]
    return [
        Metric("hits_at_1", f"p{step}", float((places == 1).mean())),
        Metric("mrr", f"p{step}", float((1 / places).mean())),
    ]
