"""Where objects will be, as far as a line finds them in slots that were predicted before the frame was seen.

Racah & Chandar 2020 (arXiv 2007.09294, section 4) regress coordinates on the slots of a frame, the probe `linear`. The
same regressions here are on its slots as predicted 1 to 5 steps before, without a look at any frame in between: what
Löwe et al. 2020 (arXiv 2011.10287, figure 5) ask of a decoder, without one.

Much of where things will be is known from where they are. So beside predicted slots stands what a line finds in the
encoded ones: those of the last frame that was seen, and those of the whole context that the prediction was made from. A
transition that is linear itself cannot surpass the latter; SetCon's is linear but for a normalisation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmark.registry import probes
from benchmark.types import Float, Frozen, Key, Metric, ProbeResult
from probes.foreseen import context, foreseen, last_seen, predicted
from probes.linear import Regression, mean_of_defined, side_by_side
from probes.regression import Fit, Samples, fit

METRICS = {"r2": True, "r2_ridge": True, "r2_ridge_last": None, "r2_ridge_context": None}
"""What is measured, and whether higher is better."""


@probes.register("linear-predicted")
@dataclass(frozen=True, kw_only=True)
class LinearPredicted(Regression):
    """R2 on test, mean over the coordinates that vary there, of slots predicted 1 to 5 steps before: `p1` to `p5`.

    `r2` and `r2_ridge` are the two forms of the probe `linear`. `r2_ridge_last` is the second of them for the encoded
    slots of the last frame that was seen, `r2_ridge_context` for those of all `context` frames, so many times the
    features; both are fitted anew on the same frames. Undefined for a method that does not predict, and where a split
    has no frame that is predicted so far ahead; the notes count the frames. Asked only by its name.
    """

    version: ClassVar[int] = 2
    horizon: ClassVar[int] = 5
    optional: ClassVar[bool] = True

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """Raises ValueError for slots or coordinates that are not finite. Nothing is drawn."""
        splits, metrics, notes = {"train": train, "val": val, "test": test}, [], {}
        for ahead in range(1, self.horizon + 1):
            counts = {f"n_{name}": int(foreseen(split, ahead).sum()) for name, split in splits.items()}
            found = self._accuracy(splits, ahead) if all(counts.values()) else {}
            metrics += [Metric(name, f"p{ahead}", found.get(name), better) for name, better in METRICS.items()]
            notes[f"p{ahead}"] = counts
        return ProbeResult(tuple(metrics), notes=notes)

    def _accuracy(self, splits: dict[str, Frozen], ahead: int) -> dict[str, float | None]:
        """R2 of slots predicted so far ahead, and of what they were predicted from."""
        lines, test = self._fit(splits, ahead, predicted)
        found = {"r2": lines.ordinary.r2(test), "r2_ridge": lines.ridge.r2(test)}
        for name, slots in (("last", last_seen), ("context", context)):
            lines, test = self._fit(splits, ahead, slots)
            found[f"r2_ridge_{name}"] = lines.ridge.r2(test)
        return {name: mean_of_defined(values) for name, values in found.items()}

    def _fit(
        self, splits: dict[str, Frozen], ahead: int, slots: Callable[[Frozen, int], Float[np.ndarray, "i t k d"]]
    ) -> tuple[Fit, Samples]:
        """Lines fitted to such slots, and the test frames to measure them on."""
        frames = {
            name: side_by_side(name, split, slots(split, ahead), foreseen(split, ahead))
            for name, split in splits.items()
        }
        return fit(frames["train"], frames["val"], self.ridge), frames["test"]
