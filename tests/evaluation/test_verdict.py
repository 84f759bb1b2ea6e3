from __future__ import annotations

import json
import random
import re

import pytest
from synthetic_results import synthetic_results

from ssal.evaluation.results import scores
from ssal.evaluation.sentences import interval, points
from ssal.evaluation.statistics import aubc, paired_interval
from ssal.evaluation.verdict import verdict


def judged(seeds: int, gain: float, noise: float = 0.012, **options):
    arms = {"supervised": (0.3, 0.7), "ssl_only": (0.5, 0.9), "ssl_and_al": (0.5, 0.9)}
    return verdict(synthetic_results(seeds, gain=gain, noise=noise, arms=arms), "ssl_only", "ssl_and_al", **options)


def everything(said) -> str:
    return " ".join([said["sentence"], *said["details"], *said["others"]])


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
@pytest.mark.parametrize("gain", [-0.05, 0.0, 0.05])
def test_few_seeds_are_exploratory_and_claim_nothing(seeds, gain):
    said = judged(seeds, gain)
    assert said["level"] == "exploratory" and said["seeds"] == seeds
    assert said["sentence"].startswith(f"Exploratory: {seeds} seed{'s' if seeds > 1 else ''}, no claim.")
    assert "significant" not in everything(said)


def test_one_seed_has_no_interval():
    said = judged(1, 0.05)
    assert "one seed has no interval" in said["sentence"] and "%" not in said["sentence"]
    assert said["aubc"]["difference"]["low"] is None
    assert "95 %" not in everything(said)


@pytest.mark.parametrize("seeds", [1, 3, 5, 12])
def test_a_loss_is_said_plainly(seeds):
    assert re.search(r"did not beat ssl_only|not ahead of ssl_only", judged(seeds, -0.08)["sentence"])


def test_five_seeds_give_intervals_and_ten_the_word_significant():
    five, twelve = judged(5, 0.05)["sentence"], judged(12, 0.05)["sentence"]
    assert five.startswith("ssl_and_al is above ssl_only by ") and "95 % interval +" in five and "5 seeds" in five
    assert "significant" not in five
    assert twelve.startswith("ssl_and_al is significantly above ssl_only by ")
    lost = judged(12, -0.05)["sentence"]
    assert lost.startswith("ssl_and_al is significantly below") and lost.endswith("ssl_and_al did not beat ssl_only.")


@pytest.mark.parametrize("seeds", [3, 6, 12])
def test_an_interval_around_zero_shows_no_difference(seeds):
    for shift in range(40):
        said = verdict(_nudged(seeds, shift), "ssl_only", "ssl_and_al")
        found = said["aubc"]["difference"]
        if found["low"] <= 0 <= found["high"] and (seeds >= 5 or found["mean"] > 0):
            assert re.search(rf"[Nn]o difference .*could be shown with {seeds} seeds", said["sentence"])
            assert "significant" not in said["sentence"]
            assert ("would be missed" in said["sentence"]) == (seeds >= 5)
            return
    pytest.fail("no draw gave an interval around zero")


def _nudged(seeds: int, shift: int):
    rows, draw = synthetic_results(seeds, arms={"ssl_only": (0.5, 0.9), "ssl_and_al": (0.5, 0.9)}), random.Random(shift)
    return [{**row, "accuracy": row["accuracy"] + draw.gauss(0, 0.02)} for row in rows]


def test_the_numbers_are_paired_areas_and_paired_final_scores():
    rows = synthetic_results(5, gain=0.02)
    said = verdict(rows, "ssl_only", "ssl_and_al")
    low, high = scores(rows, "ssl_only"), scores(rows, "ssl_and_al")
    budgets = [20, 40, 60, 80, 100]
    before, after = ([aubc(budgets, [curve[s, b] for b in budgets]) for s in range(5)] for curve in (low, high))
    areas = [new - old for old, new in zip(before, after, strict=True)]
    assert said["aubc"]["difference"] == pytest.approx(paired_interval(areas)._asdict())
    assert said["final"]["labels"] == 100
    finals = paired_interval([high[s, 100] - low[s, 100] for s in range(5)])
    assert said["final"]["difference"] == pytest.approx(finals._asdict())
    assert said["final"]["treatment"] - said["final"]["baseline"] == pytest.approx(finals.mean)
    assert [entry["labels"] for entry in said["differences"]] == budgets
    assert json.loads(json.dumps(said))["sentence"] == said["sentence"]


