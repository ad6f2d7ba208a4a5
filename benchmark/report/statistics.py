"""What a few seeds tell about a mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True)
class Summary:
    """A mean over `n` seeds and its standard error; None for n = 1, which tells nothing of the spread."""

    mean: float
    se: float | None
    n: int

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Student's t-interval for the mean at that confidence level; None for n = 1."""
        if self.se is None:
            return None
        from scipy.special import stdtrit

        half = float(stdtrit(self.n - 1, (1 + level) / 2)) * self.se
        return self.mean - half, self.mean + half


def summarise(values: Sequence[float]) -> Summary | None:
    """Mean, standard error (the standard deviation with n - 1, over the root of n) and n; None without a value."""
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Summary(mean, math.sqrt(variance / n), n)
