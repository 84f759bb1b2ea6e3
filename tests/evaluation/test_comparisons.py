"""The numbers of verdict.json, and the words that the tests among them allow."""

from __future__ import annotations

import json
from statistics import fmean

import numpy as np
import pytest
from synthetic_results import synthetic_results, without

from ssal.evaluation.efficiency import label_efficiency
from ssal.evaluation.results import scores
from ssal.evaluation.significance import effect_size, holm, sign_flip_test
from ssal.evaluation.statistics import aubc, bca_interval, paired_interval
from ssal.evaluation.verdict import verdict

PAIR = ("ssl_only", "ssl_and_al")
BUDGETS = [20, 40, 60, 80, 100]


def areas(rows, arm, seeds, log=False):
    curve = scores(rows, arm)
    return [aubc(BUDGETS, [curve[seed, labels] for labels in BUDGETS], log) for seed in range(seeds)]


def everything(said) -> str:
    return " ".join([said["sentence"], *said["details"], *said["others"]])


def oracle(rows, arm):
    return [{**row, "oracle": "true" if row["arm"] == arm else ""} for row in rows]


def with_gains(gains: dict[str, list[float]]):
    """Return rows of a baseline at 0.5, and of arms that are above it by so much with each seed."""
    return [
        {"arm": arm, "seed": seed, "round": place, "labels": labels, "accuracy": 0.5 + 0.1 * place + gain}
        for arm, by_seed in {"random": [0.0] * len(next(iter(gains.values()))), **gains}.items()
        for seed, gain in enumerate(by_seed)
        for place, labels in enumerate((10, 20, 30))
    ]


def test_every_number_is_the_functions_own():
    rows = synthetic_results(8, gain=0.03)
    said = verdict(rows, *PAIR)
    for key, log in (("aubc", False), ("aubc_log", True)):
        gains = np.subtract(areas(rows, PAIR[1], 8, log), areas(rows, PAIR[0], 8, log))
        assert said[key]["difference"] == pytest.approx(paired_interval(gains)._asdict())
        bca = bca_interval(gains)
        assert said[key]["bca"] == pytest.approx({"low": bca.low, "high": bca.high})
        assert said[key]["treatment"] - said[key]["baseline"] == pytest.approx(fmean(gains))
    gains = np.subtract(areas(rows, PAIR[1], 8), areas(rows, PAIR[0], 8))
    flips = sign_flip_test(gains)
    assert (said["sign_flip"]["p"], said["sign_flip"]["n"], said["sign_flip"]["method"]) == (flips.p, 8, "exact")
    assert said["sign_flip"]["smallest_p"] == 2 / 2**8
    assert said["effect_size"] == pytest.approx(effect_size(paired_interval(gains))._asdict())
    assert said["aubc"]["difference"]["mean"] != pytest.approx(said["aubc_log"]["difference"]["mean"], abs=1e-4)
    assert said["differences"][2]["bca"]["low"] < said["differences"][2]["mean"] < said["differences"][2]["bca"]["high"]
    assert json.loads(json.dumps(said, allow_nan=False)).keys() == said.keys()


def test_the_family_is_every_arm_against_the_baseline():
    rows = synthetic_results(12, gain=0.03)
    said = verdict(rows, *PAIR)
    family = said["family"]
    assert family["baseline"] == "ssl_only" and [one["arm"] for one in family["arms"]] == ["supervised", "ssl_and_al"]
    assert family["comparisons"] == 2 and family["needed_to_reject"] == 7 and family["not_comparable"] == []
    raw = {one["arm"]: one["sign_flip"]["p"] for one in family["arms"]}
    assert {one["arm"]: one["holm_p"] for one in family["arms"]} == holm(raw)
    mine = family["arms"][1]
    assert said["sign_flip"]["holm_p"] == mine["holm_p"] == 2 * 2 / 2**12
    assert said["aubc"] == mine["aubc"] and said["effect_size"] == mine["effect_size"]
    supervised = np.subtract(areas(rows, "supervised", 12), areas(rows, "ssl_only", 12))
    assert family["arms"][0]["aubc"]["difference"]["mean"] == pytest.approx(fmean(supervised))
    assert "Holm's correction over 2 comparisons" in said["sentence"] and "p < 0.001" in said["sentence"]
    assert "needs at least 7 seeds to reject at all" in everything(said)


