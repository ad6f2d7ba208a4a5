"""Three bodies that attract each other, seen in pairs of frames (Kipf et al. 2020, arXiv 1911.12247, section 4.1).

Discs of radius 3 in 50x50 pixels, masses 1, gravitational constant 9.8, a frame every 2.0 units of time, integrated by
10 Euler steps. They start on a circle, about 120 degrees apart, with a random spin and a common drift; sequences in
which at any step a disc touches the border or two centres are within 4 pixels are drawn again. An observation is the
frame before and the frame itself, 6 channels, so that velocities are seen. Nobody acts.

What the paper leaves open is as in its authors' code. The circle's radius is uniform from 9.375 to 15.625 pixels, its
centre the frame's. The second and the third body are off their 120 degrees by up to a quarter of a radian each: exactly
120 degrees apart, equal bodies stay an equilateral triangle for ever (Lagrange's solution), so that two of them say
where the third is. The spin is 0.5 pixels a unit of time, in either sense, each component of the drift uniform up to
0.5. An Euler step changes velocities first and moves the bodies by the new ones (semi-implicit), which keeps energy
better. A reading of ours: hard discs in equally spaced hues on black, the later object in front.

Positions are rounded to 1/64 pixel, so that all machines draw the same pixels from them. Sequences have 12
observations where the paper's have 11: methods that predict from two then reach as far, 10 steps, as those that
predict from one.

5,000 sequences to train on, which the probes are fitted on too. Of the paper's 1,000 for evaluation 200 are for tuning
the probes and 800 for the test. All are drawn from one stream, so that no two are alike.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int16

from benchmark.contracts import Dataset, Report, Splits
from benchmark.modules.clips import Episodes
from benchmark.registry import datasets
from benchmark.types import Array, Batch, Bool, DatasetSpec, Float, Labels
from datasets.fingerprint import fingerprint
from datasets.video import coordinates, discs, hues, object_names

BODIES = 3
SIZE = 50
RADIUS = 3.0
NEAREST = 4.0
"""Pixels between centres, below which a sequence is drawn again."""
GRAVITY = 9.8
INTERVAL, SUBSTEPS = 2.0, 10
SPIN = DRIFT = 0.5
"""Pixels a unit of time; each component of the drift up to it."""
JITTER = 0.25
"""Radians by which the second and the third body may be off their place on the circle."""
OBSERVATIONS = 12
FINE = 64
"""Positions are kept in this part of a pixel."""


@datasets.register("three_body")
@dataclass(frozen=True, kw_only=True)
class ThreeBody(Dataset):
    """The sizes are numbers of sequences."""

    version = 2

    seed: int = 0
    train_size: int = 5000
    val_size: int = 200
    test_size: int = 800

    def spec(self) -> DatasetSpec:
        return DatasetSpec(
            name="three_body",
            frame_shape=(SIZE, SIZE, 6),
            frame_range=(0.0, 1.0),
            num_slots=BODIES,
            objects=object_names(BODIES),
            backbone="cswm_medium",
            clip_length=OBSERVATIONS,
            training_window=OBSERVATIONS,
            slot_size=4,
            coordinates=coordinates(BODIES),
            has_masks=True,
        )

    def load(self, cache: Path, report: Report) -> Splits:
        report("three_body: simulating the sequences")
        sizes = (self.train_size, self.val_size, self.test_size)
        pairs = self.pairs(sum(sizes))
        show = partial(batch, (hues(BODIES, self.seed) + 1) / 2)
        train, val, test = (Episodes(part, show) for part in np.split(pairs, np.cumsum(sizes)[:-1]))
        facts = {
            "sha256": fingerprint(pairs),
            "clips": {"train": self.train_size, "val": self.val_size, "test": self.test_size},
        }
        places = pairs[: self.train_size, :, 1].reshape(-1, 2 * BODIES) / FINE
        return Splits(self.spec().measured(places), train, train, val, test, facts)

    def pairs(self, count: int) -> Int16[np.ndarray, "i t 2 o 2"]:
        """Places before and in every observation of so many sequences, in 64ths of a pixel."""
        random, found = np.random.default_rng(self.seed), np.zeros((0, OBSERVATIONS + 1, BODIES, 2))
        while len(found) < count:
            places, _ = trajectory(*starts(random, count), OBSERVATIONS * SUBSTEPS)
            found = np.concatenate([found, places[acceptable(places), ::SUBSTEPS]])
        fine = np.rint(FINE * found[:count]).astype(np.int16)
        return np.stack([fine[:, :-1], fine[:, 1:]], 2)


def starts(random: np.random.Generator, count: int) -> tuple[Float[np.ndarray, "i o 2"], Float[np.ndarray, "i o 2"]]:
    """Places in pixels, 0 at the centre of the upper left one, and velocities in pixels a unit of time."""
    turn = 2 * np.pi * (random.uniform(size=(count, 1)) + np.arange(BODIES) / BODIES)
    turn[:, 1:] += random.uniform(-JITTER, JITTER, (count, BODIES - 1))
    outwards = np.stack([np.cos(turn), np.sin(turn)], -1)
    around = np.stack([-np.sin(turn), np.cos(turn)], -1)
    radius = SIZE / 4 * random.uniform(0.75, 1.25, (count, 1, 1))
    spin = SPIN * random.choice([-1, 1], radius.shape)
    drift = random.uniform(-DRIFT, DRIFT, (count, 1, 2))
    return (SIZE - 1) / 2 + radius * outwards, spin * around + drift


def trajectory(
    x: Float[np.ndarray, "i o 2"], v: Float[np.ndarray, "i o 2"], steps: int
) -> tuple[Float[np.ndarray, "i n o 2"], Float[np.ndarray, "i n o 2"]]:
    """Places in pixels and velocities in pixels a unit of time after every step, n = steps + 1; the given ones first.

    SUBSTEPS of these make a frame.
    """
    step, states = INTERVAL / SUBSTEPS, [(x, v)]
    for _ in range(steps):
        v = v + step * attraction(x)
        x = x + step * v
        states.append((x, v))
    return np.stack([x for x, _ in states], 1), np.stack([v for _, v in states], 1)


def attraction(x: Float[np.ndarray, "*b o 2"]) -> Float[np.ndarray, "*b o 2"]:
    """Newton's acceleration of bodies of mass 1: sum over the others of g (x_j - x_i) / |x_j - x_i|^3."""
    towards = x[..., None, :, :] - x[..., None, :]
    squared = (towards**2).sum(-1, keepdims=True)
    return (GRAVITY * towards / np.where(squared > 0, squared, 1) ** 1.5).sum(-2)


