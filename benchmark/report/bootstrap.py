"""Aggregates over data sets that a single one cannot sway, with intervals from a seeded stratified bootstrap.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv 2108.13264). Scores
of a method are an array `[s d]`: seeds by data sets, every one of them known. A draw takes, in each data set by itself,
as many of its seeds as there are, with replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.types import Float, Int

Sample = Float[np.ndarray, "_ d"]  # samples may differ in their seeds
Draws = Float[np.ndarray, "*r s d"]

FEW_SEEDS = 5
"""With fewer, a bootstrap's interval covers less than it says."""

NUM_DRAWS = 1_000
SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A value, and the ends of its 95 % interval; None where there is one seed only."""

    value: float
    bounds: tuple[float, float] | None

    def complement(self) -> Estimate:
        """Of the probability of the opposite."""
        return Estimate(1 - self.value, None if self.bounds is None else (1 - self.bounds[1], 1 - self.bounds[0]))


def iqm(scores: Draws) -> Float[np.ndarray, "*r"]:
    """The interquartile mean: of the middle half of all scores; one that the cut goes through counts in part."""
    ordered = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    n = ordered.shape[-1]
    places = np.arange(n)
    weights = np.clip(np.minimum(places + 1, 0.75 * n) - np.maximum(places, 0.25 * n), 0, None)
    return np.asarray(ordered @ weights / weights.sum())


def profile(scores: Draws, levels: Float[np.ndarray, " l"]) -> Float[np.ndarray, "*r l"]:
    """The share of scores above each level: a performance profile."""
    flat = scores.reshape(*scores.shape[:-2], -1)
    return np.stack([(flat > level).mean(-1) for level in levels], -1)


def probability_of_improvement(ours: Draws, theirs: Float[np.ndarray, "*r z d"]) -> Float[np.ndarray, "*r"]:
    """The chance that a run of ours beats one of theirs on the same data set, averaged over these; a tie counts half.

    The numbers of seeds may differ.
    """
    difference = ours[..., :, None, :] - theirs[..., None, :, :]
    return np.asarray((0.5 * (np.sign(difference) + 1)).mean((-3, -2, -1)))


def average_rank(which: int, *samples: Float[np.ndarray, "*r _ d"]) -> Float[np.ndarray, "*r"]:
    """The place of that method among all by its mean over seeds (1 the highest; ties share the middle), averaged over
    data sets."""
    from scipy.stats import rankdata

    means = np.stack([sample.mean(-2) for sample in samples], -2)
    return np.asarray(rankdata(-means, axis=-2)[..., which, :].mean(-1))


def bootstrap(samples: Sequence[Sample], statistic: Callable[..., Float[np.ndarray, "*r"]]) -> Estimate:
    """`statistic` of these samples (one or more methods), each resampled by itself; 95 % by percentiles."""
    value = float(statistic(*samples))
    if min(len(sample) for sample in samples) < 2:
        return Estimate(value, None)
    low, high = np.quantile(statistic(*resampled(samples)), (0.025, 0.975))
    return Estimate(value, (float(low), float(high)))


def resampled(samples: Sequence[Sample]) -> list[Float[np.ndarray, "r _ d"]]:
    """NUM_DRAWS draws of each; the same for the same samples, in any process."""
    random = np.random.default_rng(SEED)
    return [_drawn(sample, random) for sample in samples]


def _drawn(sample: Sample, random: np.random.Generator) -> Float[np.ndarray, "r s d"]:
    seeds, datasets = sample.shape
    chosen: Int[np.ndarray, "r s d"] = random.integers(seeds, size=(NUM_DRAWS, seeds, datasets))
    return np.take_along_axis(sample[None], chosen, axis=1)
