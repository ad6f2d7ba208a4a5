"""Summaries over seeds against numbers worked out by hand and against scipy."""

from dataclasses import astuple

import numpy as np
import pytest

from benchmark.report.statistics import Summary, differences, holm, in_standard_errors, paired, summarise, welch


def test_three_values_by_hand():
    # Deviations -1, 0, 1: variance 2 / 2, standard error sqrt(1 / 3).
    assert astuple(summarise([1.0, 2.0, 3.0])) == (2.0, pytest.approx(3**-0.5), 3)


def test_differences_are_of_means_over_shared_seeds_for_three_data_sets_and_of_each_pair_for_fewer():
    one, other = {0: [1.0, 2.0, 3.0], 1: [2.0, 4.0, 6.0], 2: [9.0, 9.0, 9.0]}, {1: [0.0, 1.0, 2.0], 0: [0.0, 0.0, 0.0]}
    assert differences(one, other) == [1.5, 2.5, 3.5]
    first_two = ({seed: values[:2] for seed, values in each.items()} for each in (one, other))
    assert differences(*first_two) == [1.0, 2.0, 2.0, 3.0]
    assert differences(one, {7: [0.0, 0.0, 0.0]}) == []


def test_the_standard_error_of_two_seeds_is_too_uncertain_for_a_distance():
    assert in_standard_errors(Summary(0.7, 0.1, 2), 0.5, None) is None
    assert in_standard_errors(Summary(0.7, 0.1, 3), 0.5, None) == pytest.approx(2)


def test_one_value_has_no_spread_and_no_interval():
    summary = summarise([0.4])
    assert summary == Summary(0.4, None, 1)
    assert summary.interval() is None


def test_no_value_has_no_summary():
    assert summarise([]) is None


def test_equal_values_have_standard_error_zero():
    assert astuple(summarise([0.1] * 7)) == (pytest.approx(0.1), pytest.approx(0, abs=1e-15), 7)


@pytest.mark.parametrize("value", [0.1, 0.7, 901 / 992])
def test_equal_values_are_in_no_distance_from_a_paper_counted_in_errors_of_rounding(value):
    assert in_standard_errors(summarise([value] * 3), 0.5, None) is None


def test_interval_of_three_is_4_303_standard_errors_wide():
    low, high = Summary(1.0, 0.5, 3).interval()
    assert (low, high) == (pytest.approx(1 - 4.30265 * 0.5, abs=1e-4), pytest.approx(1 + 4.30265 * 0.5, abs=1e-4))


def test_summary_is_that_of_scipy():
    from scipy.stats import sem, ttest_1samp

    values = np.random.default_rng(0).normal(size=9)
    summary = summarise(values.tolist())
    assert summary.se == pytest.approx(sem(values))
    expected = ttest_1samp(values, 0).confidence_interval(0.9)
    assert summary.interval(0.9) == pytest.approx((expected.low, expected.high))


def test_paired_and_welch_p_values_are_those_of_scipy():
    from scipy.stats import ttest_ind, ttest_rel

    random = np.random.default_rng(1)
    one, other = random.normal(0, 1, 6), random.normal(0.8, 2, 6)
    assert paired((one - other).tolist()) == pytest.approx(ttest_rel(one, other).pvalue)
    found = welch(summarise(one.tolist()), summarise(other[:4].tolist()))
    assert found == pytest.approx(ttest_ind(one, other[:4], equal_var=False).pvalue)


def test_paired_by_hand():
    # Mean 2 of 1, 2, 3 with standard error 1 / sqrt(3): t = 3.4641 with 2 degrees, where p = 1 - t / sqrt(t^2 + 2).
    assert paired([1.0, 2.0, 3.0]) == pytest.approx(1 - 12**0.5 / 14**0.5)


def test_two_pairs_or_one_seed_are_too_few_to_test():
    assert paired([1.0, 1.1]) is None
    assert welch(Summary(1.0, None, 1), Summary(2.0, 0.1, 3)) is None


def test_differences_without_spread_leave_no_doubt():
    assert paired([0.1, 0.1, 0.1]) == 0
    assert paired([0.0, 0.0, 0.0]) == 1
    assert welch(Summary(1.0, 0.0, 3), Summary(1.0, 0.0, 3)) == 1


def test_holm_by_hand():
    # Sorted .01, .02, .03, .04 times 4, 3, 2, 1: .04, .06, .06, .04; never below the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_the_distance_from_a_paper_is_in_combined_standard_errors():
    assert in_standard_errors(Summary(5.0, 3.0, 3), 10.0, 4.0) == -1
    assert in_standard_errors(Summary(0.5, 0.1, 3), 0.3, None) == pytest.approx(2)
    assert in_standard_errors(Summary(0.5, None, 1), 0.3, 0.1) is None
    assert in_standard_errors(Summary(0.5, 0.0, 3), 0.3, None) is None


def test_a_t_interval_of_three_seeds_covers_the_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    intervals = [summarise(sample.tolist()).interval() for sample in random.normal(size=(4000, 3))]
    assert np.mean([low < 0 < high for low, high in intervals]) == pytest.approx(0.95, abs=0.01)
