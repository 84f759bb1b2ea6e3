from __future__ import annotations

import csv
import random

import pytest
from rich.console import Console
from synthetic_results import synthetic_results

from ssal.conclude import environment
from ssal.errors import BadInput
from ssal.evaluation.results import KEY, SECONDS, read_results, references_in, remarks, scores, write_results
from ssal.evaluation.table import final_table, lines, percent


def printed(rows, **options) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(final_table(rows, **options))
    return " ".join(console.export_text().split())


def test_results_come_back_as_they_were_written(tmp_path):
    rows = synthetic_results()
    rows[0]["arm"] = 'a, "quoted"\narm'
    write_results(tmp_path / "results.csv", rows)
    assert read_results(tmp_path / "results.csv") == rows
    assert sorted(item.name for item in tmp_path.iterdir()) == ["results.csv", "timings.csv"]
    (tmp_path / "timings.csv").unlink()
    assert read_results(tmp_path / "results.csv") == [
        {name: value for name, value in row.items() if not name.endswith("_seconds")} for row in rows
    ]


def test_the_columns_are_those_people_rely_on(tmp_path):
    write_results(tmp_path / "results.csv", synthetic_results())
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file))
    assert header[:15] == [
        "arm",
        "seed",
        "round",
        "labels",
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "expected_calibration_error",
        "svm_accuracy",
        "strategy",
        "learner",
        "pretext",
        "companions",
        "oracle",
        "negative_log_likelihood",
    ]
    timings = (tmp_path / "timings.csv").read_text(encoding="utf-8").splitlines()
    assert timings[0] == ",".join((*KEY, *SECONDS, "device", "threads"))
    assert timings[1] == "supervised,0,0,20,0.0,3.0,0.4,0.02,,"


def test_the_machine_is_that_of_the_rows(tmp_path):
    rows = synthetic_results(seeds=1)
    for at, row in enumerate(rows):
        row |= {"device": "NVIDIA H200" if at % 2 else "CPU", "threads": 1}
    write_results(tmp_path / "results.csv", rows)
    assert "device" not in (tmp_path / "results.csv").read_text(encoding="utf-8"), "which follows from the recipe alone"
    back = read_results(tmp_path / "results.csv")
    assert back == rows
    found = environment(back)
    assert (found["device"], found["threads"]) == ("CPU, NVIDIA H200", "1")


def test_an_empty_comparison_still_has_a_header_and_a_table(tmp_path):
    write_results(tmp_path / "results.csv", [])
    assert read_results(tmp_path / "results.csv") == []
    assert "0 seeds" in printed([])


def test_rows_may_lack_values(tmp_path):
    rows = synthetic_results(seeds=1)
    del rows[0]["accuracy"], rows[1]["svm_accuracy"]
    rows[2]["encoder_neighbour_accuracy"] = 0.5
    rows[2]["network_wrn_16_1_accuracy"] = 0.25
    write_results(tmp_path / "results.csv", rows)
    back = read_results(tmp_path / "results.csv")
    assert back == rows
    assert references_in(back) == ["svm", "network_wrn_16_1"]  # the encoder's own accuracy is no reference
    assert lines(back)[-1].title == "network wrn_16_1 (labels of supervised)"
    assert (0, 20) not in scores(back, "supervised") and (0, 40) in scores(back, "supervised")


def test_a_word_where_a_number_belongs_is_named(tmp_path):
    write_results(tmp_path / "results.csv", synthetic_results(seeds=1))
    text = (tmp_path / "timings.csv").read_text(encoding="utf-8")
    (tmp_path / "timings.csv").write_text(text.replace(",9.5,", ",soon,"), encoding="utf-8")
    with pytest.raises(BadInput, match="timings.csv: expected numbers.*soon"):
        read_results(tmp_path / "results.csv")


def test_a_run_counted_twice_is_refused():
    rows = synthetic_results()
    with pytest.raises(BadInput, match="two for arm 'ssl_only', seed 1, 40 labels"):
        scores([*rows, next(r for r in rows if (r["arm"], r["seed"], r["labels"]) == ("ssl_only", 1, 40))], "ssl_only")


def test_cells_are_mean_and_sample_sd_whatever_the_row_order():
    rows = [
        {"arm": "a", "seed": seed, "round": 0, "labels": 10, "accuracy": value}
        for seed, value in enumerate((0.5, 0.6, 0.7))
    ]
    (line,) = lines(rows)
    assert line.cells[10] == pytest.approx((0.6, 0.1, 3))
    assert percent(line.cells[10]) == "60.0 ± 10.0"
    shuffled = synthetic_results()
    random.Random(0).shuffle(shuffled)
    ordered = {line.title: line.cells for line in lines(synthetic_results()) if not line.reference}
    assert {line.title: line.cells for line in lines(shuffled) if not line.reference} == ordered
    assert percent(lines(rows[:1])[0].cells[10]) == "50.0" and percent(None) == "–"


def test_references_on_the_same_labels_become_one_row():
    found = [line for line in lines(synthetic_results()) if line.reference]
    assert [line.arms for line in found] == [("supervised", "ssl_only"), ("ssl_and_al",)]
    assert found[0].title == "svm on raw inputs (labels of supervised, ssl_only)"


def test_the_table_prints_every_arm_its_references_and_the_seeds():
    text = printed(synthetic_results())
    for word in ("supervised", "ssl_only", "ssl_and_al", "raw inputs (labels of ssl_and_al)", "20 labels", "3 seeds"):
        assert word in text
    first = scores(synthetic_results(), "ssl_only")
    assert f"{100 * sum(first[s, 100] for s in range(3)) / 3:.1f} ±" in text


def test_the_table_thins_many_label_counts_and_says_so():
    text = printed(synthetic_results(budgets=tuple(range(10, 210, 10))))
    assert "6 of 20 label counts" in text and "10 labels" in text and "200" in text


def test_arms_with_unlike_budgets_leave_dashes():
    rows = synthetic_results() + [{"arm": "all", "seed": 0, "round": 0, "labels": 500, "accuracy": 0.99}]
    text = printed(rows)
    assert "99.0" in text and "–" in text and "1–3 seeds" in text


def test_answers_that_were_wrong_or_gave_no_label_are_told(tmp_path):
    rows = synthetic_results(seeds=2, budgets=(20, 40))
    assert remarks(rows) == [], "nothing to tell of arms whose answers are all right"
    for row in rows:
        if row["arm"] != "supervised":
            row["noise"] = 0.125
        if row["labels"] == 40 and row["arm"] != "ssl_only":
            row["without_class"] = 3 + 2 * row["seed"] if row["arm"] == "supervised" else 7
    told = [
        "On purpose 12.5 % of the answers that ssl_only, ssl_and_al bought are wrong on average (labelling.noise); "
        "test labels are as they are.",
        "Of 40 answers bought, these were that the image is of none of the classes: 4 of supervised's, 0 of "
        "ssl_only's, 7 of ssl_and_al's.",
    ]
    assert remarks(rows) == told
    assert all(sentence in printed(rows) for sentence in told)
    write_results(tmp_path / "results.csv", rows)
    assert remarks(read_results(tmp_path / "results.csv")) == told
