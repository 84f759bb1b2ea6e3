from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ssal.evaluation.statistics import (
    aubc,
    bca_interval,
    independent,
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


def test_log_areas_weigh_the_first_labels_more():
    labels, early, late = [10, 100, 1000], [0.5, 0.8, 0.8], [0.5, 0.5, 0.8]
    assert aubc(labels, early, log=True) - aubc(labels, late, log=True) == pytest.approx(0.15)  # 2 of 4 half-decades
    assert aubc(labels, early) - aubc(labels, late) == pytest.approx(0.15)  # (90 / 2 + 900 / 2) / 990 of 0.3
    assert aubc(labels, early, log=True) == pytest.approx((0.65 + 0.8) / 2)
    assert aubc(labels, early) == pytest.approx((90 * 0.65 + 900 * 0.8) / 990)


@pytest.mark.parametrize("seeds", [12, 30])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_bca_interval_equals_the_formula_with_other_resamples(seeds, level):
    """Efron (1987): quantiles of the resampled means, moved by the bias z0 and the acceleration of the jackknife."""
    draw = np.random.default_rng(seeds)
    values = draw.exponential(size=seeds)
    means = values[draw.integers(seeds, size=(100_000, seeds))].mean(axis=1)
    bias = stats.norm.ppf((means < values.mean()).mean())
    left_out = (values.sum() - values) / (seeds - 1)
    apart = left_out.mean() - left_out
    acceleration = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    ends = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    expected = np.quantile(means, stats.norm.cdf(bias + ends / (1 - acceleration * ends)))
    found = bca_interval(values, level)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.03 * found.sd)
    assert (found.mean, found.sd, found.n) == paired_interval(values)[:1] + paired_interval(values)[3:]


def test_bca_interval_leans_to_the_long_tail_and_covers():
    """The t interval is symmetric; this one is not where differences are skewed."""
    found = bca_interval([0.0, 0.0, 0.01, 0.01, 0.02, 0.02, 0.03, 0.15])
    assert found.high - found.mean > 1.5 * (found.mean - found.low)
    random = np.random.default_rng(5)
    runs = [bca_interval(random.normal(0, 1, 20)) for _ in range(200)]
    assert np.mean([run.low <= 0 <= run.high for run in runs]) == pytest.approx(0.94, abs=0.04)


@pytest.mark.parametrize(
    "values", [[0.1], [0.1, 0.3], [0.02, 0.02, 0.02, 0.02], [0.84 - 0.83, 0.83 - 0.82, 0.5 - 0.49]]
)
def test_bca_interval_says_where_it_is_undefined(values):
    found = bca_interval(values)
    assert found.low is None and found.high is None and found.mean == pytest.approx(np.mean(values))


def test_bca_interval_draws_from_a_stream_of_its_own():
    values = [0.01, 0.03, -0.01, 0.02, 0.05]
    np.random.seed(1)
    first, state = bca_interval(values), np.random.get_state()[1].tolist()
    assert np.random.get_state()[1].tolist() == state
    np.random.seed(2)
    assert bca_interval(values) == first
    shifted = bca_interval([value + 1 for value in values])
    assert (shifted.low, shifted.high) == pytest.approx((first.low + 1, first.high + 1))


def test_seeds_of_one_encoder_are_one_unit():
    by_seed = {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.5, 4: 0.4}
    assert independent(by_seed) == list(by_seed.values())
    assert independent(by_seed, 3) == pytest.approx([0.3, 0.3, 0.3])  # 0 and 3, 1 and 4, 2
    assert independent(by_seed, 9) == list(by_seed.values())
    assert independent(by_seed, 1) == list(by_seed.values())  # one shared encoder: said, not averaged away
    assert independent({1: 0.1, 4: 0.3}, 3) == [0.1, 0.3]
