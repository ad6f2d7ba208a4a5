"""What a few seeds tell about a mean, and about the difference between two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.05
"""The level of significance."""

FEWEST_PAIRS = 3
"""Fewest pairs for a test, and fewest seeds for a distance from a paper's value."""


@dataclass(frozen=True)
class Summary:
    """A mean over `n` seeds and its standard error; None for n = 1, which tells nothing of the spread,
    and where no seed changes the value.
    """

    mean: float
    se: float | None
    n: int

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Student's t-interval for the mean at that confidence level; None for n = 1."""
        if self.se is None:
            return None
        from scipy.stats import t

        half = float(t.ppf((1 + level) / 2, self.n - 1)) * self.se
        return self.mean - half, self.mean + half


def summarise(values: Sequence[float]) -> Summary | None:
    """Mean, standard error (the standard deviation with n - 1, over the root of n) and n; None without a value.

    The error of equal values is 0, not what rounding leaves.
    """
    n = len(values)
    if n == 0:
        return None
    if n > 1 and min(values) == max(values):
        return Summary(values[0], 0.0, n)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Summary(mean, math.sqrt(variance / n), n)


def in_standard_errors(ours: Summary, paper: float, paper_se: float | None) -> float | None:
    """Ours less the paper's, over the root of the sum of both squared standard errors, or ours where it gives none.

    None where that is 0, and for fewer than 3 seeds of ours, whose standard error is hardly known.
    """
    if ours.se is None or ours.n < FEWEST_PAIRS:
        return None
    combined = math.hypot(ours.se, paper_se or 0.0)
    return (ours.mean - paper) / combined if combined > 0 else None


def differences(one: Mapping[int, Sequence[float]], other: Mapping[int, Sequence[float]]) -> list[float]:
    """`one` less `other`, each the values of a seed on the same data sets, by seed; of the seeds that both have.

    One for each data set, of its mean over these seeds, since what a data set makes of a method is in all of its seeds;
    one for each data set and seed where there are fewer than 3 data sets.
    """
    by_seed = [[a - b for a, b in zip(one[seed], other[seed], strict=True)] for seed in one if seed in other]
    if by_seed and len(by_seed[0]) >= FEWEST_PAIRS:
        return [math.fsum(of_one) / len(of_one) for of_one in zip(*by_seed, strict=True)]
    return [difference for of_seed in by_seed for difference in of_seed]


def paired(differences: Sequence[float]) -> float | None:
    """The two-sided p-value of Student's t-test that the differences have mean 0; None for fewer than 3.

    Differences that are all the same leave no doubt: p is 0, or 1 where all are 0.
    """
    if len(differences) < FEWEST_PAIRS:
        return None
    found = summarise(differences)
    assert found is not None and found.se is not None
    if (sure := _without_doubt(found.mean, found.se)) is not None:
        return sure
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(differences, 0.0).pvalue)


def welch(one: Summary, other: Summary) -> float | None:
    """The two-sided p-value of Welch's t-test that two independent means are equal; None where either is of one."""
    if one.se is None or other.se is None:
        return None
    if (sure := _without_doubt(one.mean - other.mean, math.hypot(one.se, other.se))) is not None:
        return sure
    from scipy.stats import ttest_ind_from_stats

    both = [part for found in (one, other) for part in (found.mean, (found.se or 0.0) * found.n**0.5, found.n)]
    return float(ttest_ind_from_stats(*both, equal_var=False).pvalue)


def _without_doubt(difference: float, se: float) -> float | None:
    """p where nothing varies: 0, or 1 without a difference; None where something does."""
    if se <= 1e-12 * abs(difference):  # rounding is no spread
        return 0.0 if difference else 1.0
    return None


def holm(p_values: Sequence[float]) -> list[float]:
    """The same, adjusted for being several (Holm 1979): below a level, all together err that often at most."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = least
    return adjusted
