"""Accuracy by seconds on the page: where each mean stands, what the seconds are called, and which axis they have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from synthetic_report import synthetic_report
from synthetic_results import synthetic_results

from ssal.evaluation.costs import seconds_until
from ssal.evaluation.table import lines
from ssal.report.costs import cost_curves, seconds_called

COLOURS = {"ssl_and_al": 0, "ssl_only": 1, "supervised": 2}


def drawn(rows, called: str = "GPU-seconds") -> str:
    found = lines(rows)
    seconds = {line.name: seconds_until(rows, line.name) for line in found if not line.reference}
    return cost_curves(found, seconds, called, COLOURS, "sd")


def places(svg: str, arm: int) -> list[float]:
    wide = re.findall(r'<svg class="wide".*?</svg>', svg, flags=re.S)[0]
    return [
        float(x)
        for x in re.findall(rf'<use [^>]*x="([\d.]+)"[^>]*fill: var\(--arm-{arm}\)(?!; fill-opacity: 0.14)', wide)
    ]


def test_every_mean_stands_at_its_seconds() -> None:
    rows = synthetic_results(3)
    svg = drawn(rows)
    # supervised: 3 s a training; the others 14.5 s for the encoder and 9.5 s a training; 0.42 s to choose in between.
    assert "supervised: " in svg and "% after 3.0, " in svg and "% after 24, " in svg
    cheap, dear = places(svg, 2), places(svg, 1)
    assert len(cheap) == len(dear) == len(places(svg, 0)) == 5
    scale = (dear[-1] - cheap[0]) / (14.5 + 5 * 9.5 + 4 * 0.42 - 3.0)
    assert dear[0] - cheap[0] == pytest.approx(21.0 * scale, rel=1e-3)
    assert cheap[1] - cheap[0] == pytest.approx(3.42 * scale, rel=1e-3)
    assert "GPU-seconds per run" in svg and "log scale" not in svg


def test_costs_far_apart_have_a_log_axis() -> None:
    rows = [{**row, "train_seconds": 90.0} if row["arm"] == "ssl_only" else row for row in synthetic_results(2)]
    svg = drawn(rows)
    cheap, dear = places(svg, 2), places(svg, 1)
    assert "GPU-seconds per run, log scale" in svg and dear[-1] - dear[-2] < cheap[1] - cheap[0]


def test_no_times_no_drawing(tmp_path: Path) -> None:
    rows = [{name: value for name, value in row.items() if "seconds" not in name} for row in synthetic_results(2)]
    assert drawn(rows) == ""
    assert "The same accuracy by" not in synthetic_report(tmp_path, results=rows).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("devices", "called"),
    [
        ([], "seconds of computing"),
        (["CPU"], "seconds of computing"),
        (["NVIDIA H200"], "GPU-seconds"),
        (["NVIDIA H200", "CPU"], "seconds of computing"),
    ],
)
def test_seconds_are_called_what_they_are(tmp_path: Path, devices: list[str], called: str) -> None:
    assert seconds_called(devices) == called
    rows = synthetic_results()
    for at, row in enumerate(rows):
        row |= {"device": devices[at % len(devices)]} if devices else {}
    page = synthetic_report(tmp_path, results=rows).read_text("utf-8")
    assert f'<h3 class="gap">The same accuracy by {called}</h3>' in page
