"""Shapes and cubes: how objects are pushed, what is drawn, and that test frames were never seen."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.registry import datasets
from datasets import sprites
from datasets.block_pushing import DIRECTIONS, OBJECTS, SPLITS, BlockPushing, push, unseen

GRID = sprites.GRID
SIZES = {"train_size": 30, "train_steps": 20, "probe_size": 20, "val_size": 4, "test_size": 10}


@pytest.fixture(scope="module", params=["shapes", "cubes"])
def splits(request):
    return datasets.create(request.param, **SIZES).load(Path(), print)


@pytest.fixture(scope="module")
def batch(splits):
    return jax.tree.map(np.asarray, jax.jit(splits.train.read)(splits.train.data, jnp.arange(30)))


def places(coordinates: np.ndarray) -> np.ndarray:
    """Column and row of every object: [... o 2]."""
    return coordinates.reshape(*coordinates.shape[:-1], OBJECTS, 2).astype(int)


def test_the_action_after_a_frame_leads_to_the_next_and_moves_one_object_one_cell_or_nothing(batch):
    where = places(batch.labels.coordinates)
    blocked = 0
    for episode, actions in zip(where, batch.actions, strict=True):
        for before, after, action in zip(episode, episode[1:], actions, strict=False):
            pushed, direction = divmod(int(action), 4)
            target = before[pushed] + DIRECTIONS[direction]
            others = np.delete(before, pushed, axis=0)
            if (target < 0).any() or (target >= GRID).any() or (others == target).all(1).any():
                blocked += 1
                target = before[pushed]
            np.testing.assert_array_equal(after[pushed], target)
            np.testing.assert_array_equal(np.delete(after, pushed, axis=0), others)
    assert 0.2 < blocked / (30 * 20) < 0.5


@pytest.mark.parametrize(
    ("direction", "free", "after"), [(0, 7, 2), (1, 7, 8), (2, 7, 12), (3, 7, 6), (0, 3, 3), (1, 4, 4), (2, 20, 20)]
)
def test_directions_are_up_right_down_left_and_the_border_blocks(direction, free, after):
    cells = np.array([[24, free, 22, 18, 15]], np.uint8)
    moved = push(cells, np.array([4 + direction], np.uint8))
    assert moved[0].tolist() == [24, after, 22, 18, 15]


def test_another_object_blocks():
    cells = np.array([[6, 7, 0, 1, 2]], np.uint8)
    for action in (0 * 4 + 1, 1 * 4 + 3, 1 * 4 + 0):  # object 0 to the right, object 1 to the left and up
        np.testing.assert_array_equal(push(cells, np.array([action], np.uint8)), cells)


def test_no_two_objects_share_a_cell(batch):
    cells = places(batch.labels.coordinates) @ [1, GRID]
    assert (np.diff(np.sort(cells, axis=-1), axis=-1) > 0).all()


def test_actions_and_starts_are_uniform():
    pushes = BlockPushing(view="above", train_size=2000, train_steps=10).episodes("train")
    counts = np.bincount(pushes.actions.ravel(), minlength=20) / pushes.actions.size
    np.testing.assert_allclose(counts, 1 / 20, atol=0.006)
    starts = np.bincount(pushes.cells[:, 0].ravel(), minlength=25) / pushes.cells[:, 0].size
    np.testing.assert_allclose(starts, 1 / 25, atol=0.008)


def test_the_same_placement_gives_the_same_frame_and_another_placement_another(batch):
    flat = batch.frames.reshape(-1, 50 * 50 * 3)
    cells = batch.labels.coordinates.reshape(len(flat), -1)
    frames = {frame.tobytes() for frame in flat}
    assert len(frames) == len({row.tobytes() for row in cells})
    assert len(frames) == len({frame.tobytes() + row.tobytes() for frame, row in zip(flat, cells, strict=True)})


def test_frames_show_each_object_in_shades_of_its_own_where_its_mask_is(batch):
    assert batch.frames.min() == 0 and batch.frames.max() == 1
    np.testing.assert_array_equal(batch.frames.max(-1) == 0, batch.labels.masks == 0)
    shades = [{tuple(c) for c in batch.frames[batch.labels.masks == j + 1]} for j in range(OBJECTS)]
    assert len(set.union(*shades)) == sum(len(own) for own in shades)
    assert {len(own) for own in shades} <= {1, 3}
    seen = [[[(mask == j + 1).any() for j in range(OBJECTS)] for mask in clip] for clip in batch.labels.masks]
    assert np.all(seen)


def test_flat_figures_stand_in_their_cells_and_have_distinct_outlines():
    sheet = sprites.shapes(5, 0).sheet
    outlines = set()
    for j in range(5):
        figures = (sheet[j] > 0).reshape(25, 5, 10, 5, 10).transpose(0, 1, 3, 2, 4).reshape(25, 25, -1)
        filled = figures.any(-1)
        np.testing.assert_array_equal(filled, np.eye(25, dtype=bool))
        outlines.add(figures[0, 0].tobytes())
    assert len(outlines) == 5


def test_flat_figures_are_seen_where_the_pixels_of_their_coordinates_say():
    found = datasets.create("shapes", **SIZES).load(Path(), print)
    labels = jax.tree.map(np.asarray, found.val.read(found.val.data, jnp.arange(4)).labels)
    for i, t, j in np.ndindex(4, 12, OBJECTS):
        seen = [(line.min() + line.max()) / 2 for line in np.nonzero(labels.masks[i, t] == j + 1)[::-1]]
        own = zip(found.spec.coordinates[2 * j :][:2], labels.coordinates[i, t, 2 * j :][:2], strict=True)
        assert seen == [scale * value + offset for (scale, offset), value in ((c.pixel, v) for c, v in own)]


def test_a_nearer_block_hides_what_is_behind_it_and_no_block_leaves_the_frame():
    world = sprites.blocks(2, 0)
    sizes = (world.sheet > 0).sum((-1, -2))
    assert (sizes == sizes[0, 0]).all()
    for behind, nearer in ((7, 8), (7, 12), (7, 13), (0, 1)):
        for order in ((0, 1), (1, 0)):
            cells = np.array([behind, nearer])[list(order)]
            masks = np.asarray(sprites.draw(world, jnp.asarray(cells))[1])
            front = order.index(1) + 1
            assert (masks == front).sum() == sizes[0, 0]
            assert 0 < (masks == 3 - front).sum() < sizes[0, 0]


def test_blocks_that_are_equally_near_do_not_meet():
    world = sprites.blocks(2, 0)
    for cells in ([1, 5], [2, 6], [4, 20]):
        masks = np.asarray(sprites.draw(world, jnp.asarray(cells))[1])
        assert (masks == 1).sum() == (masks == 2).sum() == (world.sheet[0, 0] > 0).sum()


def test_windows_are_consecutive_frames_of_an_episode_with_their_actions(splits, batch):
    window = jax.tree.map(
        np.asarray, jax.jit(lambda data: splits.train.sample(data, jax.random.key(0), 200, 3))(splits.train.data)
    )
    known = {
        batch.labels.coordinates[i, t : t + 3].tobytes() + batch.actions[i, t : t + 3].tobytes(): t
        for i, t in np.ndindex(30, 19)
    }
    drawn = zip(window.labels.coordinates, window.actions, strict=True)
    starts = {known[frames.tobytes() + actions.tobytes()] for frames, actions in drawn}
    assert {0, 18} <= starts


def test_a_sample_longer_than_the_sequences_is_named(splits):
    with pytest.raises(UserError, match=r"of 22 frames does not fit into sequences of 21; .*clip=21"):
        splits.train.sample(splits.train.data, jax.random.key(0), 2, 22)


def test_a_test_frame_whose_placement_occurs_in_another_split_does_not_count():
    row = np.arange(5, dtype=np.uint8)
    one, two, three = row, row + 1, row + 2
    cells = {
        "train": np.array([[one, one]]),
        "probe": np.array([[two]]),
        "val": np.array([[three, two]]),
        "test": np.array([[one, two, three, row + 3]]),
    }
    valid = unseen(cells)
    assert valid["val"].tolist() == [[True, False]]
    assert valid["test"].tolist() == [[False, False, False, True]]


def test_no_test_frame_that_counts_is_in_any_other_split():
    splits = datasets.create("shapes", train_size=1500, probe_size=50, val_size=50, test_size=200).load(Path(), print)
    train, probe, val, test = (
        {row.tobytes() for row in np.asarray(s.data.cells)[s.valid]}
        for s in (splits.train, splits.probe, splits.val, splits.test)
    )
    assert not test & (train | probe | val) and not val & (train | probe)
    seen = splits.facts["seen_test_frames"]
    assert 20 < seen < 150 and splits.facts["n_test"] + seen == 200 * 12


def test_another_seed_of_the_data_set_gives_other_episodes_and_hues():
    first, again, other = (BlockPushing(view="angle", seed=seed, **SIZES) for seed in (3, 3, 4))
    for split in SPLITS:
        for one, same, another in zip(*(world.episodes(split) for world in (first, again, other)), strict=True):
            assert np.array_equal(one, same) and not np.array_equal(one, another)
    frames = [
        np.asarray(splits.val.read(splits.val.data, jnp.arange(1)).frames)
        for splits in (world.load(Path(), print) for world in (first, other))
    ]
    one, another = ({tuple(colour) for colour in seen.reshape(-1, 3)} for seen in frames)
    assert one & another == {(0, 0, 0)}, "but for the background"


def test_by_default_the_sizes_are_the_papers():
    default = BlockPushing(view="above")
    assert (default.train_size, default.train_steps, default.test_size) == (1000, 100, 10_000)
    assert default.spec().num_actions == 20 and default.spec().actions_per_object == 4


def test_a_test_frame_that_only_probes_were_fitted_on_does_not_count():
    row = np.arange(5, dtype=np.uint8)
    cells = {name: np.array([[row + i]]) for i, name in enumerate(("train", "probe", "val"))}
    valid = unseen(cells | {"test": np.array([[row, row + 1, row + 2, row + 3]])})
    assert valid["test"].tolist() == [[False, False, False, True]]


def test_a_block_is_bright_on_top_darker_on_its_right_and_dark_on_its_left():
    bright = np.asarray(sprites.draw(sprites.blocks(1, 0), jnp.array([0]))[0]).max(-1)
    rows, columns = np.nonzero(bright)

    def lowest(column):
        return bright[rows[columns == column].max(), column]

    assert bright[rows.min()].max() == 1
    assert (lowest(columns.max()), lowest(columns.min())) == (0.75, 0.5)


def test_a_block_goes_right_and_down_along_a_row_and_left_and_down_along_a_column():
    sheet = sprites.blocks(1, 0).sheet[0] > 0

    def corner(cell):
        return np.argwhere(sheet[cell]).min(0)

    assert (corner(13) - corner(12)).tolist() == [4, 5]
    assert (corner(17) - corner(12)).tolist() == [4, -5]


def test_the_triangle_points_up():
    widths = (sprites.shapes(5, 0).sheet[2, 0, :10, :10] > 0).sum(1)[1:-1]
    assert (np.diff(widths) >= 0).all() and widths[0] < widths[-1]
