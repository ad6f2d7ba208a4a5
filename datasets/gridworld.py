"""GridWorld (Löwe et al. 2020, section 4.1): coloured pixels that walk over a small black grid.

Every object starts in a cell of its own, moves one cell a frame in one of four directions, turns round at the border
and passes through the others. With three objects on 5 x 5 cells that makes 25 * 24 * 23 * 4^3 = 883,200 starts.

Readings of what the paper leaves open: the hues are equally spaced and fully saturated, their offset is the data set's
(`seed`); where objects overlap, one random order a sequence says which is in front. Objects are numbered by colour, the
only thing that tells them apart, which amounts to dealing the colours out at random.

Training sequences are made inside the compiled step and never end, so held-out sequences are kept out by rule: a hash
of where the objects are in the first two frames, which determine the whole walk, sends 1 start in 20 to validation and
1 in 20 to test. The same rule for every seed. Held out is how a walk starts. Single frames do recur: there are only
25^3 of them before occlusion. So do pieces of walks: each repeats after 2 (grid_size - 1) frames, 8 here, so a held-out
sequence is most often a training sequence that begins at another frame.
"""

from dataclasses import dataclass
from functools import partial
from math import perm
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from benchmark.contracts import Dataset, Report, Splits
from benchmark.errors import UserError
from benchmark.registry import datasets
from benchmark.types import Array, DatasetSpec, Float, Int, Key
from datasets.fingerprint import fingerprint
from datasets.grid_walks import PARTS, Part, draw_start, walk
from datasets.video import BLACK, Video, check_countable, coordinates, hues, object_names, split
from datasets.video_splits import Clips, Stream, clip_keys


@datasets.register("gridworld")
@dataclass(frozen=True, kw_only=True)
class GridWorld(Dataset):
    """`num_colours` None gives each object its colour; more colours than objects leave some out in each sequence."""

    grid_size: int = 5
    num_objects: int = 3
    num_colours: int | None = None
    num_frames: int = 8
    num_slots: int = 4
    seed: int = 0
    probe_size: int = 5000
    val_size: int = 1000
    test_size: int = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.grid_size < 2:
            raise UserError(f"gridworld: grid_size={self.grid_size} leaves nowhere to go; take 2 or more")
        check_countable("gridworld: num_objects", self.num_objects)
        if self.num_objects > self.grid_size**2:
            raise UserError(f"gridworld: num_objects={self.num_objects} is more than the {self.grid_size**2} cells")
        if perm(self.grid_size**2, self.num_objects) * 4**self.num_objects < 1000:
            few = f"num_objects={self.num_objects} on grid_size={self.grid_size}"
            raise UserError(f"gridworld: {few} leave too few starts to hold any out; take more of either")
        if self.num_colours is not None and self.num_colours < self.num_objects:
            raise UserError(f"gridworld: num_colours={self.num_colours} is less than num_objects={self.num_objects}")

    def spec(self) -> DatasetSpec:
        return DatasetSpec(
            name="gridworld",
            frame_shape=(self.grid_size, self.grid_size, 3),
            frame_range=(-1.0, 1.0),
            num_slots=self.num_slots,
            objects=object_names(self.num_objects),
            backbone="pixelwise",
            clip_length=self.num_frames,
            training_window=self.num_frames,
            coordinates=coordinates(self.num_objects),
            has_masks=True,
        )

    def load(self, cache: Path, report: Report) -> Splits:
        report("gridworld: walking the sequences that are probed")
        sizes = {"train": self.probe_size, "val": self.val_size, "test": self.test_size}
        keys = jnp.concatenate([clip_keys(self._key(part), jnp.arange(size)) for part, size in sizes.items()])
        parts = np.repeat([PARTS[part] for part in sizes], list(sizes.values()), axis=0)
        probe, val, test = split(jax.jit(jax.vmap(self.video))(keys, parts), tuple(sizes.values()))
        # The probes' training clips are those that the stream names: the encoder learns from their like.
        stream = partial(self.video, part=PARTS["train"])
        train = Stream(stream, self._key("train"), self.probe_size, self.num_frames)
        facts = {
            "sha256": fingerprint(probe, val, test),
            "clips": {"probe": self.probe_size, "val": self.val_size, "test": self.test_size},
            "training": "sequences are made as they are asked for; none of them is in val or test",
        }
        spec = self.spec().measured(np.asarray(probe.coordinates))
        return Splits(spec, train, Clips(probe), Clips(val), Clips(test), facts)

    def _key(self, part: str) -> Key:
        return jax.random.fold_in(jax.random.key(self.seed), list(PARTS).index(part))

    def video(self, key: Key, part: Part) -> Video:
        """One sequence, drawn uniformly from the starts of that part."""
        start_key, order_key, colour_key = jax.random.split(key, 3)
        cells, moves = draw_start(start_key, part, self.num_objects, self.grid_size)
        positions = walk(cells, moves, self.grid_size, self.num_frames)
        order = jnp.argsort(jax.random.uniform(order_key, (self.num_objects,)))
        masks = stack(positions, order, self.grid_size)
        return Video(masks, self._palette(colour_key), positions.astype(jnp.float32).reshape(self.num_frames, -1))

    def _palette(self, key: Key) -> Float[Array, "colours c"]:
        count = self.num_colours or self.num_objects
        chosen = jnp.sort(jnp.argsort(jax.random.uniform(key, (count,)))[: self.num_objects])
        return jnp.concatenate([BLACK, jnp.asarray(hues(count, self.seed))[chosen]])


def stack(positions: Int[Array, "t o 2"], order: Int[Array, " o"], grid_size: int) -> UInt8[Array, "t h w"]:
    """Masks: the object seen in every cell, where `order[j]` says how far in front object j is."""
    cells = positions[..., 1] * grid_size + positions[..., 0]
    there = cells[..., None] == jnp.arange(grid_size**2)
    front = jnp.max(there * (order + 1)[:, None], axis=-2)
    seen = jnp.zeros(len(order) + 1, jnp.uint8).at[order + 1].set(jnp.arange(1, len(order) + 1, dtype=jnp.uint8))
    return seen[front].reshape(-1, grid_size, grid_size)


for _count, _slots in [(3, 4), (4, 4), (5, 4), (6, 4), (4, 5), (5, 6), (6, 7)]:  # figure 6 of the paper
    _name = f"gridworld-colours-{_count}-slots-{_slots}"
    datasets.register(_name, num_objects=_count, num_colours=_count, num_slots=_slots)(GridWorld)
