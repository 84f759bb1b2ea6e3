from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from ssal.evaluation.significance import (
    EXACT_UP_TO,
    PATTERNS,
    detectable_difference,
    effect_size,
    holm,
    more_seeds,
    needed_to_reject,
    sign_flip_test,
    smallest_p,
)
from ssal.evaluation.statistics import paired_interval


@pytest.mark.parametrize(("n", "p"), [(3, 0.25), (5, 0.0625), (6, 0.031), (8, 0.0078), (10, 0.0020), (20, 2e-6)])
def test_smallest_p_of_the_sign_flip_test(n, p):
    found = sign_flip_test(np.linspace(0.01, 0.05, n))
    assert found.p == smallest_p(n) == pytest.approx(p, rel=0.06)
    assert (found.n, found.method, found.patterns) == (n, "exact", 2**n)
    assert sign_flip_test(-np.linspace(0.01, 0.05, n)).p == found.p


def test_sign_flip_test_by_hand():
    # 8 patterns of 1, 2, 4: sums of 5 and more, either way, are +-(1+2+4) and +-(-1+2+4)
    assert sign_flip_test([-1, 2, 4]).p == 4 / 8
    assert sign_flip_test([1, 1, -1]).p == 1.0  # any pattern has a sum of 1 or more
    assert sign_flip_test([0.0, 0.0]).p == sign_flip_test([0.3, -0.3]).p == sign_flip_test([0.3]).p == 1.0
    assert sign_flip_test([0.0, 0.1, 0.1, 0.1]).p == 0.25  # a zero stays in and changes nothing


def test_ties_are_counted_although_sums_of_floats_are_not_equal():
    values = [0.1, 0.2, 0.3, -0.3, 0.6]
    whole = sign_flip_test([1, 2, 3, -3, 6]).p
    assert sum(values) != 0.9 and sign_flip_test(values).p == whole
    assert all(sign_flip_test(order).p == whole for order in itertools.permutations(values))


@pytest.mark.parametrize("n", [2, 3, 5, 9, 12])
def test_exact_sign_flip_test_equals_scipy(n):
    draw = np.random.default_rng(n)
    for shift in (0.0, 0.5, -1.0):
        values = draw.normal(shift, 1, n).round(2)
        expected = stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf)
        assert sign_flip_test(values).p == pytest.approx(expected.pvalue)


def test_many_differences_are_tested_with_drawn_patterns_and_never_give_zero():
    draw = np.random.default_rng(2)
    values = draw.normal(0.3, 1, 50)
    found = sign_flip_test(values)
    assert (found.method, found.patterns, found.n) == ("monte carlo", PATTERNS, 50)
    options = {"permutation_type": "samples", "n_resamples": 50_000, "rng": draw, "vectorized": True}
    assert found.p == pytest.approx(stats.permutation_test((values,), np.sum, **options).pvalue, abs=0.006)
    assert sign_flip_test(values) == found, "the patterns come from a stream of their own"
    assert sign_flip_test(np.ones(EXACT_UP_TO + 1)).p == 1 / (PATTERNS + 1)
    assert sign_flip_test(np.zeros(EXACT_UP_TO + 1)).p == 1.0


def test_drawn_and_counted_patterns_agree(monkeypatch):
    values = np.random.default_rng(4).normal(0.3, 1, 16)
    exact = sign_flip_test(values).p
    monkeypatch.setattr("ssal.evaluation.significance.EXACT_UP_TO", 10)
    drawn = sign_flip_test(values)
    assert drawn.method == "monte carlo"
    assert drawn.p == pytest.approx(exact, abs=4 * (exact * (1 - exact) / PATTERNS) ** 0.5)


@pytest.mark.parametrize("broken", [[], [0.1, float("nan")], [float("inf")]])
def test_sign_flip_test_refuses_what_is_no_number(broken):
    with pytest.raises(ValueError, match="finite"):
        sign_flip_test(broken)


