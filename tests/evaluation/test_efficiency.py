from __future__ import annotations

import numpy as np
import pytest

from ssal.evaluation.efficiency import RESAMPLES, efficiencies, label_efficiency, labels_needed


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


LABELS = [100, 200, 300]


def curves(*rows):
    return np.array(rows, dtype=float)


def test_efficiencies_at_every_label_count_by_hand():
    baseline, treatment = curves(*[[0.5, 0.6, 0.7]] * 5), curves(*[[0.5, 0.7, 0.8]] * 5)
    found = efficiencies(LABELS, baseline, treatment)
    assert [one.labels for one in found] == LABELS
    assert [one.score for one in found] == pytest.approx([0.5, 0.6, 0.7])
    assert [one.treatment_labels for one in found] == pytest.approx([100, 150, 200])
    assert [one.ratio for one in found] == pytest.approx([1, 4 / 3, 1.5])
    for one in found:  # equal seeds: every resample is the same
        assert (one.low, one.high) == pytest.approx((one.ratio, one.ratio))
        assert one.baseline_not_reached == one.treatment_not_reached == 0 and one.n == 5
        assert one.ratio == pytest.approx(label_efficiency((LABELS, baseline[0]), (LABELS, treatment[0]), one.score))


def test_a_dip_of_the_baseline_does_not_make_it_need_more_labels():
    found = efficiencies(LABELS, curves([0.5, 0.7, 0.6]), curves([0.5, 0.6, 0.7]))
    assert [one.score for one in found] == [0.5, 0.7, 0.7] and [one.baseline_labels for one in found] == [100, 200, 200]
    assert found[2].ratio == pytest.approx(2 / 3)


def test_not_reached_is_kept_and_counted():
    """Two of five seeds stay low: how often a mean of five stays under the target is a binomial count."""
    treatment = curves(*[[0.5, 0.6, 0.8]] * 3, *[[0.5, 0.5, 0.5]] * 2)
    baseline = curves(*[[0.5, 0.6, 0.7]] * 5)
    (one,) = efficiencies(LABELS, baseline, treatment, [0.65])
    # the mean's last value is 0.5 + 0.3 * (high rows) / 5: three or more of five rows must be high to reach 0.65
    reach = sum(weight * 0.6**high * 0.4 ** (5 - high) for high, weight in ((3, 10), (4, 5), (5, 1)))
    assert one.labels is None and one.ratio == pytest.approx(250 / (200 + 100 * 0.09 / 0.12))
    assert one.treatment_not_reached == pytest.approx(1 - reach, abs=4 * (reach * (1 - reach) / RESAMPLES) ** 0.5)
    assert one.baseline_not_reached == 0
    assert one.low is None, "the lower end of the interval is a treatment that never gets there"
    assert one.ratio < one.high <= 250 / 100
    (mirrored,) = efficiencies(LABELS, treatment, baseline, [0.65])
    assert mirrored.high is None and mirrored.baseline_not_reached == one.treatment_not_reached
    assert mirrored.low == pytest.approx(1 / one.high)


def test_a_score_that_nobody_reaches_has_no_ratio_and_says_so():
    (one,) = efficiencies(LABELS, curves(*[[0.5, 0.6, 0.7]] * 4), curves(*[[0.5, 0.6, 0.7]] * 4), [0.9])
    assert one[2:5] == (None, None, None) and (one.low, one.high) == (None, None)
    assert one.baseline_not_reached == one.treatment_not_reached == 1


@pytest.mark.parametrize("units", [1, 2])
def test_under_three_units_there_is_no_interval(units):
    (one,) = efficiencies(LABELS, curves(*[[0.5, 0.6, 0.7]] * units), curves(*[[0.5, 0.7, 0.8]] * units), [0.7])
    assert one.ratio == pytest.approx(1.5) and one[6:] == (None, None, None, None)


def test_no_labels_have_no_ratio():
    with pytest.raises(ValueError, match="above 0"):
        efficiencies([0, 10], curves([0.5, 0.6]), curves([0.5, 0.6]))


def test_the_same_rows_are_resampled_in_both_arms():
    """Seeds differ a lot, arms only by half the labels: paired resamples keep that ratio, unpaired ones do not."""
    draw = np.random.default_rng(3)
    luck = draw.normal(0, 0.05, size=(8, 1))
    counts = np.array([100, 200, 400, 800])
    baseline = luck + np.array([0.5, 0.6, 0.7, 0.8])
    treatment = luck + np.array([0.6, 0.7, 0.8, 0.9])
    one = efficiencies(list(counts), baseline, treatment)[2]
    assert (one.low, one.ratio, one.high) == pytest.approx((2, 2, 2))


def test_the_interval_follows_from_the_data_alone():
    draw = np.random.default_rng(0)
    baseline = np.sort(draw.uniform(size=(6, 3)), axis=1)
    treatment = np.sort(draw.uniform(size=(6, 3)), axis=1)
    first = efficiencies(LABELS, baseline, treatment)
    np.random.seed(5)
    assert efficiencies(LABELS, baseline, treatment) == first
    ratios = [one.ratio for one in first if one.ratio]
    assert all(one.low is None or one.low <= one.ratio <= (one.high or np.inf) for one in first if one.ratio) and ratios
