"""A data set of a hundred small random frames whose one object's position can be read from its pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmark.contracts import Dataset, Report, Split, Splits
from benchmark.registry import datasets
from benchmark.types import Batch, Coordinate, DatasetSpec, Labels

SIZE, CLIP = 84, 4


class TinySplit(Split):
    """Clips of CLIP frames, one an episode."""

    def __init__(self, seed: int, clips: int) -> None:
        rng = np.random.default_rng(seed)
        where = rng.integers(0, SIZE - 12, (clips, CLIP, 2, 2))
        frames = np.zeros((clips, CLIP, SIZE, SIZE, 3), np.uint8)
        for i, t, o in np.ndindex(clips, CLIP, 2):
            x, y = where[i, t, o]
            frames[i, t, y : y + 12, x : x + 12, o] = 255
        coordinates = where.reshape(clips, CLIP, 4).astype(np.float32)
        actions = rng.integers(0, 3, (clips, CLIP)).astype(np.int32)
        self.data = {"frames": frames, "actions": actions, "coordinates": coordinates}
        self.num_frames = clips * CLIP
        self.valid = np.ones((clips, CLIP), bool)

    def sample(self, data: Any, key: Any, batch_size: int, window: int) -> Batch:
        clip_key, start_key = jax.random.split(key)
        clips = jax.random.randint(clip_key, (batch_size, 1), 0, len(data["frames"]))
        starts = jax.random.randint(start_key, (batch_size, 1), 0, CLIP - window + 1)
        return self._batch(data, (clips, starts + jnp.arange(window)))

    def read(self, data: Any, clips: Any) -> Batch:
        return self._batch(data, (clips,))

    def _batch(self, data: Any, index: Any) -> Batch:
        frames = data["frames"][index].astype(jnp.float32) / 255
        return Batch(frames, data["actions"][index], Labels(data["coordinates"][index]))


@datasets.register("tiny")
@dataclass(frozen=True, kw_only=True)
class Tiny(Dataset):
    """Two squares that jump about."""

    clips: int = 25
    broken: bool = False

    def spec(self) -> DatasetSpec:
        coordinates = tuple(Coordinate(f"{o}_{a}", i, a) for i, o in enumerate(("red", "green")) for a in "xy")
        return DatasetSpec(
            name="tiny",
            frame_shape=(SIZE, SIZE, 3),
            frame_range=(0.0, 1.0),
            num_slots=2,
            objects=("red", "green"),
            backbone="nature_cnn",
            clip_length=CLIP,
            training_window=3,
            num_actions=3,
            coordinates=coordinates,
            coordinate_mean=(36.0,) * 4,
            coordinate_std=(20.0,) * 4,
        )

    def load(self, cache: Path, report: Report) -> Splits:
        if self.broken:
            raise RuntimeError("the disk with the squares is gone")
        report("tiny: drawing squares")
        train, probe, val, test = (TinySplit(seed, self.clips) for seed in range(4))
        return Splits(self.spec(), train, probe, val, test, {"few_test": False, "n_test": test.num_frames})
