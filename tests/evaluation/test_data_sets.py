"""Ranks over data sets from the rows of a comparison: which numbers are ranked, and what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from synthetic_results import synthetic_results, untested, without

from ssal.evaluation.data_sets import areas, over_data_sets

HAND = {
    "birds": {"plain": 0.60, "margin": 0.70, "typical": 0.80},
    "clouds": {"plain": 0.50, "margin": 0.55, "typical": 0.58},
    "flowers": {"plain": 0.71, "margin": 0.70, "typical": 0.90},
    "leaves": {"plain": 0.30, "margin": 0.40, "typical": 0.50},
    "mosses": {"plain": 0.10, "margin": 0.20, "typical": 0.20},
}
"""Data set -> arm -> accuracy at every label count.

Ranks by hand: plain 3 3 2 3 3, margin 2 2 3 2 1.5, typical the rest. Their sums are 14, 10.5 and 5.5, so that the
statistic is 12 / (5 * 3 * 4) * (14^2 + 10.5^2 + 5.5^2) - 3 * 5 * 4 = 7.3, over 1 - (2^3 - 2) / (5 * (3^3 - 3)) = 0.95
for the tie.
"""


def row(arm: str, seed: int, labels: int, accuracy: float, **more: Any) -> dict[str, Any]:
    return {"arm": arm, "seed": seed, "round": labels, "labels": labels, "accuracy": accuracy, **more}


def rows_of(scores: dict[str, float], seeds: int = 2) -> list[dict[str, Any]]:
    """Accuracies that fall by 0.02 from seed to seed and are flat over two label counts."""
    middle = (seeds - 1) / 2
    return [
        row(arm, seed, labels, score + 0.02 * (middle - seed))
        for arm, score in scores.items()
        for seed in range(seeds)
        for labels in (10, 30)
    ]


def hand(**changes: Any) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return data set -> condition -> rows; `changes` replace the rows of a data set's one condition."""
    return {name: {f"on_{name}": changes.get(name, rows_of(scores))} for name, scores in HAND.items()}


def test_a_table_ranked_by_hand() -> None:
    found = over_data_sets(hand())
    assert found is not None
    assert found["ranks"] == pytest.approx({"typical": 1.1, "margin": 2.1, "plain": 2.8})
    assert list(found["ranks"]) == ["typical", "margin", "plain"]
    assert found["statistic"] == pytest.approx(7.3 / 0.95) and found["p"] == pytest.approx(np.exp(-7.3 / 0.95 / 2))
    columns = [[scores[arm] for scores in HAND.values()] for arm in ("plain", "margin", "typical")]
    assert (found["statistic"], found["p"]) == pytest.approx(tuple(stats.friedmanchisquare(*columns)))
    assert found["critical_difference"] == pytest.approx(2.343 * (3 * 4 / 30) ** 0.5, abs=1e-3)
    assert found["groups"] == [["typical", "margin"], ["margin", "plain"]]
    assert [one["data_set"] for one in found["data_sets"]] == list(HAND)
    assert [one["areas"] for one in found["data_sets"]] == [pytest.approx(scores) for scores in HAND.values()]
    assert found["data_sets"][0]["conditions"] == [{"condition": "on_birds", "labels": [10, 30], "seeds": [0, 1]}]
    assert found["sentence"] == (
        "Over 5 data sets the arms differ by mean rank, 1 the best (Friedman test, p = 0.021): typical 1.10, margin "
        "2.10, plain 2.80; less than the critical difference of 1.48 apart, and so not told apart, are typical and "
        "margin; margin and plain."
    )
    assert found["details"] == [] and found["left_out"] == {}


def test_four_data_sets_are_not_ranked() -> None:
    assert over_data_sets(dict(list(hand().items())[:4])) is None and over_data_sets({}) is None


def test_where_the_test_finds_nothing_no_arm_is_told_from_another() -> None:
    turned = {f"set {at}": {"": rows_of({"a": 0.5, "b": 0.5 + 0.1 * (-1) ** at, "c": 0.5})} for at in range(6)}
    found = over_data_sets(turned)
    assert found is not None and found["groups"] == [["a", "b", "c"]] and found["p"] == 1.0
    assert found["sentence"] == (
        "Over 6 data sets the arms cannot be told apart by mean rank, 1 the best (Friedman test, p = 1): a 2.00, "
        "b 2.00, c 2.00."
    )


def test_arms_that_all_lie_apart() -> None:
    many = {f"set {at}": {"": rows_of({"a": 0.5, "b": 0.6, "c": 0.7})} for at in range(20)}
    found = over_data_sets(many)
    assert found is not None and found["groups"] == []
    assert found["sentence"].endswith("; all lie the critical difference of 0.74 or more apart.")


