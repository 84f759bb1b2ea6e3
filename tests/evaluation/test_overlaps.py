"""How much arms buy of the same images, on sets small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ssal.evaluation.overlaps import common, overlaps


def rounds(*ids: str) -> list[frozenset[str]]:
    """Return what was bought, a letter per image and a word per round."""
    return [frozenset(word) for word in ids]


def test_the_share_of_what_one_arm_bought_that_another_bought_too() -> None:
    one, two = rounds("ab", "cd", "ef"), rounds("ab", "ce", "gf")
    # After the shared start: {c,d} and {c,e}; then {c,d,e,f} and {c,e,g,f}. 12 images less the 2 that both began with.
    assert common(one, two, 0, 12) is None
    assert common(one, two, 1, 12) == (1 / 2, 2 / 10)
    assert common(one, two, 2, 12) == (3 / 4, 4 / 10)


def test_a_start_that_is_not_the_same_is_counted() -> None:
    assert common(rounds("ab", "cd"), rounds("ac", "be"), 0, 10) == (1 / 2, 2 / 10)
    assert common(rounds("ab", "cd"), rounds("ac", "be"), 1, 10) == (3 / 4, 4 / 10)


def test_who_bought_more_holds_more_of_the_other() -> None:
    few, many = rounds("ab", "c"), rounds("acdefghj")
    assert common(few, many, 1, 16) == (2 / 3, 8 / 16)
    assert common(many, few, 1, 16) == (2 / 8, 3 / 16)


def test_means_over_the_seeds_that_got_that_far() -> None:
    bought = {
        "one": {0: rounds("ab", "cd", "ef"), 1: rounds("ab", "cd")},
        "two": {0: rounds("ab", "cg", "eh"), 1: rounds("ab", "gh"), 2: rounds("ab", "cd")},
    }
    found = overlaps(bought, {"one": 22, "two": 22})
    assert found is not None
    # Round 1: 1 of 2 with seed 0, none of 2 with seed 1. Round 2: 2 of 4 with seed 0 alone.
    assert found["rounds"] == [1, 2]
    assert found["by_round"] == {"one": {1: 0.25, 2: 0.5}, "two": {1: 0.25, 2: 0.5}}
    assert found["shares"] == {"one": {"two": 0.5}, "two": {"one": 0.5}}
    assert found["chance"] == {1: 2 / 20, 2: 4 / 20} and found["spread"] == [0.2, 0.2]


def test_an_arm_of_one_round_keeps_what_it_has_and_an_unfinished_seed_does_not_pass_for_one() -> None:
    bought = {
        "at_once": {0: rounds("abcd")},
        "in_rounds": {0: rounds("ab", "ce"), 1: rounds("ab")},
        "later": {},
    }
    found = overlaps(bought, dict.fromkeys(bought, 10))
    assert found is not None
    assert found["shares"] == {"at_once": {"in_rounds": 3 / 4}, "in_rounds": {"at_once": 3 / 4}, "later": {}}
    assert found["by_round"]["in_rounds"] == {0: 1.0, 1: 3 / 4}
    assert found["by_round"]["at_once"] == {0: 2 / 4, 1: 3 / 4} and found["by_round"]["later"] == {}
    assert found["order"] == ["at_once", "in_rounds", "later"]


@pytest.mark.parametrize(
    "bought",
    [
        {},
        {"only": {0: rounds("ab", "cd")}},
        {"one": {0: rounds("ab")}, "two": {0: rounds("ab")}},
        {"one": {0: rounds("ab", "cd")}, "two": {1: rounds("ab", "cd")}},
        {"one": {0: []}, "two": {0: rounds("ab", "cd")}},
    ],
    ids=["no arm", "one arm", "the start alone", "no seed in common", "nothing yet"],
)
def test_nothing_to_compare(bought) -> None:
    assert overlaps(bought, dict.fromkeys(bought, 10)) is None


def test_random_draws_share_what_is_said_of_them() -> None:
    draw, ids = np.random.default_rng(0), np.array([f"{number:04x}" for number in range(400)])
    bought = {
        arm: {seed: [frozenset(draw.choice(ids, 100, replace=False))] for seed in range(200)} for arm in ("one", "two")
    }
    found = overlaps(bought, {"one": 400, "two": 400})
    assert found is not None and found["spread"] == [0.25, 0.25]
    assert found["shares"]["one"]["two"] == pytest.approx(0.25, abs=0.01)


def test_those_that_buy_alike_stand_together() -> None:
    bought = {
        "margin": {0: rounds("ab", "cdef")},
        "random": {0: rounds("ab", "klmn")},
        "entropy": {0: rounds("ab", "cdeg")},
        "typical": {0: rounds("ab", "klmh")},
    }
    found = overlaps(bought, dict.fromkeys(bought, 20))
    assert found is not None
    places = {arm: place for place, arm in enumerate(found["order"])}
    assert abs(places["margin"] - places["entropy"]) == abs(places["random"] - places["typical"]) == 1
