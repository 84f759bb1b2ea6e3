from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ssal.errors import BadInput
from ssal.evaluation.ranking import critical_difference, friedman, penalties, penalty_matrix

BETTER = {0: 0.80, 1: 0.82, 2: 0.84}
WORSE = {0: 0.70, 1: 0.73, 2: 0.74}


def test_row_beats_column():
    """A peer's entry [a][b] counted how often b beat a: here the better arm wins, and stands in the row."""
    found = penalty_matrix([{"better": BETTER, "worse": WORSE}])
    assert found == {"better": {"better": 0.0, "worse": 1.0}, "worse": {"better": 0.0, "worse": 0.0}}
    assert penalties(found) == {"better": 0.0, "worse": 1.0}, "the mean of a column: lower is better"


def test_shares_are_over_settings_that_both_arms_have():
    level = {seed: score + (-1) ** seed * 0.001 for seed, score in WORSE.items()}
    settings = [
        {"a": BETTER, "b": WORSE, "c": WORSE},
        {"a": BETTER, "b": BETTER, "c": WORSE},
        {"a": WORSE, "b": level, "c": BETTER},
        {"a": BETTER, "b": WORSE},
    ]
    found = penalty_matrix(settings)
    assert found["a"] == pytest.approx({"a": 0, "b": 2 / 4, "c": 2 / 3})
    assert found["b"] == pytest.approx({"a": 0, "b": 0, "c": 1 / 3})
    assert found["c"] == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 0})
    assert penalties(found) == pytest.approx({"a": 1 / 6, "b": (1 / 2 + 1 / 3) / 2, "c": (2 / 3 + 1 / 3) / 2})


def test_peers_mistakes_would_each_have_called_this_a_win():
    """n = 3, t = 4: under 4.303, the two-sided quantile of 2 degrees of freedom, over what each mistake has."""
    spread = 0.01
    differences = 4 * spread / 3**0.5 + np.array([-spread, 0, spread])
    statistic, p = stats.ttest_1samp(differences, 0)
    assert statistic == pytest.approx(4) and p > 0.05
    assert statistic > stats.t.ppf(0.95, 2), "one-sided quantile"
    assert statistic > stats.t.ppf(0.975, 3), "n degrees of freedom"
    assert differences.mean() / (differences.std(ddof=0) / 3**0.5) > stats.t.ppf(0.975, 2), "ddof 0"
    arms = {"a": dict(enumerate(0.5 + differences)), "b": dict.fromkeys(range(3), 0.5)}
    assert penalty_matrix([arms])["a"]["b"] == 0.0
    wider = {"a": dict(enumerate(0.5 + differences + 0.002)), "b": arms["b"]}  # t = 4.35
    assert penalty_matrix([wider])["a"]["b"] == 1.0


def test_pairs_are_joined_by_seed_not_by_place():
    """By place, cut to the shorter list, b would lose every pair; by seed the arms are equal."""
    a = {0: 0.5, 1: 0.6, 2: 0.7, 3: 0.8}
    b = {3: 0.8, 2: 0.7, 1: 0.6}
    assert penalty_matrix([{"a": a, "b": b}])["a"]["b"] == 0.0
    up = {seed: score + 0.01 + 0.001 * seed for seed, score in b.items()}
    assert penalty_matrix([{"a": a, "b": up}])["b"]["a"] == 1.0
    assert penalty_matrix([{"a": a, "b": dict(sorted(up.items()))}])["b"]["a"] == 1.0


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_a_win_is_what_scipys_paired_test_rejects(seeds):
    draw = np.random.default_rng(seeds)
    settings, won = [], []
    for _ in range(60):
        a, b = draw.normal(0.5, 1, seeds), draw.normal(0, 1, seeds)
        settings.append({"a": dict(enumerate(a)), "b": dict(enumerate(b))})
        won.append(stats.ttest_rel(a, b).pvalue < 0.05 and a.mean() > b.mean())
    assert penalty_matrix(settings)["a"]["b"] == pytest.approx(np.mean(won))


def test_one_shared_seed_is_no_test_and_encoders_are_the_units():
    assert penalty_matrix([{"a": {0: 0.9}, "b": {0: 0.1, 1: 0.2}}])["a"]["b"] is None
    assert penalties(penalty_matrix([{"a": {0: 0.9}, "b": {1: 0.2}}])) == {"a": None, "b": None}
    gain = {seed: 0.05 * (seed % 3) + 0.001 * seed for seed in range(12)}  # all of it is which encoder one had
    arms = {"a": {seed: 0.5 + value for seed, value in gain.items()}, "b": dict.fromkeys(gain, 0.5)}
    assert penalty_matrix([arms])["a"]["b"] == 1.0 and penalty_matrix([arms], encoders=3)["a"]["b"] == 0.0


