"""GridWorld: how objects walk, what is drawn, and that held-out sequences stay out."""

from math import perm
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.modules.clips import Episodes
from benchmark.types import Batch, Labels
from datasets.bouncing_balls import BouncingBalls
from datasets.grid_walks import PARTS, belongs, place, start_hash, walk
from datasets.gridworld import GridWorld
from datasets.video import Video, hues
from datasets.video_splits import Clips


@pytest.fixture(scope="module")
def splits():
    return GridWorld(probe_size=1500, val_size=50, test_size=100).load(Path(), print)


@pytest.fixture(scope="module")
def batch(splits):
    return jax.tree.map(np.asarray, splits.probe.read(splits.probe.data, jnp.arange(1500)))


def steps_of(coordinates: np.ndarray) -> np.ndarray:
    """x and y of every object: [b t o 2]."""
    return coordinates.reshape(*coordinates.shape[:2], -1, 2).astype(int)


def test_every_object_moves_one_pixel_a_step(batch):
    assert (np.abs(np.diff(steps_of(batch.labels.coordinates), axis=1)).sum(-1) == 1).all()


def test_every_object_stays_on_its_line(batch):
    moved = np.diff(steps_of(batch.labels.coordinates), axis=1) != 0
    assert (moved == moved[:, :1]).all()


@pytest.mark.parametrize(
    ("cell", "move", "axis", "expected"),
    [
        (3, 0, 0, [3, 4, 3, 2, 1, 0, 1, 2]),
        (1, 1, 0, [1, 0, 1, 2, 3, 4, 3, 2]),
        (15, 2, 1, [3, 4, 3, 2, 1, 0, 1, 2]),
        (5, 3, 1, [1, 0, 1, 2, 3, 4, 3, 2]),
    ],
)
def test_objects_turn_round_at_the_border(cell, move, axis, expected):
    path = walk(jnp.array([cell]), jnp.array([move]), 5, 8)[:, 0]
    assert path[:, axis].tolist() == expected
    assert (path[:, 1 - axis] == path[0, 1 - axis]).all()


def test_at_the_border_outwards_and_inwards_are_the_same_walk():
    outwards, inwards = (walk(jnp.array([4]), jnp.array([move]), 5, 8) for move in (0, 1))
    np.testing.assert_array_equal(outwards, inwards)


def test_objects_start_apart_and_pass_through_each_other(batch):
    cells = steps_of(batch.labels.coordinates) @ [1, 5]
    distinct = np.array([[len(set(frame)) for frame in clip] for clip in cells])
    assert (distinct[:, 0] == 3).all() and (distinct[:, 1:] < 3).any()


def test_all_883200_starts_can_be_drawn_each_in_one_way():
    ranks = np.stack(np.meshgrid(*(np.arange(n) for n in (25, 24, 23)), indexing="ij"), -1).reshape(-1, 3)
    cells = np.asarray(jax.jit(jax.vmap(lambda r: place(r, 25)))(ranks))
    assert all(len(set(row)) == 3 for row in cells.tolist())
    assert len({tuple(row) for row in cells.tolist()}) * 4**3 == perm(25, 3) * 4**3 == 883_200


def test_frames_and_masks_show_the_objects_where_they_are(batch):
    colours = hues(3, seed=0)
    for frames, masks, path in zip(
        batch.frames[:100], batch.labels.masks[:100], steps_of(batch.labels.coordinates)[:100], strict=True
    ):
        for frame, mask, objects in zip(frames, masks, path, strict=True):
            for row, column in np.ndindex(5, 5):
                here = [j for j, (x, y) in enumerate(objects) if (x, y) == (column, row)]
                seen = mask[row, column]
                assert (seen == 0 and not here) or seen - 1 in here
                np.testing.assert_array_equal(frame[row, column], colours[seen - 1] if seen else [-1, -1, -1])


def test_whoever_is_in_front_stays_in_front_throughout_a_sequence(batch):
    for masks, path in zip(batch.labels.masks, steps_of(batch.labels.coordinates), strict=True):
        behind = {
            (int(masks[t, y, x]) - 1, j)
            for t, objects in enumerate(path)
            for j, (x, y) in enumerate(objects)
            if masks[t, y, x] != j + 1
        }
        assert not any((j, i) in behind for i, j in behind)


def test_every_object_is_in_front_of_every_other_in_some_sequence(batch):
    pairs = set()
    for masks, path in zip(batch.labels.masks, steps_of(batch.labels.coordinates), strict=True):
        for t, j in np.ndindex(path.shape[:2]):
            x, y = path[t, j]
            pairs.add((int(masks[t, y, x]) - 1, j))
    assert pairs == {(i, j) for i in range(3) for j in range(3)}


