"""Aggregates over data sets against slow references, SciPy and answers known beforehand."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import rankdata, trim_mean

from benchmark.report.bootstrap import (
    NUM_DRAWS,
    Estimate,
    average_rank,
    bootstrap,
    iqm,
    probability_of_improvement,
    profile,
    resampled,
)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def test_the_interquartile_mean_of_a_multiple_of_four_is_scipys_trimmed_mean(random):
    scores = random.normal(size=(4, 5))
    assert iqm(scores) == pytest.approx(trim_mean(scores.ravel(), 0.25))


def test_a_score_that_the_cut_goes_through_counts_in_part():
    # Of five, 1.25 are cut off at each end: 0.75 of the second, all of the third, 0.75 of the fourth.
    assert iqm(np.array([[100.0, 2.0, 1.0, 3.0, -100.0]])) == pytest.approx((0.75 * 1 + 2 + 0.75 * 3) / 2.5)
    assert iqm(np.array([[7.0]])) == 7


def test_one_outlier_does_not_move_the_interquartile_mean():
    scores = np.arange(8.0).reshape(2, 4)
    changed = np.where(scores == 7, 1e9, scores)
    assert iqm(scores) == iqm(changed) == 3.5


def test_improvement_is_the_share_of_pairs_won(random):
    ours, theirs = random.integers(0, 4, (3, 5)) * 1.0, random.integers(0, 4, (2, 5)) * 1.0
    won = [
        np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in ours[:, d] for b in theirs[:, d]]) for d in range(5)
    ]
    assert probability_of_improvement(ours, theirs) == pytest.approx(np.mean(won))


def test_improvement_over_what_is_always_worse_is_certain_and_over_itself_a_toss():
    scores = np.arange(6.0).reshape(2, 3)
    assert probability_of_improvement(scores + 10, scores) == 1
    assert probability_of_improvement(scores, scores + 10) == 0
    assert probability_of_improvement(scores, scores) == 0.5


def test_ranks_are_those_of_scipy_with_ties_in_the_middle(random):
    samples = [random.integers(0, 3, (1, 8)) * 1.0 for _ in range(5)]
    expected = rankdata(-np.stack([sample[0] for sample in samples]), axis=0).mean(1)
    assert [average_rank(i, *samples) for i in range(5)] == pytest.approx(expected.tolist())


def test_a_profile_counts_the_scores_above_each_level():
    scores = np.array([[0.1, 0.5], [0.6, 0.9]])
    assert profile(scores, np.array([0.0, 0.5, 0.9])).tolist() == [1, 0.5, 0]


def test_draws_keep_to_their_data_set_and_come_the_same_each_time(random):
    sample = random.normal(size=(3, 4))
    (draws,), (again,) = resampled([sample]), resampled([sample])
    assert draws.shape == (NUM_DRAWS, 3, 4)
    assert all(set(draws[..., d].ravel()) == set(sample[:, d]) for d in range(4))
    np.testing.assert_array_equal(draws, again)


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says(random):
    sample = random.normal(size=(40, 10))
    found = bootstrap([sample], lambda scores: np.asarray(scores.mean((-2, -1))))
    se = np.sqrt((sample.var(0) / 40).sum()) / 10
    assert found.value == pytest.approx(sample.mean())
    assert np.subtract(*found.bounds[::-1]) / (2 * 1.96 * se) == pytest.approx(1, abs=0.06)


def test_the_interval_is_that_of_a_slow_bootstrap(random):
    sample = random.normal(size=(3, 2))
    values = []
    for _ in range(4000):
        drawn = [sample[random.integers(3), d] for d in range(2) for _ in range(3)]
        values.append(np.mean(drawn))
    expected = np.quantile(values, (0.025, 0.975))
    found = bootstrap([sample], lambda scores: np.asarray(scores.mean((-2, -1))))
    assert found.bounds == pytest.approx(expected, abs=0.05)


def test_one_seed_has_no_interval(random):
    one, many = random.normal(size=(1, 4)), random.normal(size=(3, 4))
    assert bootstrap([one], iqm) == Estimate(float(iqm(one)), None)
    assert bootstrap([many, one], probability_of_improvement).bounds is None
    assert bootstrap([many, many], partial(average_rank, 0)).bounds == (1.0, 2.0)
