"""Objects that are pushed about a 5x5 grid, `shapes` and `cubes` (Kipf et al. 2020, arXiv 1911.12247, section 4.1).

Five objects of distinct colour (and, in `shapes`, distinct outline) stand in cells of their own. An action names an
object and one of four directions; the object moves one cell, unless it would leave the grid or enter the cell of
another: then nothing happens. Actions are uniform over the 20. A state has 25 * 24 * 23 * 22 * 21 = 6,375,600 values.

Readings: hues are equally spaced; outlines and the blocks' perspective are our own drawings, 50x50 pixels on black.
Labels are columns and rows, in cells. Held-out episodes have 12 frames where the paper's have 11: methods that predict
from two frames then reach as far, 10 steps, as those that predict from one.

Train, probe, val and test come from keys of their own. A val or test frame whose placement of all objects also occurs
in a split before it is not scored: with the defaults about 2 test frames in 100.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from benchmark.contracts import Dataset, Report, Splits
from benchmark.modules.clips import Episodes
from benchmark.registry import datasets
from benchmark.types import Array, Batch, Bool, DatasetSpec, Float, Int, Labels
from datasets.fingerprint import fingerprint
from datasets.sprites import GRID, SIZE, Sprites, blocks, draw, shapes
from datasets.video import coordinates, object_names

OBJECTS = 5

DIRECTIONS = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])
"""(dx, dy) of up, right, down and left."""

HELD_OUT_FRAMES = 12

VIEWS: dict[str, tuple[Callable[[int, int], Sprites], str]] = {
    "above": (shapes, "cswm_small"),
    "angle": (blocks, "cswm_large"),
}
"""How the world is drawn, and the backbone that the paper has for that."""

SPLITS = ("train", "probe", "val", "test")


class Pushes(NamedTuple):
    """The cell of every object, numbered along rows, and the action taken next: object * 4 + direction."""

    cells: UInt8[Any, "*b o"]
    actions: UInt8[Any, "*b"]


@datasets.register("shapes", view="above")
@datasets.register("cubes", view="angle")
@dataclass(frozen=True, kw_only=True)
class BlockPushing(Dataset):
    """`train_steps` are the actions of a training episode; the other sizes are numbers of episodes."""

    view: Literal["above", "angle"]
    seed: int = 0
    train_size: int = 1000
    train_steps: int = 100
    probe_size: int = 1000
    val_size: int = 500
    test_size: int = 10_000

    def spec(self) -> DatasetSpec:
        cell = SIZE // GRID
        pixel = (cell, (cell - 1) / 2) if self.view == "above" else None
        return DatasetSpec(
            name="shapes" if self.view == "above" else "cubes",
            frame_shape=(SIZE, SIZE, 3),
            frame_range=(0.0, 1.0),
            num_slots=OBJECTS,
            objects=object_names(OBJECTS),
            backbone=VIEWS[self.view][1],
            clip_length=HELD_OUT_FRAMES,
            training_window=HELD_OUT_FRAMES,
            num_actions=OBJECTS * len(DIRECTIONS),
            actions_per_object=len(DIRECTIONS),
            slot_size=2,
            coordinates=coordinates(OBJECTS, pixel),
            has_masks=True,
        )

    def load(self, cache: Path, report: Report) -> Splits:
        spec = self.spec()
        report(f"{spec.name}: pushing objects about")
        made = {name: self.episodes(name) for name in SPLITS}
        valid = unseen({name: pushes.cells for name, pushes in made.items()})
        show = partial(batch, VIEWS[self.view][0](OBJECTS, self.seed))
        train, probe, val, test = (Episodes(made[name], show, valid.get(name)) for name in SPLITS)
        facts = {
            "sha256": fingerprint(*made.values()),
            "episodes": {name: len(pushes.actions) for name, pushes in made.items()},
            "n_test": int(test.valid.sum()),
            "seen_test_frames": int((~test.valid).sum()),
        }
        learned_from = columns_and_rows(jnp.asarray(made["train"].cells, jnp.int32))
        return Splits(spec.measured(np.asarray(learned_from)), train, probe, val, test, facts)

    def episodes(self, split: str) -> Pushes:
        """All episodes of a split, placements and actions drawn uniformly; the last action leads out of the episode."""
        count = getattr(self, f"{split}_size")
        length = self.train_steps + 1 if split == "train" else HELD_OUT_FRAMES
        random = np.random.default_rng((self.seed, SPLITS.index(split)))
        cells = random.permuted(np.tile(np.arange(GRID**2, dtype=np.uint8), (count, 1)), axis=1)[:, :OBJECTS]
        actions = random.integers(OBJECTS * len(DIRECTIONS), size=(count, length), dtype=np.uint8)
        frames = [cells]
        for action in actions.T[:-1]:
            frames.append(push(frames[-1], action))
        return Pushes(np.stack(frames, 1), actions)


def push(cells: UInt8[np.ndarray, "i o"], actions: UInt8[np.ndarray, " i"]) -> UInt8[np.ndarray, "i o"]:
    """The cells after an action each; a push against the border or another object leaves all where they are."""
    episodes, pushed = np.arange(len(cells)), actions // len(DIRECTIONS)
    y, x = np.divmod(cells[episodes, pushed].astype(int), GRID)
    dx, dy = DIRECTIONS[actions % len(DIRECTIONS)].T
    target = (y + dy) * GRID + x + dx
    inside = (x + dx >= 0) & (x + dx < GRID) & (y + dy >= 0) & (y + dy < GRID)
    free = inside & (cells != target[:, None]).all(1)
    after = cells.copy()
    after[episodes[free], pushed[free]] = target[free]
    return after


def batch(sprites: Sprites, pushes: Pushes) -> Batch:
    """Frames, actions and all labels of windows of an episode."""
    cells = pushes.cells.astype(jnp.int32)
    frames, masks = draw(sprites, cells)
    return Batch(frames, pushes.actions.astype(jnp.int32), Labels(columns_and_rows(cells), masks))


def columns_and_rows(cells: Int[Array, "*b o"]) -> Float[Array, "*b p"]:
    """Column and row of object 0, of object 1, ..."""
    both = jnp.stack([cells % GRID, cells // GRID], -1)
    return both.reshape(*cells.shape[:-1], 2 * OBJECTS).astype(jnp.float32)


def unseen(cells: dict[str, UInt8[np.ndarray, "_ _ o"]]) -> dict[str, Bool[np.ndarray, "i t"]]:
    """Which frames of val and of test show a placement that no split before them has."""
    numbers = {name: _numbered(placed) for name, placed in cells.items()}
    before = {"val": ("train", "probe"), "test": ("train", "probe", "val")}
    return {
        name: ~np.isin(numbers[name], np.concatenate([numbers[other].ravel() for other in others]))
        for name, others in before.items()
    }


def _numbered(cells: UInt8[np.ndarray, "*b o"]) -> Any:
    """One number a placement of all objects."""
    return cells.astype(np.int64) @ (GRID**2) ** np.arange(cells.shape[-1])
