"""Bouncing Balls (Löwe et al. 2020, section 4.1): three coloured balls in a box hit its walls and each other.

Readings of what the paper leaves open: the classic simulator (box of side 10, radius 1.2, equal masses, velocities
drawn normal and scaled to a joint norm of 0.5 a frame, places uniform without overlap), 64 x 64 pixels, hard discs on
black, equally spaced and fully saturated hues, the same in all sequences.

Departure: the classic simulator looks for collisions twice a frame and lets balls sink into one another by up to half
a frame's way. Here they touch and part at the exact instant, so that energy and, between balls, momentum are kept to
rounding.

1,000 sequences of 12 frames: the first 872 to train on, which the probes are fitted on too. Of the paper's 128 for
evaluation 32 are for tuning the probes and 96 for the test: nothing is tuned on what is reported.
"""

from dataclasses import dataclass
from functools import partial
from math import pi
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmark.contracts import Dataset, Report, Splits
from benchmark.errors import UserError
from benchmark.registry import datasets
from benchmark.types import Array, DatasetSpec, Float, Key
from datasets.billiards import BOX, scatter, trajectory
from datasets.fingerprint import fingerprint
from datasets.video import BLACK, Video, check_countable, coordinates, discs, hues, object_names, split
from datasets.video_splits import Clips


@datasets.register("bouncing_balls")
@dataclass(frozen=True, kw_only=True)
class BouncingBalls(Dataset):
    """`radius` is for a box of side 10; `speed` is the norm of all velocities together, box units a frame."""

    image_size: int = 64
    num_balls: int = 3
    radius: float = 1.2
    speed: float = 0.5
    num_frames: int = 12
    num_slots: int = 4
    seed: int = 0
    train_size: int = 872
    val_size: int = 32
    test_size: int = 96

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < 2 * self.radius < BOX:
            raise UserError(f"bouncing_balls: balls of radius={self.radius} do not fit a box of {BOX:g}")
        check_countable("bouncing_balls: num_balls", self.num_balls)
        pairs = self.num_balls * (self.num_balls - 1) / 2
        # At random places about 5 pairs would overlap: less than 1 draw in 100 is free of overlaps.
        if pairs * pi * (2 * self.radius) ** 2 > 5 * (BOX - 2 * self.radius) ** 2:
            raise UserError(
                f"bouncing_balls: num_balls={self.num_balls} of radius={self.radius} are too crowded to be placed at "
                "random; take fewer or smaller ones"
            )

    def spec(self) -> DatasetSpec:
        return DatasetSpec(
            name="bouncing_balls",
            frame_shape=(self.image_size, self.image_size, 3),
            frame_range=(-1.0, 1.0),
            num_slots=self.num_slots,
            objects=object_names(self.num_balls),
            backbone="pixelwise",
            clip_length=self.num_frames,
            training_window=self.num_frames,
            coordinates=coordinates(self.num_balls),
            has_masks=True,
        )

    def load(self, cache: Path, report: Report) -> Splits:
        report("bouncing_balls: simulating the sequences")
        sizes = (self.train_size, self.val_size, self.test_size)
        train, val, test = split(self.videos(sum(sizes)), sizes)
        facts = {
            "sha256": fingerprint(train, val, test),
            "clips": {"train": self.train_size, "val": self.val_size, "test": self.test_size},
        }
        spec, clips = self.spec().measured(np.asarray(train.coordinates)), Clips(train)
        return Splits(spec, clips, clips, Clips(val), Clips(test), facts)

    def videos(self, count: int) -> Video:
        """So many sequences; a larger count adds to a smaller one. In float64: all machines draw the same pixels."""
        with jax.enable_x64(True):
            keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(self.seed)))(jnp.arange(count))
            places = jax.jit(jax.vmap(self._simulate))(keys)
            centres = (jnp.arange(self.image_size) + 0.5) * (BOX / self.image_size)
            masks = jax.jit(partial(discs, radius=self.radius))(places, centres)
        pixels = np.asarray(places) * (self.image_size / BOX) - 0.5
        palette = np.concatenate([BLACK, hues(self.num_balls, self.seed)])
        return Video(
            masks,
            jnp.broadcast_to(palette, (count, *palette.shape)),
            jnp.asarray(pixels.reshape(count, self.num_frames, -1), jnp.float32),
        )

    def _simulate(self, key: Key) -> Float[Array, "t o 2"]:
        place_key, velocity_key = jax.random.split(key)
        velocities = jax.random.normal(velocity_key, (self.num_balls, 2))
        velocities *= self.speed / jnp.linalg.norm(velocities)
        places = scatter(place_key, self.num_balls, self.radius)
        return trajectory(places, velocities, self.num_frames, self.radius)[0]
