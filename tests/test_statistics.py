"""Summaries over seeds against numbers worked out by hand and against scipy."""

from dataclasses import astuple

import numpy as np
import pytest

from benchmark.report.statistics import Summary, summarise


def test_three_values_by_hand():
    # Deviations -1, 0, 1: variance 2 / 2, standard error sqrt(1 / 3).
    assert astuple(summarise([1.0, 2.0, 3.0])) == (2.0, pytest.approx(3**-0.5), 3)


def test_one_value_has_no_spread_and_no_interval():
    summary = summarise([0.4])
    assert summary == Summary(0.4, None, 1)
    assert summary.interval() is None


def test_no_value_has_no_summary():
    assert summarise([]) is None


def test_equal_values_have_standard_error_zero():
    assert astuple(summarise([0.1] * 7)) == (pytest.approx(0.1), pytest.approx(0, abs=1e-15), 7)


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
