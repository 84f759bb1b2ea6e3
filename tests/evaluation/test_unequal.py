"""Runs with unlike label counts or seeds: nothing is averaged over other seeds than its neighbour, and it is said."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from rich.console import Console
from synthetic_results import EXTENDED, synthetic_results, untested, without

from ssal.evaluation.results import scores
from ssal.evaluation.statistics import aubc, comparable
from ssal.evaluation.table import final_table, left_out, lines, seeds_in
from ssal.evaluation.verdict import verdict

PAIR = ("ssl_only", "ssl_and_al")


def runs(seeds: int = 3):
    return synthetic_results(seeds, EXTENDED, gain=0.02)


def printed(rows) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(final_table(rows))
    return " ".join(console.export_text().split())


def unequal(said) -> str:
    found = [sentence for sentence in said["details"] if sentence.startswith("Not all runs")]
    assert len(found) < 2, "one sentence says it all"
    return "".join(found)


def numbers(said):
    return said["aubc"], said["final"], said["differences"], said["sentence"]


@pytest.mark.parametrize(
    ("results", "labels", "seeds"),
    [
        ([], [], []),
        ([(0, 8)], [8], [0]),
        # seed 2 never stopped at 12: the count goes, the seed stays
        ([(s, n) for s in (0, 1, 2) for n in EXTENDED if (s, n) != (2, 12)], [8, 18, 28], [0, 1, 2]),
        # seed 2 is not finished: the seed goes, the counts stay
        ([(s, n) for s in (0, 1, 2) for n in EXTENDED if (s, n) < (2, 18)], [8, 12, 18, 28], [0, 1]),
        # a single seed was extended: the others are not thrown away for it
        ([(s, n) for s in (0, 1, 2) for n in EXTENDED if n < 18 or s == 0], [8, 12], [0, 1, 2]),
        ([(0, 8), (1, 8), (0, 12)], [8], [0, 1]),
        ([(0, 8), (1, 12)], [12], [1]),
        ([(0, 8), (1, 12), (2, 8)], [8], [0, 2]),
    ],
)
def test_what_is_kept(results, labels, seeds):
    for _ in range(3):
        assert comparable(results) == (labels, seeds)
        random.Random(0).shuffle(results)


@pytest.mark.parametrize(
    "rows",
    [
        without(runs(), seeds=(2,), labels=(12,)),
        without(runs(), "ssl_only", labels=(12,)),
        without(runs(), "ssl_and_al", labels=(12,)),
        without(without(runs(), "ssl_only", (0,), (12,)), "ssl_and_al", (1,), (12,)),
    ],
    ids=["a seed", "the baseline", "the treatment", "a seed of each"],
)
def test_a_label_count_that_a_run_lacks_is_left_out_and_named(rows):
    said, whole = verdict(rows, *PAIR), verdict(without(rows, labels=(12,)), *PAIR)
    assert numbers(said) == numbers(whole) and said["seeds"] == 3
    assert [entry["labels"] for entry in said["differences"]] == [8, 18, 28]
    assert all(list(entry["seeds"]) == [0, 1, 2] for entry in said["differences"])
    assert (
        unequal(said)
        == "Not all runs have the same results: those at 12 labels are left out, as not every run has them."
    )
    assert unequal(whole) == ""

    found = lines(rows)
    assert all(list(line.cells) == [8, 18, 28] for line in found if line.name in PAIR)
    assert [line.cells for line in found] == [line.cells for line in lines(without(rows, labels=(12,)))]
    assert "those at 12 labels are left out, as not every run has them." in printed(rows)


def test_the_areas_are_over_the_shared_label_counts_by_hand():
    rows = without(runs(), "ssl_only", (2,), (12,))
    low, high = scores(rows, "ssl_only"), scores(rows, "ssl_and_al")
    counts = [8, 18, 28]
    areas = [[aubc(counts, [curve[seed, n] for n in counts]) for seed in range(3)] for curve in (low, high)]
    said = verdict(rows, *PAIR)["aubc"]
    assert (said["baseline"], said["treatment"]) == pytest.approx(tuple(map(fmean, areas)))


def test_an_arm_with_a_missing_seed_is_paired_without_it():
    rows = without(runs(4), "ssl_only", (2,))
    said = verdict(rows, *PAIR)
    assert numbers(said) == numbers(verdict(without(rows, seeds=(2,)), *PAIR)) and said["seeds"] == 3
    assert unequal(said) == "Not all runs have the same results: seed 2 left out, with no pair at 28 labels."
    assert "ssl_only has no seed 2." in printed(rows) and "3–4 seeds" in printed(rows)
    (against,) = [
        sentence for sentence in said["others"] if "labels ssl_only is" in sentence and "supervised" in sentence
    ]
    assert against.endswith("3 seeds, without seed 2).")


def test_an_unfinished_seed_is_left_out_of_its_arm_at_every_label_count():
    rows = without(runs(4), "ssl_only", (1, 2), (28,))
    rows = without(rows, "ssl_only", (1,), (18,))
    (line,) = [line for line in lines(without(runs(4), "ssl_only", (2,), (28,))) if line.name == "ssl_only"]
    assert {cell.n for cell in line.cells.values()} == {3} and {seed for seed, _ in line.points} == {0, 1, 3}
    (line,) = [line for line in lines(rows) if line.name == "ssl_only"]  # half of the seeds are no majority
    assert list(line.cells) == [8, 12, 18] and {seed for seed, _ in line.points} == {0, 2, 3}
    assert "seed 1 of ssl_only left out, with none at 18 labels" in left_out(rows, lines(rows))
    said = verdict(rows, *PAIR)
    assert said["final"]["labels"] == 18 and said["seeds"] == 3
    assert "those at 28 labels are left out" in unequal(said) and "seed 1 left out" in unequal(said)


def test_an_extension_of_one_seed_does_not_cost_the_others():
    rows = without(runs(), seeds=(1, 2), labels=(18, 28))
    said = verdict(rows, *PAIR)
    assert said["seeds"] == 3 and said["final"]["labels"] == 12
    assert "those at 18, 28 labels are left out" in unequal(said)
    assert all(sentence.startswith("At 12 labels") and "3 seeds" in sentence for sentence in said["others"])


def test_arms_that_end_early_or_have_one_count_keep_theirs():
    ceiling = {"arm": "all", "seed": 0, "round": 0, "labels": 500, "accuracy": 0.99}
    rows = [*without(runs(), "supervised", labels=(28,)), ceiling]
    found = {line.name: list(line.cells) for line in lines(rows) if not line.reference}
    assert found == {"supervised": [8, 12, 18], **dict.fromkeys(PAIR, [8, 12, 18, 28]), "all": [500]}
    assert left_out(rows, lines(rows)) == "Not all runs have the same results: all has no seeds 1, 2."


def test_an_arm_without_a_row():
    rows = without(runs(), "ssl_only")
    assert verdict(rows, *PAIR)["sentence"] == "No verdict: ssl_only has no finished round with a test accuracy."
    assert "ssl_and_al" in printed(rows) and left_out(rows, lines(rows)) == ""


def test_one_single_row():
    row = runs()[0]
    assert "one seed" in printed([row]) and left_out([row], lines([row])) == ""
    said = verdict([row, {**row, "arm": "ssl_and_al", "accuracy": row["accuracy"] + 0.01}], "supervised", "ssl_and_al")
    assert said["sentence"].startswith("Exploratory: 1 seed") and unequal(said) == ""
    assert len(said["differences"]) == 1


def test_rows_without_a_test_set():
    rows = untested(runs())
    assert lines(rows) == [] and seeds_in([]) == "0 seeds"
    assert "No run has a test accuracy: there are no test images." in printed(rows)
    assert "no finished round with a test accuracy" in verdict(rows, *PAIR)["sentence"]
    some = untested(runs(), "supervised")
    assert "supervised has no test accuracy." in printed(some)
    assert numbers(verdict(some, *PAIR)) == numbers(verdict(without(some, "supervised"), *PAIR))


def test_equal_runs_have_nothing_left_out():
    rows = runs()
    assert left_out(rows, lines(rows)) == "" and unequal(verdict(rows, *PAIR)) == ""
    assert "Not all runs" not in printed(rows)


def test_seeds_that_are_left_of_one_shared_encoder_are_not_taken_for_two():
    rows = without(runs(6), "ssl_only", (1, 2, 4, 5))
    said = verdict(rows, *PAIR, encoders=3)  # seeds 0 and 3 have the first encoder of three
    assert "All 2 seeds share one encoder" in " ".join(said["details"])


def test_whatever_is_missing_nothing_crashes_and_nothing_is_mixed():
    rows = synthetic_results(4, (8, 12, 18, 28, 38))
    for draw in map(random.Random, range(300)):
        some = draw.sample(rows, draw.randint(0, len(rows)))
        printed(some) if draw.random() < 0.2 else final_table(some)
        for line in lines(some):
            seeds = {seed for seed, _ in line.points}
            assert {(seed, labels) for seed in seeds for labels in line.cells} == set(line.points)
            assert {cell.n for cell in line.cells.values()} == {len(seeds)}
        said = verdict(some, *PAIR, encoders=draw.choice([None, 1, 2, 3]))
        assert len({tuple(entry["seeds"]) for entry in said["differences"]}) <= 1
        unequal(said)
