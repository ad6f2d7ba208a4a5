"""Does a prediction of the next states find the true one among those of other scenes?

Kipf et al. 2020, "Contrastive Learning of Structured World Models" (arXiv 1911.12247), section 4.2: from one frame and
the actions taken, without any further frame, states are predicted 1, 5 and 10 steps ahead; then for every scene its
true state's embedding ranks the predictions of all scenes by distance. Hits@1 is how often the scene's own prediction
comes first, MRR the mean of 1 / its rank.

Departures: the original breaks ties towards the truth, so that an encoder that maps everything to one point scores
100 %; here tied predictions share the mean of their ranks. It drops the last partial batch; nothing is dropped here but
scenes whose true state another scene has too, as both predictions are right then: the first of them stays.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmark.contracts import Probe
from benchmark.registry import probes
from benchmark.types import DatasetSpec, Float, Frozen, Int, Key, Metric, ProbeResult

STEPS = (1, 5, 10)

PAIRS_PER_CALL = 2**22
"""Distances that are held at once."""


@probes.register("ranking")
@dataclass(frozen=True, kw_only=True)
class Ranking(Probe):
    """Hits@1 and MRR, from 0 to 1, of states predicted 1, 5 and 10 steps ahead: targets `p1`, `p5`, `p10`.

    One scene a test clip, `num_clips` of them at most, all predicted from the same frame: the last from which 10 steps
    fit into a clip. Undefined for a method that does not predict, or needs more frames before that one. At chance
    Hits@1 is 1 / n; the notes hold n. Embeddings that are all alike tie: Hits@1 is 0 and MRR 2 / (n + 1), both below
    chance.

    For every method there are `hits_at_1_still` and `mrr_still`, what its encoder reaches if it is predicted that
    nothing changes (where little does, that is much), and `embedding_variance`, that of all test frames, mean over the
    elements of all slots: near 0, the encoder has collapsed.
    """

    horizon: ClassVar[int] = max(STEPS)

    num_clips: int = 10_000

    def supports(self, spec: DatasetSpec) -> str | None:
        if not spec.coordinates:
            return "it has no coordinates to tell one state from another"
        if spec.clip_length <= self.horizon:
            return f"its clips of {spec.clip_length} frames are too short to predict {self.horizon} steps"
        return None

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """Reads `test` only; nothing is fitted and nothing is drawn."""
        now = test.slots.shape[1] - 1 - self.horizon
        metrics, notes = [Metric("embedding_variance", "s", _variance(test), higher_is_better=None)], {}
        for step in STEPS:
            clips = scenes(test, now, step, self.num_clips)
            truth, still = test.slots[clips, now + step], test.slots[clips, now]
            predicted = None
            if test.predicted is not None and test.context - 1 <= now:
                predicted = test.predicted[clips, now, step - 1]
            metrics += _metrics(f"p{step}", "", truth, predicted) + _metrics(f"p{step}", "_still", truth, still)
            notes[f"p{step}"] = len(clips)
        return ProbeResult(tuple(metrics), notes={"n": notes})


def scenes(test: Frozen, now: int, step: int, num_clips: int) -> Int[np.ndarray, " n"]:
    """The first clips that count at frame `now` and `step` frames later, no two in the same state there."""
    then = now + step
    clips = np.flatnonzero(test.valid[:num_clips, now] & test.valid[:num_clips, then])
    states = np.asarray(test.labels.coordinates)[clips, then]
    return clips[np.sort(np.unique(states, axis=0, return_index=True)[1])]


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


def _metrics(
    target: str, form: str, truth: Float[np.ndarray, "n k d"], predicted: Float[np.ndarray, "n k d"] | None
) -> list[Metric]:
    """Undefined without predictions or two scenes; a floor (any `form` but "") is not better for being higher."""
    hits, mrr = None, None
    if predicted is not None and len(truth) > 1:
        place = ranks(*(slots.reshape(len(slots), -1).astype(np.float64) for slots in (truth, predicted)))
        hits, mrr = float((place == 1).mean()), float((1 / place).mean())
    better = None if form else True
    return [Metric(f"{name}{form}", target, value, better) for name, value in (("hits_at_1", hits), ("mrr", mrr))]