def test_oracle_arms_are_outside_of_the_family_and_of_the_penalty_matrix():
    rows = synthetic_results(12, gain=0.03)
    said, plain = verdict(oracle(rows, "supervised"), *PAIR), verdict(rows, *PAIR)
    assert said["family"]["comparisons"] == 1
    first, second = said["family"]["arms"]
    assert (first["arm"], first["oracle"], first["holm_p"]) == ("supervised", True, None)
    assert second["holm_p"] == second["sign_flip"]["p"] == plain["sign_flip"]["holm_p"] / 2
    assert list(said["penalty"]["matrix"]) == ["ssl_only", "ssl_and_al"]
    assert list(plain["penalty"]["matrix"]) == ["supervised", "ssl_only", "ssl_and_al"]
    assert "supervised, an oracle outside of all tests, (" in everything(said)
    treated = verdict(oracle(rows, "ssl_and_al"), *PAIR)
    assert treated["sign_flip"]["holm_p"] is None and "significant" not in everything(treated)
    assert not treated["significant"]
    above = verdict(oracle(rows, "ssl_only"), *PAIR)
    assert above["family"]["comparisons"] == 0 and "significant" not in everything(above)


def test_an_arm_that_shares_nothing_with_the_baseline_is_named():
    rows = [*synthetic_results(5), {"arm": "all_labels", "seed": 0, "round": 0, "labels": 6000, "accuracy": 0.99}]
    family = verdict(rows, *PAIR)["family"]
    assert family["comparisons"] == 2 and family["not_comparable"] == ["all_labels"]


def test_significant_takes_a_corrected_sign_flip_test_that_agrees():
    """Ten seeds, one of which loses: p = 4 / 1024, which Holm over 15 arms does not reject; the t interval would."""
    gains = [0.02, 0.03, 0.02, 0.03, 0.02, 0.03, 0.02, 0.03, 0.02, -0.005]
    alone = verdict(with_gains({"active": gains}), "random", "active")
    assert alone["sign_flip"]["p"] == 4 / 1024 and alone["sentence"].startswith("active is significantly above random")
    assert alone["sentence"].endswith("exact sign-flip test with Holm's correction over 1 comparison: p = 0.004.")
    draw = np.random.default_rng(0)
    noise = {f"arm {at}": list(draw.normal(0, 0.01, 10)) for at in range(14)}
    crowd = verdict(with_gains({"active": gains, **noise}), "random", "active")
    assert alone["significant"] and not crowd["significant"]
    assert crowd["aubc"] == alone["aubc"] and crowd["level"] == "significant"
    assert crowd["sign_flip"]["holm_p"] == 15 * 4 / 1024 and crowd["family"]["needed_to_reject"] == 10
    assert crowd["sentence"].startswith("active is above random by ") and "significant" not in everything(crowd)
    assert crowd["sentence"].endswith(
        "but the exact sign-flip test with Holm's correction over 15 comparisons does not agree: p = 0.059."
    )


@pytest.mark.parametrize(("seeds", "words"), [(3, False), (4, False), (5, True), (9, True), (10, True)])
def test_words_about_tests_follow_the_number_of_seeds(seeds, words):
    said = verdict(with_gains({"active": [0.02 + 0.001 * seed for seed in range(seeds)]}), "random", "active")
    assert ("p = 0." in everything(said) or "p < 0." in everything(said)) == words
    assert ("Effect size: d_z +" in everything(said)) == words
    assert ("significant" in everything(said)) == said["significant"] == (seeds >= 10)
    assert "1 comparison with random" in everything(said) and "at least 6 seeds to reject" in everything(said)


def test_many_seeds_are_tested_with_drawn_patterns_and_it_is_said():
    said = verdict(with_gains({"active": [0.02 + 0.0001 * seed for seed in range(40)]}), "random", "active")
    assert "sign-flip test (99,999 drawn patterns) with Holm's correction over 1 comparison" in said["sentence"]


