"""A data set of a hundred small frames in which two squares jump about, as `benchmark.check` draws them."""

from dataclasses import dataclass
from pathlib import Path

from benchmark.check.look_alike import look_alike
from benchmark.contracts import Dataset, Report, Splits
from benchmark.registry import datasets
from benchmark.types import Coordinate, DatasetSpec

SIZE, CLIP = 84, 4


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
        )

    def load(self, cache: Path, report: Report) -> Splits:
        if self.broken:
            raise RuntimeError("the disk with the squares is gone")
        report("tiny: drawing squares")
        return look_alike(self.spec(), self.clips)