DEMSAR = """
0.763 0.768 0.771 0.798
0.599 0.591 0.590 0.569
0.954 0.971 0.968 0.967
0.628 0.661 0.654 0.657
0.882 0.888 0.886 0.898
0.936 0.931 0.916 0.931
0.661 0.668 0.609 0.685
0.583 0.583 0.563 0.625
0.775 0.838 0.866 0.875
1.000 1.000 1.000 1.000
0.940 0.962 0.965 0.962
0.619 0.666 0.614 0.669
0.972 0.981 0.97501 0.975
0.957 0.978 0.946 0.970
"""
"""Table 6 of Demšar (2006): areas under the ROC curve of C4.5 and three ways to tune it, on 14 data sets.

The paper ranks the 13th row before it rounds: its third number is the second best of two that print as 0.975.
"""
ARMS = ("plain", "m", "cf", "m_and_cf")


def demsar() -> dict[str, dict[str, float]]:
    rows = DEMSAR.split("\n")[1:-1]
    return {f"set {at}": dict(zip(ARMS, map(float, row.split()), strict=True)) for at, row in enumerate(rows)}


def test_friedman_on_demsars_example():
    table = demsar()
    found = friedman(table)
    assert found.ranks == pytest.approx({"m_and_cf": 1.964, "m": 2.0, "cf": 2.893, "plain": 3.143}, abs=5e-4)
    assert list(found.ranks) == ["m_and_cf", "m", "cf", "plain"] and found.datasets == 14
    # the paper's 9.28 is without the correction for ties, which divides by 1 - sum(t^3 - t) / (N k (k^2 - 1))
    ties = 60 + 6 + 6 + 6  # four equal scores once, two equal ones three times
    assert found.statistic == pytest.approx(9.28 / (1 - ties / (14 * 60)), abs=0.02)
    assert found.p == pytest.approx(stats.chi2.sf(found.statistic, 3)) and found.p < 0.05
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    # 3.143 - 1.964 = 1.18 is under 1.25: as in the paper, no two differ at 0.05
    assert found.groups == [list(found.ranks)]


@pytest.mark.parametrize(("arms", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_difference_follows_demsars_table(arms, quantile):
    assert critical_difference(arms, 10) == pytest.approx(quantile * (arms * (arms + 1) / 60) ** 0.5, abs=1e-3)


def test_groups_are_the_longest_runs_within_the_critical_difference():
    """Ranks 1, 2, 3, 4, 5 on 20 data sets, critical difference 1.364: neighbours are alike, and nobody else."""
    arms = "abcde"
    table = {f"set {at}": {arm: 0.9 - 0.1 * place for place, arm in enumerate(arms)} for at in range(20)}
    found = friedman(table)
    assert found.critical_difference == pytest.approx(2.728 * (5 * 6 / 120) ** 0.5, abs=1e-3)
    assert found.groups == [["a", "b"], ["b", "c"], ["c", "d"], ["d", "e"]]
    assert found.ranks == {arm: place + 1 for place, arm in enumerate(arms)}
    assert friedman(dict(list(table.items())[:6])).groups == [["a", "b", "c"], ["b", "c", "d"], ["c", "d", "e"]]
    many = {f"set {at}": table["set 0"] for at in range(100)}  # critical difference 0.61: everyone differs
    assert friedman(many).groups == []


def test_where_friedman_does_not_reject_all_arms_are_one_group():
    draw = np.random.default_rng(0)
    table = {f"set {at}": {arm: float(draw.normal()) for arm in "abc"} for at in range(6)}
    found = friedman(table)
    expected = stats.friedmanchisquare(*[[row[arm] for row in table.values()] for arm in "abc"])
    assert (found.statistic, found.p) == pytest.approx(tuple(expected)) and found.p > 0.05
    assert [sorted(group) for group in found.groups] == [["a", "b", "c"]]
    level = friedman({f"set {at}": dict.fromkeys("abc", 0.5) for at in range(5)})
    assert level.p == 1.0 and level.ranks == dict.fromkeys("abc", 2.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: dict(list(table.items())[:4]), "at least 5 data sets and 3 arms, got 4 and 4"),
        (lambda table: {}, "got 0 and 0"),
        (lambda table: {name: {"a": 1, "b": 2} for name in table}, "got 14 and 2"),
        (lambda table: table | {"set 3": {"plain": 0.5}}, "got no m on set 3, cf on set 3, m_and_cf on set 3; run it"),
        (lambda table: table | {"set 3": dict.fromkeys(ARMS, float("nan"))}, "finite scores"),
    ],
)
def test_friedman_refuses_what_it_cannot_rank(change, words):
    with pytest.raises(BadInput, match=words):
        friedman(change(demsar()))
