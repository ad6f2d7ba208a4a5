"""Bouncing Balls: conservation laws, and that the pictures show where the balls are."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmark.errors import UserError
from datasets.billiards import BOX, scatter, trajectory
from datasets.bouncing_balls import BouncingBalls
from datasets.video import hues

RADIUS, SIZE = 1.2, 40


@pytest.fixture(scope="module")
def splits():
    return BouncingBalls(image_size=SIZE, train_size=200, val_size=4, test_size=6).load(Path(), print)


@pytest.fixture(scope="module")
def batch(splits):
    return jax.tree.map(np.asarray, splits.train.read(splits.train.data, jnp.arange(200)))


def simulate(places, velocities, num_frames, box=BOX):
    with jax.enable_x64(True):
        start = jnp.asarray(places, jnp.float64), jnp.asarray(velocities, jnp.float64)
        x, v = jax.jit(lambda x, v: trajectory(x, v, num_frames, RADIUS, box))(*start)
        return np.asarray(x), np.asarray(v)


@pytest.fixture(scope="module")
def flights():
    """Places and velocities of 50 long flights of three balls: [b t o 2]."""

    def flight(key):
        place_key, velocity_key = jax.random.split(key)
        return trajectory(scatter(place_key, 3, RADIUS), jax.random.normal(velocity_key, (3, 2)), 150, RADIUS)

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 50)
        return tuple(np.asarray(array) for array in jax.jit(jax.vmap(flight))(keys))


def test_energy_is_kept(flights):
    energy = np.square(flights[1]).sum((-1, -2))
    np.testing.assert_allclose(energy, energy[:, :1].repeat(150, 1), rtol=1e-12)


def test_no_ball_is_inside_a_wall_or_another_ball(flights):
    x = flights[0]
    assert x.min() >= RADIUS and x.max() <= BOX - RADIUS
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(x[:, :, i] - x[:, :, j], axis=-1).min() >= 2 * RADIUS - 1e-12


def test_momentum_is_kept_while_no_wall_is_near():
    places = [[495.0, 500.3], [500.0, 500.0], [504.0, 499.5]]
    _, v = simulate(places, [[1.0, 0.0], [0.0, 0.05], [-0.5, 0.1]], 30, box=1000.0)
    assert not np.allclose(v[0], v[-1])
    np.testing.assert_allclose(v.sum(1), v[:1].sum(1).repeat(30, 0), atol=1e-12)


def test_balls_that_meet_head_on_swap_velocities():
    x, v = simulate([[2.0, 5.0], [7.0, 5.0]], [[1.0, 0.0], [-0.5, 0.0]], 3)
    # They are 5 - 2.4 = 2.6 apart and close at 1.5: contact after 26 / 15, at x = 2 + 26 / 15.
    np.testing.assert_allclose(v[-1], [[-0.5, 0.0], [1.0, 0.0]], atol=1e-12)
    contact = 2 + 26 / 15
    np.testing.assert_allclose(x[-1][:, 0], [contact - 0.5 * (2 - 26 / 15), contact + 2.4 + (2 - 26 / 15)])


def test_a_glancing_hit_keeps_the_velocity_along_the_touching_sides():
    # Contact along the diagonal: only the component (1, 1) / sqrt 2 is exchanged.
    offset = 2.4 / np.sqrt(2)
    _, v = simulate([[3.0, 3.0], [3.5 + offset, 3.0 + offset]], [[1.0, 0.0], [0.0, 0.0]], 2)
    np.testing.assert_allclose(v[-1], [[0.5, -0.5], [0.5, 0.5]], atol=1e-12)


def test_a_ball_turns_round_where_it_touches_the_wall():
    x, v = simulate([[8.0, 2.0]], [[1.0, -0.25]], 5)
    np.testing.assert_allclose(x[:, 0, 0], [8.0, 8.6, 7.6, 6.6, 5.6])
    np.testing.assert_allclose(x[:, 0, 1], [2.0, 1.75, 1.5, 1.25, 1.4])
    np.testing.assert_allclose(v[-1], [[-1.0, 0.25]])


def test_a_ball_at_rest_stays():
    x, _ = simulate([[8.8, 1.2]], [[0.0, 0.0]], 3)
    assert (x == x[0]).all()


def test_a_sample_longer_than_the_sequences_is_named(splits):
    with pytest.raises(UserError, match=r"of 13 frames does not fit into sequences of 12; .*clip=12"):
        splits.train.sample(splits.train.data, jax.random.key(0), 2, 13)


def test_frames_and_masks_show_discs_where_the_balls_are(batch):
    column, row = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    for clip in range(20):
        for t in range(12):
            centres = batch.labels.coordinates[clip, t].reshape(3, 2)
            inside = [np.hypot(column - x, row - y) < RADIUS * SIZE / BOX for x, y in centres]
            expected = sum((j + 1) * disc for j, disc in enumerate(inside))
            assert (expected == batch.labels.masks[clip, t]).mean() > 0.999
    np.testing.assert_array_equal(batch.frames.max(-1) == -1, batch.labels.masks == 0)


def test_each_ball_keeps_its_hue_in_all_sequences(batch):
    for j in (1, 2, 3):
        colours = batch.frames[batch.labels.masks == j]
        assert (colours == colours[0]).all() and colours[0].max() == 1
        assert (batch.labels.masks == j).any((-2, -1)).all()


def test_all_velocities_together_have_norm_half_a_unit_a_frame(batch):
    steps = np.diff(batch.labels.coordinates, axis=1) * BOX / SIZE
    speed = np.sqrt(np.square(steps).sum(-1))
    # Where a ball was turned round within a frame its step is shorter.
    assert speed.max() == pytest.approx(0.5, abs=1e-4) and np.median(speed) == pytest.approx(0.5, abs=1e-4)


def test_balls_cover_what_three_discs_cover(batch):
    assert (batch.labels.masks > 0).mean() == pytest.approx(3 * np.pi * RADIUS**2 / BOX**2, rel=0.01)


def test_the_previous_frame_is_wrong_by_28_hundredths_of_what_black_is(batch):
    black = np.square(batch.frames + 1).mean()
    assert np.square(np.diff(batch.frames, axis=1)).mean() / black == pytest.approx(0.275, abs=0.01)


def test_no_sequence_is_in_two_splits(splits):
    clips = [
        {clip.tobytes() for clip in np.asarray(s.data.coordinates)} for s in (splits.train, splits.val, splits.test)
    ]
    assert [len(part) for part in clips] == [200, 4, 6] and len(set.union(*clips)) == 210
    assert splits.probe is splits.train


def test_by_default_872_sequences_are_trained_on_and_128_evaluated():
    default = BouncingBalls()
    assert (default.train_size, default.val_size + default.test_size) == (872, 128)


def test_another_seed_of_the_data_set_gives_other_sequences():
    one, again, other = (
        BouncingBalls(image_size=16, train_size=2, val_size=2, test_size=2, seed=seed).load(Path(), print).test
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.data.coordinates, again.data.coordinates)
    assert not np.array_equal(one.data.coordinates, other.data.coordinates)


def test_windows_come_from_all_sequences(splits):
    windows = splits.train.sample(splits.train.data, jax.random.key(0), 4000, 3).labels.coordinates
    clips = {
        tuple(frame): i for i, clip in enumerate(np.asarray(splits.train.data.coordinates).tolist()) for frame in clip
    }
    assert {clips[tuple(first)] for first in np.asarray(windows[:, 0]).tolist()} == set(range(200))


def test_more_sequences_leave_the_first_ones_as_they_were(splits):
    few = BouncingBalls(image_size=SIZE, train_size=2, val_size=1, test_size=1).load(Path(), print)
    np.testing.assert_array_equal(few.train.data.masks, splits.train.data.masks[:2])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"radius": 5.0}, "do not fit"),
        ({"num_balls": 0}, "num_balls is 0"),
        ({"num_balls": 9}, "crowded"),
        ({"num_balls": 256, "radius": 0.01}, "255 objects"),
    ],
)
def test_boxes_that_cannot_be_filled_are_named(fields, named):
    with pytest.raises(UserError, match=named):
        BouncingBalls(**fields)


def test_statistics_of_coordinates_are_those_of_the_training_frames(splits, batch):
    places = batch.labels.coordinates.reshape(-1, 6)
    np.testing.assert_allclose(splits.spec.coordinate_mean, places.mean(0), rtol=1e-5)
    np.testing.assert_allclose(splits.spec.coordinate_std, places.std(0), rtol=1e-5)


@pytest.fixture(scope="module")
def starts():
    """First places [b o 2] and steps to the second frame of 300 clips, in units of the box."""
    places = np.asarray(BouncingBalls(image_size=10).videos(300).coordinates, float).reshape(300, 12, 3, 2)
    return places[:, 0] + 0.5, places[:, 1] - places[:, 0]


def test_balls_fly_in_all_directions(starts):
    np.testing.assert_allclose((starts[1] > 0).mean((0, 1)), 0.5, atol=0.08)


def test_balls_start_anywhere_in_the_box(starts):
    places = starts[0].reshape(-1, 2)
    np.testing.assert_allclose(places.min(0), RADIUS, atol=0.1)
    np.testing.assert_allclose(places.max(0), BOX - RADIUS, atol=0.1)


def test_the_hues_are_those_of_the_data_sets_seed():
    palette = BouncingBalls(image_size=16, seed=5).videos(1).palette
    np.testing.assert_array_equal(palette[0, 1:], hues(3, seed=5))


def test_velocities_have_no_favourite_direction():
    """Three balls' velocities are a direction in six dimensions, each drawn alike: E[v^4] = 3 / (6 * 8) of a part."""
    places = np.asarray(BouncingBalls(image_size=10, num_frames=2).videos(2000).coordinates, float)
    steps = places[:, 1] - places[:, 0]
    free = steps[np.abs(np.linalg.norm(steps, axis=1) - 0.5) < 1e-4] / 0.5
    assert len(free) > 500
    assert (free**4).mean() == pytest.approx(3 / (6 * 8), abs=0.004)


def test_sequences_are_simulated_in_double_precision():
    world = BouncingBalls(image_size=16)
    with jax.enable_x64(True):
        keys = jnp.stack([jax.random.fold_in(jax.random.key(0), i) for i in range(5)])
        exact = np.asarray(jax.jit(jax.vmap(world._simulate))(keys)) * (16 / BOX) - 0.5
    np.testing.assert_array_equal(world.videos(5).coordinates, exact.reshape(5, 12, 6).astype(np.float32))
