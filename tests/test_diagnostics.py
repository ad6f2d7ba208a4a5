"""The diagnostics of collapse: known cases, and slow versions of each formula."""

from math import exp, log, sqrt

import jax
import numpy as np
import pytest
from tiny import Tiny

from benchmark.types import Frozen, Labels
from probes.diagnostics import Diagnostics, effective_rank, slot_correlation, slot_usage, temporal_variance

SPEC = Tiny().spec()


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


SLOTS = normal(30, 3, 4) * np.array([1.0, 2.0, 0.5])[:, None] + 5


def frozen(slots, valid=None):
    """Slots [i t k d] as an encoder leaves them."""
    valid = np.ones(slots.shape[:2], bool) if valid is None else valid
    return Frozen(slots.astype(np.float32), Labels(np.zeros((*slots.shape[:2], 4), np.float32)), valid, SPEC)


def asked(slots, valid=None, **fields):
    """The four measures by name, and the notes."""
    split = frozen(slots, valid)
    result = Diagnostics(**fields)(split, split, split, jax.random.key(0))
    assert all(m.target == "slots" and m.higher_is_better is None and m.split == "test" for m in result.metrics)
    return {m.metric: m.value for m in result.metrics}, result.notes


def entropy(weights):
    return -sum(w / sum(weights) * log(w / sum(weights)) for w in weights if w > 0)


def test_effective_rank_is_the_exponential_of_the_entropy_of_the_singular_values():
    matrix = (SLOTS - SLOTS.mean(0)).reshape(30, 12)
    eigenvalues = np.linalg.eigvalsh(matrix.T @ matrix)
    assert effective_rank(SLOTS) == pytest.approx(exp(entropy([sqrt(v) for v in eigenvalues])), rel=1e-9)


def test_effective_rank_counts_directions():
    direction, when = normal(3, 4), np.linspace(-1, 1, 40)
    assert effective_rank(when[:, None, None] * direction + 7) == pytest.approx(1, abs=1e-6)
    orthonormal = np.linalg.qr(normal(40, 13) - normal(40, 13).mean(0))[0]
    centred = np.linalg.qr(orthonormal - orthonormal.mean(0))[0][:, :12]
    assert effective_rank(centred.reshape(40, 3, 4)) == pytest.approx(12)


def test_slot_correlation_is_the_mean_absolute_pearson_correlation_of_all_pairs():
    pairs = [(k, j, d) for k in range(3) for j in range(k) for d in range(4)]
    expected = np.mean([abs(np.corrcoef(SLOTS[:, k, d], SLOTS[:, j, d])[0, 1]) for k, j, d in pairs])
    assert slot_correlation(SLOTS) == pytest.approx(expected, rel=1e-9)


def test_slot_correlation_of_copies_is_1_whatever_their_scale_sign_and_offset():
    one = normal(30, 1, 4)
    copies = one * np.array([1.0, -3.0, 1e-3])[:, None] + np.array([0.0, 9.0, -1.0])[:, None]
    assert slot_correlation(copies) == pytest.approx(1)
    assert slot_correlation(normal(20_000, 3, 4)) == pytest.approx(0, abs=0.02)


def test_slot_correlation_leaves_out_what_does_not_vary():
    some = SLOTS.copy()
    some[:, 2] = 0.1
    some[:, 0, 1] = 0.3
    expected = np.mean([abs(np.corrcoef(SLOTS[:, 0, d], SLOTS[:, 1, d])[0, 1]) for d in (0, 2, 3)])
    assert slot_correlation(some) == pytest.approx(expected, rel=1e-9)


def test_temporal_variance_is_the_share_within_clips_by_hand():
    # Clip means 1 and 5, each one away from its two frames; the grand mean is 3. Within 4, between 4 * 4.
    slots = np.array([[0.0, 2.0], [4.0, 6.0]])[:, :, None, None]
    assert temporal_variance(slots, np.ones((2, 2), bool)) == pytest.approx(4 / 20)


def test_temporal_variance_counts_valid_frames_only():
    slots, valid = normal(4, 5, 3, 2), np.ones((4, 5), bool)
    valid[1, 3:], valid[2] = False, False
    clips = [slots[0], slots[1, :3], slots[3]]
    frames = np.concatenate(clips)
    within = sum(((frame - clip.mean(0)) ** 2).sum() for clip in clips for frame in clip)
    total = sum(((frame - frames.mean(0)) ** 2).sum() for frame in frames)
    slots[~valid] = 1e6
    assert temporal_variance(slots, valid) == pytest.approx(within / total)


@pytest.mark.parametrize(("moves", "expected"), [(False, 0), (True, 1)])
def test_temporal_variance_of_still_and_of_alike_clips(moves, expected):
    slots = np.broadcast_to(normal(1, 5, 3, 2) if moves else normal(4, 1, 3, 2), (4, 5, 3, 2))
    assert temporal_variance(slots, np.ones((4, 5), bool)) == pytest.approx(expected, abs=1e-12)


