from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ssal.evaluation.statistics import (
    aubc,
    detectable_difference,
    label_efficiency,
    labels_needed,
    paired_differences,
    paired_interval,
)

RANDOM = [0.80, 0.82, 0.81, 0.79, 0.80]
ACTIVE = [0.83, 0.84, 0.82, 0.82, 0.83]


def test_paired_interval_on_the_worked_example():
    found = paired_interval(np.subtract(ACTIVE, RANDOM))
    assert found.mean == pytest.approx(0.024)
    assert found.sd == pytest.approx(0.0089443, abs=1e-7)
    assert found.n == 5 and found.excludes_zero
    statistic = found.mean / (found.sd / math.sqrt(5))
    assert statistic == pytest.approx(6.0)
    assert 2 * stats.t.sf(statistic, 4) == pytest.approx(0.0038825, abs=1e-7)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_paired_interval_equals_scipy(level, seeds):
    random = np.random.default_rng(seeds)
    before, after = random.normal(size=seeds), random.normal(size=seeds)
    found = paired_interval(after - before, level)
    expected = stats.ttest_rel(after, before).confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_interval_excludes_zero_exactly_where_the_two_sided_test_rejects():
    """A one-sided quantile, n degrees of freedom or ddof 0 would each reject more often than this."""
    random = np.random.default_rng(0)
    rejected = 0
    for _ in range(300):
        values = random.normal(0.8, 1, size=5)
        found = paired_interval(values)
        assert found.excludes_zero == (stats.ttest_1samp(values, 0).pvalue < 0.05)
        rejected += found.excludes_zero
    assert 30 < rejected < 270


def test_one_seed_has_no_interval_and_equal_differences_have_a_point():
    assert paired_interval([0.1])[:3] == (0.1, None, None)
    assert not paired_interval([0.1]).excludes_zero
    assert not paired_interval([0.0, 0.0, 0.0]).excludes_zero
    assert paired_interval([0.25, 0.25]).excludes_zero
    for broken in ([], [0.1, math.nan]):
        with pytest.raises(ValueError, match="finite"):
            paired_interval(broken)


def test_pairs_are_joined_by_seed_and_labels_not_by_row():
    """Row order, a missing run, and a run the other arm lacks must neither shift a pair nor make one."""
    baseline = {(0, 20): 0.5, (1, 20): 0.6, (2, 20): 0.7, (0, 40): 0.8, (5, 40): 0.1}
    treatment = {(2, 20): 0.71, (0, 40): 0.84, (0, 20): 0.53, (1, 40): 0.9, (4, 20): 0.9}
    found = paired_differences(baseline, treatment)
    assert list(found) == [20, 40]
    assert found[20] == pytest.approx({0: 0.03, 2: 0.01}) and found[40] == pytest.approx({0: 0.04})
    reordered = paired_differences(dict(reversed(baseline.items())), dict(sorted(treatment.items())))
    assert reordered == found and [list(by_seed) for by_seed in reordered.values()] == [[0, 2], [0]]


def test_aubc_on_the_worked_example():
    assert aubc([100, 200, 300], [0.5, 0.6, 0.8]) == pytest.approx(0.625)
    assert aubc([100, 200, 300], [0.5, 0.6, 0.8], log=True) == pytest.approx(0.605361, abs=1e-6)
    assert aubc([40], [0.7]) == 0.7


def test_aubc_follows_label_counts_that_are_not_equally_spaced():
    labels, scores = [10, 20, 110], [0.2, 0.6, 0.8]
    assert aubc(labels, scores) == pytest.approx((10 * 0.4 + 90 * 0.7) / 100)
    assert aubc(labels, scores) != pytest.approx(np.trapezoid(scores, dx=0.5), abs=0.05)
    assert aubc([0, 1, 3], [1 / 3, 1 / 3, 1 / 3]) == pytest.approx(1 / 3, abs=1e-15)  # not rounded to three digits


@pytest.mark.parametrize(
    ("labels", "scores"), [([20, 10], [0.1, 0.2]), ([10, 10], [0.1, 0.2]), ([], []), ([10], [0.1, 0.2])]
)
def test_aubc_refuses_what_is_not_a_curve(labels, scores):
    with pytest.raises(ValueError, match="increase"):
        aubc(labels, scores)
    with pytest.raises(ValueError, match="increase"):
        aubc([0, 10], [0.1, 0.2], log=True)


def test_label_efficiency_on_the_worked_example():
    random = ([100, 200, 300], [0.5, 0.6, 0.7])
    assert label_efficiency(random, ([100, 150, 200], [0.5, 0.65, 0.7]), 0.65) == pytest.approx(1.6667, abs=1e-4)
    assert label_efficiency(random, ([100, 300], [0.5, 0.55]), 0.65) is None
    assert label_efficiency(([100, 300], [0.5, 0.55]), random, 0.65) is None


def test_labels_needed_makes_the_curve_monotone_first():
    labels, scores = [10, 20, 30, 40], [0.5, 0.7, 0.6, 0.8]
    assert labels_needed(labels, scores, 0.7) == 20
    assert labels_needed(labels, scores, 0.75) == pytest.approx(35)  # from the running maximum .7, not from the dip
    assert labels_needed(labels, scores, 0.4) == 10
    assert labels_needed(labels, scores, 0.81) is None
    assert labels_needed([10, 20, 30], [0.5, 0.5, 0.6], 0.5) == 10


@pytest.mark.parametrize(
    ("seeds", "ratio"), [(3, 3.26), (5, 1.68), (6, 1.43), (8, 1.16), (10, 1.00), (20, 0.66), (50, 0.40)]
)
def test_detectable_difference_per_number_of_seeds(seeds, ratio):
    assert detectable_difference(1.0, seeds) == pytest.approx(ratio, abs=0.006)
    assert detectable_difference(0.02, seeds) == pytest.approx(0.02 * ratio, abs=2e-4)


def test_detectable_difference_is_found_four_times_in_five():
    random, seeds = np.random.default_rng(1), 8
    runs = random.normal(detectable_difference(1.0, seeds), 1, size=(4000, seeds))
    assert np.mean(stats.ttest_1samp(runs, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.02)