def test_row_order_changes_nothing():
    rows = synthetic_results(4, gain=0.01)
    shuffled = rows.copy()
    random.Random(3).shuffle(shuffled)
    # the arms' order of appearance only orders the sentences about other arms
    assert verdict(shuffled, "ssl_only", "ssl_and_al") == verdict(rows, "ssl_only", "ssl_and_al")


def test_a_seed_that_lacks_label_counts_is_left_out_and_named():
    unfinished = {("ssl_only", 2, labels) for labels in (60, 80, 100)}
    rows = [row for row in synthetic_results(4) if (row["arm"], row["seed"], row["labels"]) not in unfinished]
    said = verdict(rows, "ssl_only", "ssl_and_al")
    assert said["seeds"] == 3 and "seed 2" in " ".join(said["details"])
    whole = verdict([row for row in rows if row["seed"] != 2], "ssl_only", "ssl_and_al")
    assert said["aubc"] == whole["aubc"]


def test_label_efficiency_in_words():
    budgets = (100, 200, 300)
    curves = {"random": (0.5, 0.6, 0.7), "active": (0.5, 0.7, 0.8)}
    rows = [
        {"arm": arm, "seed": seed, "round": i, "labels": labels, "accuracy": curve[i]}
        for arm, curve in curves.items()
        for seed in range(5)
        for i, labels in enumerate(budgets)
    ]
    said = " ".join(verdict(rows, "random", "active")["details"])
    assert "reaches random's best mean accuracy, 70.0 %, with about 200 labels instead of 300: 33 % fewer" in said
    assert "did not reach active's best mean accuracy, 80.0 %" in " ".join(verdict(rows, "active", "random")["details"])


def test_a_best_score_at_the_shared_start_is_no_saving():
    curves = {"random": (0.8, 0.7, 0.75), "active": (0.8, 0.85, 0.9)}
    rows = [
        {"arm": arm, "seed": 0, "round": i, "labels": labels, "accuracy": curve[i]}
        for arm, curve in curves.items()
        for i, labels in enumerate((20, 40, 60))
    ]
    assert "with the first 20 labels already" in " ".join(verdict(rows, "random", "active")["details"])


def test_other_arms_and_references_are_named_at_the_last_label_count():
    others = judged(3, 0.0)["others"]
    assert any(
        re.match(r"At 100 labels ssl_only is [\d.]+ points above supervised \(95 % interval .*3 seeds\)", s)
        for s in others
    )
    assert any("ssl_and_al is" in s and "svm on raw inputs with the same labels" in s for s in others)


def test_seeds_that_share_encoders_are_not_counted_as_independent():
    rows = synthetic_results(12, gain=0.03)
    shared = verdict(rows, "ssl_only", "ssl_and_al", encoders=3)
    assert shared["independent"] == 3 and shared["seeds"] == 12 and shared["level"] == "exploratory"
    assert shared["sentence"].startswith("Exploratory: 3 encoders")
    assert "12 seeds share 3 encoders" in everything(shared)
    alone = verdict(rows, "ssl_only", "ssl_and_al")
    assert shared["aubc"]["difference"]["mean"] == pytest.approx(alone["aubc"]["difference"]["mean"])
    one = verdict(rows, "ssl_only", "ssl_and_al", encoders=1)
    assert one["seeds"] == 12 and "All 12 seeds share one encoder" in everything(one)


def test_an_arm_that_peeks_at_hidden_labels_makes_no_claim():
    rows = [{**row, "oracle": "true" if row["arm"] == "ssl_and_al" else ""} for row in synthetic_results(12, gain=0.05)]
    assert verdict(rows, "ssl_only", "ssl_and_al")["sentence"].startswith("No claim: ssl_and_al uses labels")