def pixels_of(batch) -> np.ndarray:
    """How many show each object: [b t o], 1 or, behind another, 0."""
    return np.stack([(batch.labels.masks == j).sum((-2, -1)) for j in (1, 2, 3)], -1)


def test_an_object_is_hidden_in_one_frame_of_thirteen(batch):
    assert (pixels_of(batch) == 0).any(-1).mean() == pytest.approx(0.078, abs=0.01)


def test_error_of_a_black_frame_is_between_15_6_and_31_2_hundredths_by_hue(batch):
    shown = pixels_of(batch).mean() * 3 / 25
    errors = np.array([100 * shown * np.square(hues(3, seed) + 1).mean() for seed in range(400)])
    assert errors.min() == pytest.approx(15.6, abs=0.2) and errors.max() == pytest.approx(31.2, abs=0.3)
    assert errors.mean() == pytest.approx(20.8, abs=0.7)
    assert 100 * np.square(batch.frames + 1).mean() == pytest.approx(errors[0], rel=1e-5)


def test_hues_are_saturated_and_equally_spaced():
    colours = hues(3, seed=7)
    assert colours.max(-1).tolist() == [1, 1, 1] and colours.min(-1).tolist() == [-1, -1, -1]
    np.testing.assert_allclose(colours[1], np.roll(colours[0], 1), atol=1e-6)
    np.testing.assert_allclose(colours[2], np.roll(colours[0], 2), atol=1e-6)


def test_no_sequence_that_is_trained_on_is_tested_on():
    small = GridWorld(grid_size=3, num_objects=2, probe_size=20_000, val_size=400, test_size=400)
    splits = small.load(Path(), print)
    fresh = jax.jit(lambda key: splits.train.sample((), key, 20_000, 8))(jax.random.key(3))
    batches = [fresh, *(s.read(s.data, jnp.arange(len(s.valid))) for s in (splits.probe, splits.val, splits.test))]
    train, probe, val, test = ({row.tobytes() for row in np.asarray(b.labels.coordinates)} for b in batches)
    assert train == probe
    assert not train & val and not train & test and not val & test
    # Of 24^2 pairs of walks, 4 corners * 2^2 + 4 edges * 3^2 + 4^2 start in one cell.
    assert len(train | val | test) == 24**2 - 68
    train, _, val, test = ({row.tobytes() for row in np.asarray(b.frames)} for b in batches)
    assert not train & val and not train & test and not val & test


def test_the_stream_names_the_clips_that_probes_are_fitted_on(splits):
    clips = jnp.array([3, 0])
    named, kept = jax.jit(splits.train.read)((), clips), splits.probe.read(splits.probe.data, clips)
    jax.tree.map(np.testing.assert_array_equal, named, kept)


def test_windows_of_a_clip_begin_anywhere(splits):
    windows = np.asarray(splits.probe.sample(splits.probe.data, jax.random.key(0), 200, 3).labels.coordinates)
    clips = np.asarray(splits.probe.data.coordinates)
    first = {next(t for t in range(6) if (clips[:, t : t + 3] == window).all((1, 2)).any()) for window in windows}
    assert first == set(range(6))


def test_frames_masks_and_places_of_a_window_belong_together_and_come_from_all_clips(splits):
    windows = jax.tree.map(np.asarray, splits.probe.sample(splits.probe.data, jax.random.key(0), 200, 3))
    places, (clip, time) = steps_of(windows.labels.coordinates), np.ogrid[:200, :3]
    for x, y in np.moveaxis(places, (2, 3), (0, 1)):
        assert (windows.labels.masks[clip, time, y, x] > 0).all()
    np.testing.assert_array_equal(windows.frames.max(-1) > -1, windows.labels.masks > 0)
    clips = np.asarray(splits.probe.data.coordinates)
    found = [
        np.flatnonzero((clips[:, :, None] == window).all(-1).any(1).all(1)) for window in windows.labels.coordinates
    ]
    assert min(map(max, found)) < 150 and max(map(min, found)) > 1350  # from the first tenth to the last


def test_a_sample_longer_than_the_sequences_is_named(splits):
    with pytest.raises(UserError, match=r"of 9 frames does not fit into sequences of 8; .*clip=8"):
        splits.train.sample(splits.train.data, jax.random.key(0), 2, 9)