def test_more_seeds_that_would_show_a_point():
    """SD of differences 0.02: the table's 0.66 SD with 20 seeds is 1.32 points, 0.40 SD with 50 is 0.8; 34 show one."""
    gains = list(np.array([-1, 1, -1, 1, -1, 1, -1, 1, 0, 0]) * 0.02 * (9 / 8) ** 0.5 + 0.002)
    said = verdict(with_gains({"active": gains}), "random", "active")
    assert said["power"]["sd"] == pytest.approx(0.02) and said["power"]["n"] == 10
    assert said["power"]["detectable"] == pytest.approx(0.02, abs=2e-4)
    assert said["power"]["more"] == 24
    assert said["sentence"].startswith(
        "active did not measurably beat random: no difference could be shown with 10 seeds; 24 more would show a true "
        "difference of 1.0 point or more. +0.2 points averaged over 10 to 30 labels, "
    )
    sure = verdict(with_gains({"active": [gain / 10 for gain in gains]}), "random", "active")
    assert sure["power"]["more"] == 0
    assert "with 10 seeds, which would show a true difference of 1.0 point or more four times" in sure["sentence"]
    few = verdict(with_gains({"active": [0.0001, 0.0003, -0.0002]}), "random", "active")
    assert few["power"]["more"] == 0 and "more" not in few["sentence"]
    assert "With as much spread, 2 more seeds would show a true difference of 1.0 point" in everything(few)
    assert verdict(with_gains({"active": [0.1]}), "random", "active")["power"] is None


def test_bootstrap_and_t_interval_that_do_not_agree_about_zero_are_both_said():
    gains = [0.0005, 0.001, 0.001, 0.0015, 0.002, 0.002, 0.003, 0.03]
    said = verdict(with_gains({"active": gains}), "random", "active")
    assert said["aubc"]["difference"]["low"] < 0 < said["aubc"]["bca"]["low"]
    (sentence,) = [sentence for sentence in said["details"] if "BCa" in sentence]
    assert "leaves out zero, and the t interval of the same differences does not" in sentence
    agreed = verdict(with_gains({"active": [gain + 0.02 for gain in gains]}), "random", "active")
    assert "BCa" not in everything(agreed)


def test_metrics_beside_accuracy_have_their_last_difference():
    rows = synthetic_results(6, gain=0.03, arms=dict.fromkeys(PAIR, (0.4, 0.8)))
    rows = [row | {"macro_f1": row["macro_f1"] - 0.01 * (row["arm"] == "ssl_and_al")} for row in rows]
    said = verdict(rows, *PAIR)
    beside = said["final"]["beside"]
    assert list(beside) == ["balanced_accuracy", "macro_f1"]
    for metric, found in beside.items():
        low, high = (scores(rows, arm, metric) for arm in PAIR)
        by_hand = paired_interval([high[seed, 100] - low[seed, 100] for seed in range(6)])
        assert found["difference"] == pytest.approx(by_hand._asdict())
    assert beside["macro_f1"]["difference"]["mean"] == pytest.approx(
        said["final"]["difference"]["mean"] - 0.01, abs=2e-4
    )
    assert "Beside accuracy, at 100 labels: balanced accuracy +" in everything(said) and "macro-F1 +" in everything(
        said
    )
    bare = [{name: row[name] for name in ("arm", "seed", "labels", "accuracy")} for row in rows]
    assert verdict(bare, *PAIR)["final"]["beside"] == {} and "Beside" not in everything(verdict(bare, *PAIR))


