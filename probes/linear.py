"""Slot accuracy, compactness and modularity: how well, and from how few slots, a line finds each object.

Racah & Chandar 2020, "Slot Contrastive Networks" (arXiv 2007.09294), section 4. The K slots of a frame are put side
by side and each coordinate is regressed on them, in two forms:

- the paper's: ordinary least squares on the slots as they are (`r2`, `compactness`, `modularity`). One slot of tiny
  variance gets huge weights, so its compactness also measures scale, and a few test frames outside the training range
  can make R2 very negative;
- the standardised: features divided by their standard deviation in the train split, ridge, its strength chosen for
  each coordinate on the val split (`r2_ridge`, `compactness_std`, `modularity_std`).

Beside both stands the floor: what random coefficients give for the same slots and objects.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from benchmark.contracts import Probe
from benchmark.errors import UserError
from benchmark.registry import probes
from benchmark.types import Bool, DatasetSpec, Float, Frozen, Key, Metric, ProbeResult
from probes.importance import compactness, importance, modularity, random_floor
from probes.positions import one_frame
from probes.regression import Fit, Samples, constant_columns, fit

STRUCTURE = tuple(f"{name}{form}" for form in ("", "_std", "_floor") for name in ("compactness", "modularity"))

RIDGE = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)
"""Strengths to choose from: the penalty is strength x n_train x |w|^2. The largest all but predicts the mean."""


@dataclass(frozen=True, kw_only=True)
class Regression(Probe):
    """A probe that regresses coordinates; `ridge` are the strengths to choose from."""

    ridge: tuple[float, ...] = RIDGE

    def __post_init__(self) -> None:
        """Raises UserError for strengths that it cannot choose from, and for a count below 1."""
        super().__post_init__()
        if not self.ridge or not all(0 < strength < math.inf for strength in self.ridge):
            raise UserError(f"{type(self).__name__}: ridge={self.ridge} must hold finite numbers above 0, at least one")

    def supports(self, spec: DatasetSpec) -> str | None:
        return None if spec.coordinates else "it has no coordinates"


@probes.register("linear")
@dataclass(frozen=True, kw_only=True)
class Linear(Regression):
    """Regresses coordinates on slots; R2 on test, at most 1 and possibly negative.

    Targets: a coordinate, `object:<name>` (mean over that object's coordinates) and `all` (mean over all). A coordinate
    that is constant on test has no R2; as that depends on the data alone, both means leave it out for every method,
    and the notes count it. Compactness, modularity and their floor have the target `all`; a coordinate that does not
    vary on train has no weights, and an object of such coordinates only does not count in them.
    """

    version: ClassVar[int] = 2

    floor_draws: int = 100
    floor_seed: int = 0

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """Raises ValueError for slots or coordinates that are not finite.

        Where a split has no entry that counts, every metric is undefined. `arrays`: `importance` and `importance_std`,
        [objects that count, slots], and what `one_frame` shows of the ridge line. `key` is not used: nothing here is
        random but the floor, which has its own seed.
        """
        spec, splits = train.spec, {"train": train, "val": val, "test": test}
        frames = {name: side_by_side(name, split, split.slots, split.valid) for name, split in splits.items()}
        counts = {f"n_{name}": len(kept.features) for name, kept in frames.items()}
        if not all(counts.values()) or not spec.coordinates:
            return ProbeResult(tuple(_metrics(spec, {}, {})), notes=counts)
        found = fit(frames["train"], frames["val"], self.ridge)
        accuracy = {"r2": found.ordinary.r2(frames["test"]), "r2_ridge": found.ridge.r2(frames["test"])}
        varies = ~constant_columns(frames["train"].coordinates)
        objects = [c.object for c, counted in zip(spec.coordinates, varies, strict=True) if counted]
        arrays = _importances(found, varies, objects, train.slots.shape[-2]) if objects else {}
        shown = one_frame(test, found.ridge.predict(frames["test"].features))
        floor = random_floor(objects, *train.slots.shape[-2:], draws=self.floor_draws, seed=self.floor_seed)
        notes = counts | _notes(spec, found, accuracy["r2"], objects)
        return ProbeResult(tuple(_metrics(spec, accuracy, _structure(arrays, floor))), arrays | shown, notes)


def side_by_side(
    name: str, split: Frozen, slots: Float[np.ndarray, "i t k d"], counts: Bool[np.ndarray, "i t"]
) -> Samples:
    """The frames of a split that count, with these slots of a frame side by side.

    Raises ValueError, with the split's name, for slots or coordinates among them that are not finite.
    """
    slots, coordinates = slots[counts], np.asarray(split.labels.coordinates)[counts]
    for what, values in (("slots", slots), ("coordinates", coordinates)):
        if not np.isfinite(values).all():
            raise ValueError(f"the {what} of the {name} split hold NaN or infinity: they cannot be regressed")
    features = slots.reshape(len(slots), slots.shape[1] * slots.shape[2])
    return Samples(features.astype(np.float64), coordinates.astype(np.float64))


def _importances(
    found: Fit, varies: np.ndarray, objects: list[int], num_slots: int
) -> dict[str, Float[np.ndarray, "o k"]]:
    forms = {"importance": found.ordinary, "importance_std": found.ridge}
    return {name: importance(line.coefficients.T[varies], objects, num_slots) for name, line in forms.items()}


def _structure(R: Mapping[str, Float[np.ndarray, "o k"]], floor: tuple[float, float]) -> dict[str, float]:
    measured = [float(measure(rows)) for rows in R.values() for measure in (compactness, modularity)]
    return dict(zip(STRUCTURE, (*measured, *floor), strict=True)) if R else {}


def _notes(spec: DatasetSpec, found: Fit, r2: Float[np.ndarray, " p"], objects: list[int]) -> dict[str, Any]:
    """What a reader of the record must know to trust the numbers."""
    return {
        "rank": len(found.singular),
        "condition_number": float(found.singular[0] / found.singular[-1]) if len(found.singular) else None,
        "features": len(found.constant),
        "constant_features": int(found.constant.sum()),
        "ridge": {c.name: strength for c, strength in zip(spec.coordinates, found.strengths, strict=True)},
        "coordinates": len(r2),
        "defined_coordinates": int(np.isfinite(r2).sum()),
        "objects": [spec.objects[index] for index in sorted(set(objects))],
    }


def _metrics(
    spec: DatasetSpec, accuracy: Mapping[str, Float[np.ndarray, " p"]], structure: Mapping[str, float]
) -> Iterator[Metric]:
    """Every metric of this probe; whatever is not finite or not there is undefined."""
    for metric in ("r2", "r2_ridge"):
        values = accuracy.get(metric, np.full(len(spec.coordinates), np.nan))
        for coordinate, value in zip(spec.coordinates, values, strict=True):
            yield Metric(metric, coordinate.name, mean_of_defined([value]))
        for index in sorted({c.object for c in spec.coordinates}):
            own = [value for c, value in zip(spec.coordinates, values, strict=True) if c.object == index]
            yield Metric(metric, f"object:{spec.objects[index]}", mean_of_defined(own))
        yield Metric(metric, "all", mean_of_defined(values))
    for metric in STRUCTURE:
        higher = None if metric.endswith("_floor") else True
        yield Metric(metric, "all", mean_of_defined([structure.get(metric, math.nan)]), higher_is_better=higher)


def mean_of_defined(values: Iterable[float]) -> float | None:
    """Over the values that are defined; undefined if none is."""
    defined = [value for value in values if math.isfinite(value)]
    return float(np.mean(defined)) if defined else None