def test_statistics_of_coordinates_are_those_of_the_clips_that_probes_are_fitted_on(splits, batch):
    places = batch.labels.coordinates.astype(np.float64).reshape(-1, len(splits.spec.coordinates))
    np.testing.assert_allclose(splits.spec.coordinate_mean, places.mean(0), rtol=1e-5)
    np.testing.assert_allclose(splits.spec.coordinate_std, places.std(0), rtol=1e-5)


def test_frames_depend_on_the_key_and_on_nothing_else(splits):
    sample = jax.jit(lambda key: splits.train.sample((), key, 4, 8).frames)
    one, again, other = (sample(jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_another_seed_of_the_data_set_gives_other_test_sequences():
    one, again, other = (
        GridWorld(probe_size=2, val_size=2, test_size=2, seed=seed).load(Path(), print).test.data.coordinates
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_more_colours_than_objects_leave_some_out_of_every_sequence():
    palette = jax.jit(jax.vmap(lambda key: GridWorld(num_colours=5).video(key, (2, 20)).palette))
    palettes = np.asarray(palette(jax.random.split(jax.random.key(0), 200)))
    known = [tuple(colour) for colour in hues(5, seed=0)]
    numbers = {tuple(known.index(tuple(colour)) for colour in palette[1:]) for palette in palettes}
    assert len(numbers) == 10 and all(a < b < c for a, b, c in numbers)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"grid_size": 1}, "grid_size=1"),
        ({"num_objects": 26}, "num_objects=26"),
        ({"num_objects": 1}, "too few starts"),
        ({"num_colours": 2}, "num_colours=2"),
        ({"num_objects": 256, "grid_size": 20}, "num_objects=256 is more than the 255 objects that a mask can number"),
    ],
)
def test_impossible_grids_are_named(fields, named):
    with pytest.raises(UserError, match=named):
        GridWorld(**fields)


def test_objects_are_seen_where_the_pixels_of_their_coordinates_say():
    world = GridWorld()
    video = jax.jit(lambda key: world.video(key, PARTS["train"]))(jax.random.key(0))
    scale, offset = np.array([c.pixel for c in world.spec().coordinates]).T
    pixels = (np.asarray(video.coordinates) * scale + offset).astype(int)  # [t 6]
    for mask, places in zip(video.masks, pixels, strict=True):
        assert all(mask[y, x] > 0 for x, y in places.reshape(3, 2))


def test_the_hues_are_those_of_the_data_sets_seed():
    palette = jax.jit(lambda key: GridWorld(seed=5).video(key, PARTS["train"]).palette)(jax.random.key(0))
    np.testing.assert_array_equal(palette[1:], hues(3, seed=5))


@pytest.mark.parametrize("world", [GridWorld, BouncingBalls])
def test_a_training_sample_is_a_whole_sequence(world):
    spec = world(num_frames=7).spec()
    assert spec.training_window == spec.clip_length == 7


PLACES = np.stack(np.meshgrid(np.arange(6.0), np.arange(8.0), indexing="ij"), -1).astype(np.float32)
"""Of each frame of six clips of eight: which clip, which frame."""


@pytest.mark.parametrize("kind", ["clips", "episodes"])
def test_every_clip_is_cut_everywhere(kind):
    if kind == "clips":
        data = Video(jnp.zeros((6, 8, 2, 2), jnp.uint8), jnp.zeros((6, 2, 3)), jnp.asarray(PLACES))
        split = Clips(data)
    else:
        split = Episodes(PLACES, lambda s: Batch(jnp.zeros((*s.shape[:2], 1, 1, 1)), None, Labels(s)))
        data = split.data
    drawn = np.asarray(split.sample(data, jax.random.key(0), 500, 3).labels.coordinates)[:, 0]
    assert {tuple(first) for first in drawn.tolist()} == {(i, t) for i in range(6) for t in range(6)}


def test_the_hash_of_the_data_is_of_the_test_split_too():
    two, three = (GridWorld(probe_size=2, val_size=2, test_size=n).load(Path(), print).facts["sha256"] for n in (2, 3))
    assert two != three


def test_what_is_held_out_is_a_walk_and_not_a_placement():
    """Three objects that start in the same cells and move in all 64 ways."""
    moves = jnp.asarray(np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), -1).reshape(64, 3))
    walks = walk(jnp.broadcast_to(jnp.array([6, 12, 18]), (64, 3)), moves, 5, 2)
    assert len(set(np.asarray(start_hash(walks, 5)).tolist())) == 64
    parts = {name: np.asarray(belongs(walks, part, 5)) for name, part in PARTS.items()}
    assert (np.sum([*parts.values()], axis=0) == 1).all() and parts["train"].any() and not parts["train"].all()
