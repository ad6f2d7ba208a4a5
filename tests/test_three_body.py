"""Three bodies: conservation, where sequences may go, and that the pictures show where the bodies are."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datasets import three_body
from datasets.three_body import NEAREST, RADIUS, SIZE, ThreeBody, attraction, trajectory


@pytest.fixture(scope="module")
def splits():
    return ThreeBody(train_size=60, val_size=4, test_size=6).load(Path(), print)


@pytest.fixture(scope="module")
def batch(splits):
    return jax.tree.map(np.asarray, jax.jit(splits.train.read)(splits.train.data, jnp.arange(60)))


@pytest.fixture(scope="module")
def flights():
    """Places and velocities of 50 sequences from random starts: [b t o 2], 13 frames."""
    return [states[:, ::10] for states in trajectory(*three_body.starts(np.random.default_rng(0), 50), 120)]


def test_bodies_attract_by_the_inverse_square_of_their_distance():
    x = np.array([[0.0, 0.0], [3.0, 4.0], [-1.0, 2.0]])
    slow = np.zeros((3, 2))
    for i in range(3):
        for j in range(3):
            if i != j:
                slow[i] += 9.8 * (x[j] - x[i]) / np.hypot(*(x[j] - x[i])) ** 3
    np.testing.assert_allclose(attraction(x), slow)


def test_momentum_is_kept_and_the_centre_moves_straight_on(flights):
    x, v = flights
    np.testing.assert_allclose(v.sum(2), v[:, :1].sum(2).repeat(13, 1), atol=1e-11)
    drift = x[:, :1].mean(2) + 2.0 * np.arange(13)[:, None] * v[:, :1].mean(2)
    np.testing.assert_allclose(x.mean(2), drift, atol=1e-11)


def test_energy_is_kept_as_well_as_euler_steps_keep_it(flights):
    x, v = flights
    far = np.array([[np.linalg.norm(x[:, :, i] - x[:, :, j], axis=-1) for i, j in ((0, 1), (0, 2), (1, 2))]])[0]
    energy = np.square(v).sum((-1, -2)) / 2 - (9.8 / far).sum(0)
    calm = far.min((0, 2)) > 8
    assert calm.sum() > 20
    assert np.abs(energy - energy[:, :1])[calm].max() < 0.02 * np.abs(9.8 / far[:, calm]).sum(0).max()


def test_a_circular_orbit_stays_a_circle():
    angle = 2 * np.pi * np.arange(3) / 3
    outwards = np.stack([np.cos(angle), np.sin(angle)], -1)
    speed = np.sqrt(9.8 / (np.sqrt(3) * 12))
    x = trajectory(12 * outwards[None], speed * outwards[None, :, ::-1] * [-1, 1], 120)[0][:, ::10]
    np.testing.assert_allclose(np.linalg.norm(x, axis=-1), 12, rtol=0.03)
    turned = np.arccos(np.clip((x[0, 0] * x[0, -1]).sum(-1) / 144, -1, 1))
    np.testing.assert_allclose(turned, speed * 24 / 12, rtol=0.05)


def test_bodies_start_on_a_circle_with_one_spin_and_one_drift():
    x, v = three_body.starts(np.random.default_rng(0), 5000)
    x = x - (SIZE - 1) / 2
    radius, angle = np.linalg.norm(x, axis=-1), np.unwrap(np.arctan2(x[..., 1], x[..., 0]))
    np.testing.assert_allclose(radius, radius[:, :1].repeat(3, 1))
    off = angle[:, 1:] - angle[:, :1] - [2 * np.pi / 3, 4 * np.pi / 3]
    around = np.stack([-np.sin(angle), np.cos(angle)], -1)
    sense = np.sign(((v[:, 0] - v[:, 1]) * (around[:, 0] - around[:, 1])).sum(-1))
    drift = v - 0.5 * sense[:, None, None] * around
    np.testing.assert_allclose(drift, drift[:, :1].repeat(3, 1), atol=1e-12)
    assert abs(sense.mean()) < 0.05
    within = ((radius, 9.375, 15.625), (off[:, 0], -0.25, 0.25), (off[:, 1], -0.25, 0.25), (drift, -0.5, 0.5))
    for values, low, high in within:
        edge = 0.01 * (high - low)
        assert low <= values.min() < low + edge and high - edge < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=5 * edge)
    assert abs(np.corrcoef(off.T)[0, 1]) < 0.05


def test_two_bodies_do_not_say_where_the_third_is():
    """As they would if all started exactly a third of a turn apart."""
    x = ThreeBody().pairs(300)[:, :, 1].reshape(-1, 6).astype(float)
    design = np.concatenate([x[:, :4], np.ones((len(x), 1))], 1)
    rest = x[:, 4:] - design @ np.linalg.lstsq(design, x[:, 4:], rcond=None)[0]
    assert 0.05 < rest.var(0).sum() / x[:, 4:].var(0).sum() < 0.1


def test_discs_stay_inside_the_frame_and_centres_apart(batch):
    x = batch.labels.coordinates.reshape(60, 12, 3, 2)
    assert x.min() > RADIUS - 0.51 and x.max() < SIZE - 0.49 - RADIUS
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(x[:, :, i] - x[:, :, j], axis=-1).min() > NEAREST - 0.05


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ([[10, 10], [20, 20], [30, 30]], True),
        ([[10, 10], [12, 13], [30, 30]], False),
        ([[2.4, 10], [20, 20], [30, 30]], False),
        ([[10, 10], [20, 46.6], [30, 30]], False),
    ],
)
def test_touching_a_wall_or_another_body_is_not_accepted(where, kept):
    assert three_body.acceptable(np.array([[where, [[10.0, 10], [20, 20], [30, 30]]]], float)).tolist() == [kept]


def test_frames_and_masks_show_discs_where_the_bodies_are(batch):
    column, row = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    for clip, t in np.ndindex(10, 12):
        centres = batch.labels.coordinates[clip, t].reshape(3, 2).astype(float)
        inside = [np.hypot(column - x, row - y) < RADIUS for x, y in centres]
        expected = np.max([(j + 1) * disc for j, disc in enumerate(inside)], axis=0)
        np.testing.assert_array_equal(batch.labels.masks[clip, t], expected)
    assert (batch.frames.min(), batch.frames.max()) == ThreeBody().spec().frame_range
    np.testing.assert_array_equal(batch.frames[..., 3:].max(-1) == 0, batch.labels.masks == 0)


def test_an_observation_is_the_frame_before_and_the_frame_itself(batch):
    np.testing.assert_array_equal(batch.frames[:, 1:, ..., :3], batch.frames[:, :-1, ..., 3:])
    assert not np.array_equal(batch.frames[:, 0, ..., :3], batch.frames[:, 0, ..., 3:])


def test_no_sequence_and_no_observation_is_in_two_splits(splits):
    parts = [np.asarray(s.data) for s in (splits.train, splits.val, splits.test)]
    clips = [{clip.tobytes() for clip in part} for part in parts]
    assert [len(part) for part in clips] == [60, 4, 6] and len(set.union(*clips)) == 70
    frames = [{pair.tobytes() for clip in part for pair in clip} for part in parts]
    assert len(set.union(*frames)) == 70 * 12
    assert splits.probe is splits.train


def test_another_seed_of_the_data_set_gives_other_sequences_and_hues(splits, batch):
    other = ThreeBody(seed=1, train_size=60, val_size=4, test_size=6).load(Path(), print)
    assert not {row.tobytes() for row in np.asarray(splits.train.data)} & {
        row.tobytes() for row in np.asarray(other.train.data)
    }
    frames = np.asarray(other.train.read(other.train.data, jnp.arange(2)).frames)
    one, another = ({tuple(colour) for colour in seen[..., :3].reshape(-1, 3)} for seen in (batch.frames[:2], frames))
    assert one & another == {(0, 0, 0)}, "but for the background"


def test_by_default_5000_sequences_are_trained_on_and_1000_evaluated():
    default = ThreeBody()
    assert (default.train_size, default.val_size + default.test_size) == (5000, 1000)


def test_a_frame_is_ten_steps_of_a_fifth_in_which_bodies_move_by_their_new_velocities():
    x, v = three_body.starts(np.random.default_rng(0), 3)
    places, velocities = trajectory(x, v, 20)
    for t in range(3):
        np.testing.assert_allclose(places[:, 10 * t], x)
        np.testing.assert_allclose(velocities[:, 10 * t], v)
        for _ in range(10):
            v = v + 0.2 * attraction(x)
            x = x + 0.2 * v


def test_a_sequence_in_which_bodies_meet_between_frames_is_drawn_again():
    places, _ = trajectory(*three_body.starts(np.random.default_rng(0), 2000), 120)
    between = ~three_body.acceptable(places) & three_body.acceptable(places[:, ::10])
    assert between.any()
    kept = ThreeBody().pairs(2000)[:, :, 1] / 64
    met = places[between, 10::10]
    gaps = [np.abs(kept - sequence).max((1, 2, 3)).min() for sequence in met]
    assert min(gaps) > 0.01


def test_200_sequences_tune_and_800_test():
    assert (ThreeBody().val_size, ThreeBody().test_size) == (200, 800)
