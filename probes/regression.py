"""Lines from features to coordinates: ordinary least squares and ridge, many targets at once, in float64."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

ROUNDING = float(np.finfo(np.float32).eps) / 12**0.5
"""Root mean square of what rounding to float32 adds to a number, as a share of it, at most: uniform within half a unit
of its last place.
"""


class Samples(NamedTuple):
    """The frames of a split that count: features of each and where its objects are."""

    features: Float[np.ndarray, "n f"]
    coordinates: Float[np.ndarray, "n p"]


class LinearModel(NamedTuple):
    """y = intercept + ((x - mean) scale) coefficients; with leading dimensions `*s`, several lines."""

    mean: Float[np.ndarray, " f"]
    scale: Float[np.ndarray, " f"]
    intercept: Float[np.ndarray, " p"]
    coefficients: Float[np.ndarray, "*s f p"]

    def squared_error(self, frames: Samples) -> Float[np.ndarray, "*s p"]:
        """Summed over the frames."""
        return np.square(frames.coordinates - self.predict(frames.features)).sum(axis=-2)

    def predict(self, features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "*s n p"]:
        """The coordinates that the line gives for each row of features."""
        return self.intercept + ((features - self.mean) * self.scale) @ self.coefficients

    def r2(self, frames: Samples) -> Float[np.ndarray, "*s p"]:
        """1 - squared error / that of the frames' own mean; NaN for a coordinate that is constant in `frames`."""
        total = np.square(frames.coordinates - frames.coordinates.mean(axis=0)).sum(axis=0)
        total[np.ptp(frames.coordinates, axis=0) == 0] = np.nan
        return 1 - self.squared_error(frames) / total


@dataclass(frozen=True)
class Reduction:
    """Features and targets after one rotation of their rows that leaves no more rows than there are columns.

    Inner products of columns are kept, so each least-squares problem on the n rows has the same answer here.
    """

    features: Float[np.ndarray, "m f"]
    targets: Float[np.ndarray, "m p"]
    num_rows: int

    @classmethod
    def of(cls, features: Float[np.ndarray, "n f"], targets: Float[np.ndarray, "n p"]) -> "Reduction":
        """By one QR decomposition of both side by side; centre the columns first to have an intercept."""
        rotated = np.asarray(np.linalg.qr(np.concatenate([features, targets], axis=1), mode="r"))
        return cls(rotated[:, : features.shape[1]], rotated[:, features.shape[1] :], len(features))

    def solve(
        self, scale: Float[np.ndarray, " f"], strengths: tuple[float, ...], off: Float[np.ndarray, " f"] | float = 0.0
    ) -> tuple[Float[np.ndarray, "s f p"], Float[np.ndarray, " r"]]:
        """Minimises |X w - y|^2 / n + strength |w|^2 for each strength, where X has the features times `scale`.

        Returns the coefficients w and the singular values s of X that count: those above the usual max(n, f) eps of the
        largest, and above what errors in X make of it in their direction v. `off` has the norm of each column's errors:
        where these are independent, the norm along v is that of v `off`. Strength 0 is ordinary least squares, and
        gives the smallest w where X is rank-deficient. A feature with scale 0 has coefficient 0.
        """
        left, singular, right = np.linalg.svd(self.features * scale, full_matrices=False)
        cutoff = np.finfo(np.float64).eps * max(self.num_rows, len(scale)) * singular.max(initial=0.0)
        counts = singular > np.maximum(cutoff, np.linalg.norm(right * off, axis=1))
        left, singular, right = left[:, counts], singular[counts], right[counts] * (scale != 0)
        shrunk = singular / (singular**2 + self.num_rows * np.array(strengths)[:, None])
        return right.T @ (shrunk[:, :, None] * (left.T @ self.targets)), singular


class Fit(NamedTuple):
    """Two lines through the same frames, and what there is to know of the first one's problem."""

    ordinary: LinearModel
    ridge: LinearModel
    strengths: tuple[float, ...]
    """The ridge line's, one a coordinate."""
    constant: Bool[np.ndarray, " f"]
    singular: Float[np.ndarray, " r"]


def fit(train: Samples, val: Samples, strengths: tuple[float, ...]) -> Fit:
    """Ordinary least squares on the features as they are, and ridge on them divided by their standard deviation.

    Both have an intercept. The ridge strength is the one of least squared error on `val`, for each coordinate.
    A constant feature gets no weight; a coordinate that is constant on `train` gets none at all. Nor, in ordinary
    least squares, does a direction in which the features vary by no more than the rounding of float32, in which slots
    are computed: there it would fit the rounding, and its weights, of any size, would meet other rounding on test.
    Ridge needs no such limit, as it keeps weights small.
    """
    mean, intercept = train.features.mean(axis=0), train.coordinates.mean(axis=0)
    targets = np.where(constant_columns(train.coordinates), 0.0, train.coordinates - intercept)
    problem = Reduction.of(train.features - mean, targets)
    constant = constant_columns(train.features)
    as_is = np.where(constant, 0.0, 1.0)
    ordinary, singular = problem.solve(as_is, (0.0,), ROUNDING * np.linalg.norm(train.features, axis=0) * as_is)
    standard = np.divide(1.0, train.features.std(axis=0), out=np.zeros_like(mean), where=~constant)
    candidates, _ = problem.solve(standard, strengths)
    best = LinearModel(mean, standard, intercept, candidates).squared_error(val).argmin(axis=0)
    ridge = LinearModel(mean, standard, intercept, np.take_along_axis(candidates, best[None, None], axis=0)[0])
    chosen = tuple(strengths[index] for index in best)
    return Fit(LinearModel(mean, as_is, intercept, ordinary[0]), ridge, chosen, constant, singular)


def constant_columns(values: Float[np.ndarray, "n f"]) -> Bool[np.ndarray, " f"]:
    """Which columns hold one number only, as far as float32, in which slots are computed, can tell."""
    return np.ptp(values, axis=0) <= np.finfo(np.float32).eps * np.abs(values).max(axis=0)