def test_what_cannot_be_compared_is_said():
    rows = synthetic_results()
    assert "names no baseline" in verdict(rows, None, "ssl_and_al")["sentence"]
    assert "missing_arm has no finished round" in verdict(rows, "missing_arm", "ssl_and_al")["sentence"]
    assert "no finished round" in verdict([], "ssl_only", "ssl_and_al")["sentence"]
    untested = [{k: v for k, v in row.items() if k != "accuracy"} for row in rows]
    assert "test accuracy" in verdict(untested, "ssl_only", "ssl_and_al")["sentence"]
    apart = [row for row in rows if (row["seed"] == 0) == (row["arm"] == "ssl_only")]
    assert "share no seed" in verdict(apart, "ssl_only", "ssl_and_al")["sentence"]


def test_equal_runs_show_no_difference_without_fuss():
    rows = synthetic_results(6, noise=0.0, arms={"ssl_only": (0.5, 0.9), "ssl_and_al": (0.5, 0.9)})
    assert "no difference could be shown with 6 seeds" in verdict(rows, "ssl_only", "ssl_and_al")["sentence"]


def test_words_for_points_and_intervals():
    assert points(0.0123) == "+1.2 points" and points(-0.01) == "−1.0 point" and points(-0.0001) == "0.0 points"
    assert interval(paired_interval([0.01, 0.03])) == "95 % interval −10.7 to +14.7"
    assert interval(paired_interval([0.0, -0.0])) == "95 % interval 0.0 to 0.0"


def test_what_holds_for_the_encoders_at_hand_is_said_as_such():
    """Twelve draws over three encoders: three units for any encoder, twelve for these three."""
    arms = {"random": (0.5, 0.9), "margin": (0.5, 0.9), "worse": (0.4, 0.8)}
    rows = synthetic_results(12, arms=arms, noise=0.012)
    rows = [{**row, "accuracy": row["accuracy"] + 0.02 * (row["arm"] == "margin")} for row in rows]
    said = verdict(rows, "random", "margin", encoders=3)
    assert {one["arm"]: one["n"] for one in said["family"]["arms"]} == {"margin": 3, "worse": 3}
    assert {one["arm"]: one["n"] for one in said["given_encoders"]["arms"]} == {"margin": 12, "worse": 12}
    (line,) = [line for line in said["details"] if line.startswith("For these 3 encoders alone, where")]
    assert re.search(r"significantly above: margin \+\d\.\d \[.*significantly below: worse −1\d\.\d \[", line)
    assert any(line.startswith("For these 3 encoders alone: svm on raw inputs") for line in said["details"])
    assert verdict(rows, "random", "margin")["given_encoders"] is None, "an encoder per seed: every seed counts"
    nine = verdict([row for row in rows if row["seed"] < 9], "random", "margin", encoders=3)
    assert not any(line.startswith("For these 3 encoders alone, where") for line in nine["details"]), (
        "too few draws for such words"
    )


def test_what_another_classifier_gains_from_the_bought_labels_is_said():
    """The reference has 2 points more on one arm's labels and 1 less on the other's, whatever the arms do."""
    arms = {"random": (0.5, 0.9), "margin": (0.6, 0.9), "worse": (0.4, 0.8)}
    gains = {"random": 0.0, "margin": 0.02, "worse": -0.01}
    rows = [{**row, "svm_accuracy": 0.4 + gains[row["arm"]]} for row in synthetic_results(6, arms=arms)]
    said = verdict(rows, "random", "margin")
    assert {one["arm"]: round(one["aubc"]["difference"]["mean"], 6) for one in said["references"]["svm"]["arms"]} == {
        "margin": 0.02,
        "worse": -0.01,
    }
    line = "over 6 seeds): margin +2.0 [+2.0, +2.0], worse −1.0 [−1.0, −1.0]."
    assert any(
        one.startswith("svm on raw inputs, on the labels that") and one.endswith(line) for one in said["details"]
    )
    few = verdict([row for row in rows if row["seed"] < 4], "random", "margin")
    assert not any("on the labels that each arm bought" in one for one in few["details"])
