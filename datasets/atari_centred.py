"""Atari frames less what they share: the mean training frame, in units of the standard deviation that remains.

In neither paper. A frame of a game is nearly all background: what changes on Pong has a standard deviation of .02 of
the range. Where a loss must tell frames apart, encoders begin with encodings that are all but equal, and may stay so.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from benchmark.contracts import Report, Split, Splits
from benchmark.errors import UserError
from benchmark.registry import datasets
from benchmark.types import Array, Batch, Data, DatasetSpec, Float, Int, Key
from datasets.atari import Atari
from datasets.atari_labels import games

LIMIT = 50.0
"""Standard deviations at which values are cut."""

FRAMES = 2_000
"""Training frames that the mean is taken of, at most, evenly spaced."""

FRAMES_AT_A_TIME = 100

STILL = 1e-12
"""A variance below which nothing changes, but for rounding."""


class CentredSplit(Split):
    """Another split, its frames centred. `data`: the other's as `split`, `mean` [h, w, 3] and `std`, one number."""

    def __init__(self, split: Split, mean: Float[np.ndarray, "h w 3"], std: float) -> None:
        self._split, self.valid = split, split.valid
        self.data = {"split": split.data, "mean": mean.astype(np.float32), "std": np.float32(std)}

    def sample(self, data: Data, key: Key, batch_size: int, window: int) -> Batch:
        return _centred(data, self._split.sample(data["split"], key, batch_size, window))

    def read(self, data: Data, clips: Int[Array, " b"]) -> Batch:
        return _centred(data, self._split.read(data["split"], clips))


def _centred(data: Any, batch: Batch) -> Batch:
    return batch._replace(frames=jnp.clip((batch.frames - data["mean"]) / data["std"], -LIMIT, LIMIT))


@dataclass(frozen=True, kw_only=True)
class CentredAtari(Atari):
    """One game; labels, splits and all fields are those of the game as it is, whose collected frames serve."""

    def spec(self) -> DatasetSpec:
        plain = super().spec()
        return replace(plain, name=f"{plain.name}-centred", frame_range=(-LIMIT, LIMIT))

    def load(self, cache: Path, report: Report) -> Splits:
        """Raises UserError as the game as it is does, and where all frames are alike. `facts` tell the deviation."""
        plain = super().load(cache, report)
        mean, variance = _statistics(plain.train.data)
        if variance < STILL:
            raise UserError(f"{plain.spec.name}: the training frames are all alike; raise train_frames")
        std = float(np.sqrt(variance))
        splits = (plain.train, plain.probe, plain.val, plain.test)
        train, probe, val, test = (CentredSplit(split, mean, std) for split in splits)
        return Splits(plain.spec, train, probe, val, test, plain.facts | {"std_of_centred_frames": std})


def _statistics(data: Any) -> tuple[Float[np.ndarray, "h w 3"], float]:
    """The mean frame, and the mean squared distance from it over pixels and colours."""
    codes, count = data["frames"], len(data["frames"])
    chosen = np.unique(np.linspace(0, count - 1, min(count, FRAMES)).astype(int))
    total, squares = (np.zeros((*codes.shape[1:], 3)) for _ in range(2))
    for some in np.array_split(chosen, -(-len(chosen) // FRAMES_AT_A_TIME)):
        frames = data["palette"][256 * data["banks"][some][:, None, None] + codes[some]]
        total += frames.sum(0, dtype=np.float64)
        squares += np.square(frames, dtype=np.float64).sum(0)
    mean = total / len(chosen)
    return mean, float((squares / len(chosen) - mean**2).mean())


for _name in games():
    datasets.register(f"{_name}-centred", game=_name)(CentredAtari)