def acceptable(places: Float[np.ndarray, "i n o 2"]) -> Bool[np.ndarray, " i"]:
    """Which sequences keep every disc off the border, and every two centres apart, at every step."""
    inside = (places > RADIUS - 0.5) & (places < SIZE - 0.5 - RADIUS)
    one, other = np.triu_indices(BODIES, 1)
    apart = ((places[:, :, one] - places[:, :, other]) ** 2).sum(-1) > NEAREST**2
    return inside.all((1, 2, 3)) & apart.all((1, 2))


def batch(colours: Float[np.ndarray, "o 3"], pairs: Int16[Array, "b t 2 o 2"]) -> Batch:
    """The observations of such pairs; labels are of the later frame."""
    masks = discs(pairs.astype(jnp.int32), FINE * jnp.arange(SIZE), int(FINE * RADIUS))  # whole numbers throughout
    palette = jnp.concatenate([jnp.zeros((1, 3)), jnp.asarray(colours)])
    seen = masks.astype(jnp.int32)
    frames = palette.at[seen].get(mode="promise_in_bounds")
    now = seen[:, :, 1]
    places = pairs[:, :, 1].reshape(*pairs.shape[:2], 2 * BODIES).astype(jnp.float32) / FINE
    return Batch(jnp.concatenate([frames[:, :, 0], frames[:, :, 1]], -1), labels=Labels(places, now))