def test_holm_on_the_worked_example():
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then never below an earlier one
    found = holm({"d": 0.04, "a": 0.01, "c": 0.03, "b": 0.02})
    assert list(found) == ["d", "a", "c", "b"]
    assert found == pytest.approx({"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.06})
    assert holm({"one": 0.03}) == {"one": 0.03} and holm({}) == {}
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": 0.01, "b": 0.01}) == {"a": 0.02, "b": 0.02}


def test_holm_rejects_what_stepping_down_by_hand_rejects():
    draw = np.random.default_rng(0)
    for _ in range(100):
        p = dict(enumerate(draw.uniform(0, 0.06, 6)))
        rejected = set()
        for rank, name in enumerate(sorted(p, key=p.get)):
            if p[name] > 0.05 / (6 - rank):
                break
            rejected.add(name)
        assert {name for name, value in holm(p).items() if value <= 0.05} == rejected


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (2, 7), (5, 8), (10, 9), (15, 10), (20, 10)])
def test_seeds_needed_to_reject_at_all_after_holm(comparisons, seeds):
    assert needed_to_reject(comparisons) == seeds
    arms = [str(arm) for arm in range(comparisons)]
    assert max(holm(dict.fromkeys(arms, smallest_p(seeds))).values()) <= 0.05
    assert min(holm(dict.fromkeys(arms, smallest_p(seeds - 1))).values()) > 0.05


def test_effect_size_by_hand():
    found = effect_size(paired_interval([0.03, 0.02, 0.01, 0.03, 0.03]))  # mean 0.024, SD 0.0089443
    assert found.cohens_d_z == pytest.approx(2.68328, abs=1e-5)
    # gamma(2) / (sqrt(2) gamma(3/2)) = 1 / (1.414214 * 0.886227) = 0.797885
    assert found.hedges_g == pytest.approx(2.68328 * 0.797885, abs=1e-5)
    assert effect_size(paired_interval([0.1])) == (None, None)
    assert effect_size(paired_interval([0.84 - 0.83, 0.83 - 0.82])) == (None, None)
    assert effect_size(paired_interval([0.1, 0.3])) == (pytest.approx(2**0.5), None)


def test_hedges_g_is_right_on_average_and_d_z_is_not():
    runs = np.random.default_rng(1).normal(1, 1, size=(4000, 6))
    sizes = [effect_size(paired_interval(run)) for run in runs]
    assert np.mean([size.hedges_g for size in sizes]) == pytest.approx(1, abs=0.03)
    assert np.mean([size.cohens_d_z for size in sizes]) > 1.15


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


@pytest.mark.parametrize("seeds", [3, 5, 6, 8, 10, 20, 50])
def test_more_seeds_is_the_inverse_of_the_detectable_difference(seeds):
    sd, difference = 0.01, detectable_difference(0.01, seeds)
    assert more_seeds(sd, seeds, difference * 1.0001) == 0
    assert more_seeds(sd, 3, difference * 1.0001) == seeds - 3
    assert more_seeds(sd, 3, difference * 0.9999) == seeds - 2


def test_more_seeds_by_the_table():
    # a difference of one SD needs 10 seeds, of 0.66 SD 20, of 1.68 SD 5
    assert [more_seeds(1.0, 3, shift) for shift in (1.005, 0.664, 1.685)] == [7, 17, 2]
    assert more_seeds(0.0, 4, 0.01) == 0 and more_seeds(0.0, 1, 0.01) == 1
    assert more_seeds(0.04, 10, 0.01) == pytest.approx((1.96 + 0.8416) ** 2 * 16 + 1.92 - 10, abs=1.5)
    for broken in (0.0, -0.01):
        with pytest.raises(ValueError, match="above 0"):
            more_seeds(0.01, 5, broken)
    with pytest.raises(ValueError, match="seeds can show"):
        more_seeds(1.0, 5, 1e-6)