def test_slot_usage_is_the_number_of_slots_that_share_the_variance():
    variances = [SLOTS[:, k].var(0).sum() for k in range(3)]
    assert slot_usage(SLOTS) == pytest.approx(exp(entropy(variances)) / 3)
    alone = SLOTS.copy()
    alone[:, 1:] = 0.1
    assert slot_usage(alone) == pytest.approx(1 / 3)
    assert slot_usage(np.tile(normal(30, 1, 4), (1, 3, 1))) == pytest.approx(1)


def test_an_encoder_that_gives_the_same_slots_for_every_frame_is_collapsed():
    found, notes = asked(np.broadcast_to(normal(3, 4), (6, 5, 3, 4)))
    assert notes["collapsed"] == "slots are constant" and notes["constant_slots"] == 3
    assert set(found.values()) == {None}


def test_constant_slots_are_seen_through_rounding_noise():
    noise = 1e-6 * normal(6, 5, 3, 4)
    assert asked(normal(3, 4) + noise)[1]["collapsed"] == "slots are constant"
    assert asked(normal(3, 4) + 1e4 * noise)[1]["collapsed"] is None


def test_copies_of_one_slot_are_collapsed():
    found, notes = asked(np.tile(normal(6, 5, 1, 4), (1, 1, 3, 1)) + normal(3, 4))
    assert notes["collapsed"] == "all slots are copies of one another (correlation 1)"
    assert found["slot_correlation"] == pytest.approx(1) and found["slot_usage"] == pytest.approx(1)
    assert 1.05 < found["effective_rank"] <= 4 + 1e-6


def test_slots_along_one_direction_are_collapsed():
    found, notes = asked(normal(6, 5, 1, 1) * normal(3, 4))
    assert notes["collapsed"] == "slots vary along one direction (effective rank 1)"
    assert found["effective_rank"] == pytest.approx(1, abs=1e-4)


def test_slots_that_differ_are_not_collapsed():
    found, notes = asked(normal(60, 5, 3, 4))
    assert notes == {"collapsed": None, "constant_slots": 0, "frames": 300}
    assert 11 < found["effective_rank"] <= 12 and found["slot_correlation"] < 0.15
    assert 0.7 < found["temporal_variance"] < 0.9 and found["slot_usage"] > 0.95


def test_one_constant_slot_is_counted_and_does_not_collapse_the_run():
    slots = normal(60, 5, 3, 4)
    slots[..., 1, :] = 0.7
    found, notes = asked(slots)
    assert notes["collapsed"] is None and notes["constant_slots"] == 1
    assert found["slot_usage"] == pytest.approx(2 / 3, abs=0.02)


def test_a_single_slot_has_no_correlation_and_is_no_copy():
    found, notes = asked(normal(6, 5, 1, 4))
    assert found["slot_correlation"] is None and found["slot_usage"] == 1 and notes["collapsed"] is None


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_said_of_fewer_than_two_frames(count):
    valid = np.zeros((6, 5), bool)
    valid[0, :count] = True
    found, notes = asked(normal(6, 5, 3, 4), valid)
    assert set(found.values()) == {None} and notes["collapsed"] is None


def test_the_thresholds_are_fields():
    slots = normal(60, 5, 3, 4)
    assert "direction" in asked(slots, rank=12)[1]["collapsed"]
    assert "copies" in asked(slots, correlation=0.0)[1]["collapsed"]


def test_a_slot_is_constant_by_its_own_scale():
    slots = normal(60, 5, 3, 4) * np.array([1.0, 1.0, 1e-6])[:, None]
    assert asked(slots)[1]["constant_slots"] == 0


def test_constant_is_what_varies_by_a_ten_thousandth_of_its_size():
    still, noise = normal(3, 4), normal(6, 5, 3, 4, seed=1)
    scale = np.sqrt(np.square(still).mean(-1, keepdims=True))
    assert asked(still + 1e-3 * scale * noise)[1]["constant_slots"] == 0
    assert asked(still + 5e-5 * scale * noise)[1]["constant_slots"] == 3


def test_slots_are_constant_whatever_stands_where_frames_do_not_count():
    slots, valid = np.broadcast_to(normal(3, 4), (6, 5, 3, 4)).copy(), np.ones((6, 5), bool)
    slots[2], valid[2] = 7, False
    assert asked(slots, valid)[1]["collapsed"] == "slots are constant"


def test_a_slot_is_constant_by_the_variance_of_all_its_elements():
    slots = np.ones((6, 5, 1, 4))
    slots[..., 0] += 1.5e-4 * np.where(np.arange(30).reshape(6, 5, 1) % 2, 1, -1)  # 0.75e-4 over four elements
    assert asked(slots)[1]["constant_slots"] == 1
    slots[..., 1] = slots[..., 2] = slots[..., 0]
    assert asked(slots)[1]["constant_slots"] == 0
