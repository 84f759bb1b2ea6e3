"""Calibration on the page: errors by labels as measured, and a diagram whose points can be counted by hand."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from synthetic_report import synthetic_report
from synthetic_results import synthetic_results, untested

from ssal.evaluation.metrics import Bins
from ssal.evaluation.table import lines
from ssal.evaluation.verdict import verdict
from ssal.report.calibration import LEAST, error_curves, reliability, reliability_diagram
from ssal.report.comparison import Comparison

COLOURS = {"ssl_and_al": 0, "ssl_only": 1, "supervised": 2}


def bins(*parts: tuple[float, float, float]) -> Bins:
    return Bins(*(torch.tensor(column, dtype=torch.float64) for column in zip(*parts, strict=True)))


def test_seeds_are_added_up_at_the_last_label_count_and_small_bins_are_left_out() -> None:
    found = reliability(
        {
            0: (40, bins((LEAST - 1, 9.0, 3.0), (30, 24.0, 18.0), (60, 57.0, 60.0))),
            1: (40, bins((0, 0.0, 0.0), (10, 8.0, 10.0), (40, 39.0, 38.0))),
            2: (30, bins((500, 50.0, 0.0), (0, 0.0, 0.0), (0, 0.0, 0.0))),
        }
    )
    assert found == (40, 2, [(32 / 40, 28 / 40), (96 / 100, 98 / 100)])


def test_the_diagram_says_its_points_and_marks_them() -> None:
    one = reliability({0: (40, bins((100, 80.0, 70.0), (100, 95.0, 99.0)))})
    drawn = reliability_diagram({"ssl_and_al": one, "ssl_only": one}, COLOURS)
    assert 'aria-label="Reliability diagram. ssl_and_al at 40 labels: 70 % right where 80 % sure, 99 %' in drawn
    wide = re.findall(r'<svg class="wide".*?</svg>', drawn, flags=re.S)[0]
    assert [len(re.findall(rf"<use [^>]*fill: var\(--arm-{arm}\)", wide)) for arm in range(3)] == [2, 2, 0]
    assert "var(--reference)" in wide


def test_errors_by_labels_have_a_band_and_begin_at_zero() -> None:
    rows = [{**row, "expected_calibration_error": 0.02 * (1 + row["seed"])} for row in synthetic_results(3)]
    drawn = error_curves(lines(rows, "expected_calibration_error"), COLOURS, "sd")
    assert "supervised: 4.0 % at 20, 4.0 % at 40" in drawn and drawn.count("fill-opacity: 0.14") == 6
    assert ">0</text>" in drawn or re.search(r"<!-- 0 -->", drawn)


def test_the_section_shows_every_error_with_its_sd_and_goes_where_none_was_measured(tmp_path: Path) -> None:
    rows = [{**row, "expected_calibration_error": 0.02 * (1 + row["seed"])} for row in synthetic_results(3)]
    said = verdict(rows, "ssl_only", "ssl_and_al")
    sure = {"ssl_and_al": {0: (100, bins((50, 40.0, 45.0)))}}
    one = Comparison("", {arm: arm for arm in COLOURS}, rows, said, None, sure)
    page = synthetic_report(tmp_path, results=rows, comparisons=[one], verdict=said).read_text(encoding="utf-8")
    section = page.split("<h2>Calibration</h2>")[1].split("</section>")[0]
    assert section.count("<td>4.0 ± 2.0</td>") == 3 * 5 and section.count("<svg") == 4
    assert "the last learners, at 100 labels, all seeds together" in section
    without = synthetic_report(tmp_path, results=untested(rows)).read_text(encoding="utf-8")
    assert "<h2>Calibration</h2>" not in without