def test_conditions_on_one_data_set_are_averaged_first() -> None:
    results = hand()
    results["birds"]["again"] = rows_of({"plain": 1.0, "margin": 0.5, "typical": 0.6}, seeds=3)
    found = over_data_sets(results)
    assert found is not None
    first = found["data_sets"][0]
    assert first["areas"] == pytest.approx({"plain": 0.8, "margin": 0.6, "typical": 0.7})
    assert [part["seeds"] for part in first["conditions"]] == [[0, 1], [0, 1, 2]]
    assert found["ranks"]["plain"] == pytest.approx((1 + 3 + 2 + 3 + 3) / 5)
    results["birds"]["not begun"] = []
    assert over_data_sets(results) == found


def test_the_area_is_over_what_all_arms_share() -> None:
    rows = [row("a", seed, labels, labels / 100) for seed in (0, 1) for labels in (10, 20, 30, 60)]
    rows += [row("b", seed, labels, 0.5 + 0.1 * seed) for seed in (0, 1, 2) for labels in (10, 30, 60, 90)]
    found = areas(rows, ["a", "b"])
    assert found is not None and found.labels == [10, 30, 60] and found.seeds == [0, 1]
    # a: (20 * (0.1 + 0.3) / 2 + 30 * (0.3 + 0.6) / 2) / 50
    assert found.arms == pytest.approx({"a": 0.35, "b": 0.55})
    rows += [row("whole", 0, 500, 0.9), row("unmeasured", 0, 10, 0.0) | {"accuracy": None}]
    assert areas(rows, ["a", "b", "whole", "unmeasured"]) == found, "all labels at once are no curve"
    assert areas([], ["a"]) is None and areas([row("a", 0, 10, 0.1), row("b", 1, 10, 0.1)], ["a", "b"]) is None


def test_what_is_missing_is_left_out_and_named() -> None:
    extra = {name: rows_of({**scores, "late": 0.9}) for name, scores in HAND.items() if name != "leaves"}
    found, usual = over_data_sets(hand(**extra)), over_data_sets(hand())
    assert found is not None and usual is not None and found["left_out"] == {"late": ["leaves"]}
    assert found["details"] == [
        "Left out of the ranks over data sets: late, which has no result on leaves at the other arms' label counts."
    ]
    assert {**found, "left_out": {}, "details": []} == usual
    oracle = {name: [*rows_of(scores), row("peeks", 0, 10, 1.0, oracle="labels")] for name, scores in HAND.items()}
    assert over_data_sets(hand(**oracle)) == usual
    six = over_data_sets(hand() | {"stones": {"on_stones": untested(rows_of(HAND["birds"]))}})
    assert six is not None and six["ranks"] == usual["ranks"]
    assert six["details"] == [
        "Left out of the ranks over data sets: the data sets without results that arms share, stones."
    ]


def test_too_few_arms_or_results_are_said_to_be() -> None:
    two = {name: without(rows_of(scores), "plain") for name, scores in HAND.items()}
    found = over_data_sets(hand(**two))
    assert found is not None and (found["ranks"], found["p"], found["groups"]) == ({}, None, [])
    assert found["sentence"] == (
        "The arms are not ranked over data sets: that takes at least 5 data sets and 3 arms with results on all of "
        "them, and there are 5 and 2."
    )
    begun = over_data_sets(hand(leaves=[]))
    assert begun is not None and begun["sentence"].endswith("and there are 4 and 3.")
    assert begun["details"][0].endswith("without results that arms share, leaves.")


def test_scipys_test_on_drawn_results() -> None:
    made = {f"set {at}": {"": synthetic_results(3, gain=0.002 * at, noise=0.2)} for at in range(8)}
    found = over_data_sets(made)
    assert found is not None
    columns = [[one["areas"][arm] for one in found["data_sets"]] for arm in found["ranks"]]
    expected = stats.friedmanchisquare(*columns)
    assert (found["statistic"], found["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert sum(found["ranks"].values()) == pytest.approx(6)


def test_an_arm_with_one_label_count_cuts_no_curve_down() -> None:
    """It has the label count that most arms have, and would leave nothing but that of the others."""
    rows = [*rows_of({"plain": 0.6, "margin": 0.7}), *(row("at_once", seed, 30, 0.8) for seed in range(2))]
    found = areas(rows, ["plain", "margin", "at_once"])
    assert found is not None
    assert found.labels == [10, 30] and found.arms == pytest.approx({"plain": 0.6, "margin": 0.7})
    alone = areas([one for one in rows if one["labels"] == 30], ["plain", "margin", "at_once"])
    assert alone is not None
    assert alone.labels == [30] and alone.arms == pytest.approx({"plain": 0.6, "margin": 0.7, "at_once": 0.8})
