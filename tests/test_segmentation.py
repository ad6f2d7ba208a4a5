"""FG-ARI and mBO: known answers, and scikit-learn's adjusted Rand index."""

import numpy as np
import pytest

from probes.segmentation import fg_ari, hard_segments, mean_best_overlap

RNG = np.random.default_rng(0)
TRUTH = np.repeat([0, 1, 2, 3], [60, 20, 15, 5])
ONE_OBJECT = np.minimum(TRUTH, 1)
SPLIT_BY_A_PIXEL = np.where(np.arange(100) == 99, 2, ONE_OBJECT)
BACKGROUND_SPLIT = np.where(TRUTH == 0, RNG.integers(0, 4, 100), TRUTH)


@pytest.mark.parametrize(
    ("truth", "segments", "expected"),
    [
        pytest.param(TRUTH, TRUTH, 1, id="perfect"),
        pytest.param(TRUTH, (TRUTH + 2) % 4, 1, id="perfect under other numbers"),
        pytest.param(TRUTH, BACKGROUND_SPLIT, 1, id="background split at random"),
        pytest.param(TRUTH, np.zeros(100, int), 0, id="everything in one slot"),
        pytest.param(TRUTH, ONE_OBJECT, 0, id="objects merged, background apart"),
        pytest.param(ONE_OBJECT, SPLIT_BY_A_PIXEL, 0, id="one object split by a pixel"),
        pytest.param(ONE_OBJECT, TRUTH, 0, id="one object in three slots"),
    ],
)
def test_fg_ari_of_known_cases(truth, segments, expected):
    score = fg_ari(truth, segments)
    assert score.defined and score.values == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("truth", "segments"),
    [
        pytest.param(ONE_OBJECT, ONE_OBJECT, id="one object in one slot"),
        pytest.param(ONE_OBJECT, np.where(ONE_OBJECT == 0, BACKGROUND_SPLIT, 1), id="whatever the background does"),
        pytest.param(np.zeros(100, int), TRUTH, id="no object"),
        pytest.param(np.arange(4), np.arange(4), id="objects of one pixel, apart"),
        pytest.param(np.arange(4), np.zeros(4, int), id="objects of one pixel, merged"),
    ],
)
def test_fg_ari_is_undefined_where_nothing_can_be_told(truth, segments):
    score = fg_ari(truth, segments)
    assert not score.defined and np.isnan(score.values)


def test_fg_ari_equals_scikit_learn_on_the_foreground():
    from sklearn.metrics import adjusted_rand_score

    truth, segments = RNG.integers(0, 4, (5, 6, 50)), RNG.integers(0, 5, (5, 6, 50))
    segments = np.where(RNG.random(truth.shape) < 0.5, truth, segments)
    scores = fg_ari(truth, segments)
    for frame in np.ndindex(5, 6):
        seen = truth[frame] > 0
        expected = adjusted_rand_score(truth[frame][seen], segments[frame][seen])
        assert scores.defined[frame] and scores.values[frame] == pytest.approx(expected, abs=1e-12)


def test_fg_ari_counts_large_frames_exactly():
    truth = np.repeat([1, 2], 2**20)
    assert fg_ari(truth, truth - 1).values == 1
    assert fg_ari(truth, np.zeros(2**21, int)).values == 0


def test_background_would_hide_that_objects_are_merged():
    from sklearn.metrics import adjusted_rand_score

    truth = np.repeat([0, 1, 2, 3], [970, 10, 10, 10])
    merged = np.minimum(truth, 1)
    assert adjusted_rand_score(truth, merged) > 0.95 and fg_ari(truth, merged).values == pytest.approx(0, abs=1e-12)


def test_mean_best_overlap_of_known_cases():
    assert mean_best_overlap(TRUTH, TRUTH).values == 1
    # Objects of 20, 15 and 5 pixels in one segment of 100, then in one of 40.
    assert mean_best_overlap(TRUTH, np.zeros(100, int)).values == pytest.approx((0.20 + 0.15 + 0.05) / 3)
    assert mean_best_overlap(TRUTH, ONE_OBJECT).values == pytest.approx((20 / 40 + 15 / 40 + 5 / 40) / 3)


def test_mean_best_overlap_charges_for_background_in_a_segment():
    assert mean_best_overlap(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])).values == pytest.approx(2 / 3)


def test_mean_best_overlap_equals_a_loop_over_objects_and_segments():
    truth, segments = RNG.integers(0, 4, (7, 30)), RNG.integers(0, 3, (7, 30))
    for frame, value in enumerate(mean_best_overlap(truth, segments).values):
        masks = [truth[frame] == j for j in range(1, 4) if (truth[frame] == j).any()]
        pieces = [segments[frame] == k for k in range(3)]
        best = [max((m & p).sum() / (m | p).sum() for p in pieces) for m in masks]
        assert value == pytest.approx(np.mean(best))


def test_mean_best_overlap_is_undefined_without_objects_and_ignores_hidden_ones():
    score = mean_best_overlap(np.array([[0, 0, 0], [0, 2, 2]]), np.array([[0, 0, 1], [0, 1, 1]]))
    assert score.defined.tolist() == [False, True]
    assert np.isnan(score.values[0]) and score.values[1] == 1


def test_hard_segments_are_the_slots_with_the_largest_mask():
    masks = np.array([[0.2, 0.5, 0.1], [0.7, 0.1, 0.1], [0.1, 0.4, 0.8]])
    assert hard_segments(masks[None]).tolist() == [[1, 0, 2]]


def test_the_mean_is_over_the_frames_where_it_is_defined():
    """Two frames have 1 and one has 0; the last has no object."""
    truth = np.array([[1, 1, 2, 2]] * 3 + [[0, 0, 0, 0]])
    segments = np.array([[0, 0, 1, 1]] * 2 + [[0, 0, 0, 0]] * 2)
    assert fg_ari(truth, segments).mean == pytest.approx(2 / 3)