def test_label_efficiency_at_every_label_count():
    rows = synthetic_results(6, gain=0.03)
    said = verdict(rows, *PAIR)
    found = said["label_efficiency"]
    assert [one["labels"] for one in found] == BUDGETS
    means = [[fmean(scores(rows, arm)[seed, labels] for seed in range(6)) for labels in BUDGETS] for arm in PAIR]
    for one in found:
        by_hand = label_efficiency((BUDGETS, means[0]), (BUDGETS, means[1]), one["score"])
        assert one["ratio"] == pytest.approx(by_hand) and one["n"] == 6
        assert one["low"] <= one["ratio"] <= one["high"] and one["baseline_not_reached"] == 0
    assert found[-1]["ratio"] > 1
    (sentence,) = [sentence for sentence in said["details"] if "instead of" in sentence]
    fewer = [round(100 * (1 - 1 / found[-1][end])) for end in ("ratio", "low", "high")]
    assert f": {fewer[0]} % fewer (95 % interval {fewer[1]} to {fewer[2]} % fewer)." in sentence


def test_a_score_that_is_not_always_reached_is_said_with_its_share():
    loses = verdict(with_gains({"active": [-0.03, -0.03, -0.03, -0.03, -0.03, 0.01]}), "random", "active")
    last = loses["label_efficiency"][-1]
    assert last["ratio"] is None and last["treatment_not_reached"] == 1.0 == 1 - last["baseline_not_reached"]
    assert "active did not reach random's best mean accuracy, 70.0 %, with 30 labels." in everything(loses)
    gains = [-0.01, -0.01, 0.02, 0.02, -0.01, 0.0]
    mixed = verdict(with_gains({"active": gains}), "random", "active")
    last = mixed["label_efficiency"][-1]
    assert last["low"] is None and 0.2 < last["treatment_not_reached"] < 0.6
    share = f"{100 * last['treatment_not_reached']:.0f} % of resamples"
    assert f"it is not reached in {share}" in everything(mixed) and "95 % interval not reached to" in everything(mixed)
    below = verdict(with_gains({"active": [gain - 0.005 for gain in gains]}), "random", "active")
    last = below["label_efficiency"][-1]
    assert last["ratio"] is None and last["high"] is not None
    assert f"It did in {100 * (1 - last['treatment_not_reached']):.0f} % of resamples." in everything(below)


def test_the_penalty_matrix_is_over_the_label_counts_of_the_table():
    rows = synthetic_results(6, gain=0.05)
    found = verdict(rows, *PAIR)["penalty"]
    assert found["labels"] == BUDGETS and found["convention"].startswith("row beats column")
    assert found["matrix"]["ssl_only"]["supervised"] == 1.0 and found["matrix"]["supervised"]["ssl_only"] == 0.0
    assert found["matrix"]["ssl_and_al"]["ssl_only"] == 0.8, "all but the shared start"
    assert found["column_means"]["supervised"] == 1.0 and found["column_means"]["ssl_and_al"] == 0.0
    assert verdict(rows, None, None)["penalty"] == found


def test_every_number_is_clustered_by_encoder():
    rows = synthetic_results(12, gain=0.03)
    said = verdict(rows, *PAIR, encoders=6)
    assert said["unit"] == "encoder" and said["independent"] == 6 and said["power"]["unit"] == "encoder"
    assert said["sign_flip"]["n"] == 6 and said["sign_flip"]["smallest_p"] == 2 / 2**6
    assert {one["n"] for one in said["label_efficiency"]} == {one["n"] for one in said["differences"]} == {6}
    assert {one["n"] for one in said["family"]["arms"]} == {6}
    gains = np.subtract(areas(rows, PAIR[1], 12), areas(rows, PAIR[0], 12)).reshape(2, 6).mean(axis=0)
    assert said["aubc"]["difference"] == pytest.approx(paired_interval(gains)._asdict())
    assert all("6 encoders" in sentence for sentence in said["others"]) and "6 encoders." in said["sentence"]
    unequal = verdict(without(rows, seeds=(11,)), *PAIR, encoders=6)
    final = unequal["final"]
    assert final["treatment"] - final["baseline"] == pytest.approx(final["difference"]["mean"])


def test_an_area_over_log_counts_needs_counts_above_zero():
    rows = [{**row, "labels": row["labels"] - 10} for row in with_gains({"active": [0.01, 0.02, 0.03]})]
    said = verdict(rows, "random", "active")
    assert (
        said["aubc_log"] is None
        and said["label_efficiency"] == []
        and said["aubc"]["difference"]["mean"] == pytest.approx(0.02)
    )
