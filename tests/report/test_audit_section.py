"""The audit on the page: accuracy by labels as the runs have it, what is forecast, and a table to save."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from synthetic_pages import audited, full, project, unaudited_project, young_project
from synthetic_report import synthetic_audits, synthetic_report
from synthetic_results import synthetic_results
from test_report import Page

from ssal.evaluation.outlook import Accuracy, Forecast
from ssal.evaluation.sentences import points
from ssal.evaluation.verdict import verdict
from ssal.outlook import Learned, Outlook, sentences
from ssal.report.audit import audit, audit_curves

KNOWN = Outlook(
    [
        Learned(1, 10, Accuracy(0.5, 0.25, 0.75, 20), 1.5),
        Learned(2, 30, Accuracy(0.75, 0.55, 0.875, 20), None),
    ],
    Forecast(50, 0.125, -0.05, 0.3),
    3.0,
    20,
)


def section(text: str) -> str:
    return text.split("<h2>Accuracy on images drawn at random</h2>")[1].split("</section>")[0]


def test_the_drawing_says_its_numbers_and_marks_every_learner() -> None:
    drawn = audit_curves({("main", 0): KNOWN}, {"main": 0})
    assert 'aria-label="Accuracy on audited images by labels. main, seed 0: 50.0 % (25.0 to 75.0) at 10, ' in drawn
    assert "75.0 % (55.0 to 87.5) at 30, +12.5 points expected at 50." in drawn
    wide = re.findall(r'<svg class="wide".*?</svg>', drawn, flags=re.S)[0]
    filled = r"<use [^>]*fill: var\(--arm-0\)"
    assert len(re.findall(filled, wide)) == 4, "the band, two learners and the forecast"
    assert wide.count("stroke-dasharray") == 2, "the forecast and its interval"
    untold = audit_curves({("main", 0): Outlook(KNOWN.curve, None, 3.0, 20)}, {"main": 0})
    assert "stroke-dasharray" not in untold and "expected" not in untold
    assert len(re.findall(filled, re.findall(r'<svg class="wide".*?</svg>', untold, flags=re.S)[0])) == 3


def test_a_project_without_test_images_begins_with_how_it_stands(written: Any) -> None:
    text = written(project).read_text(encoding="utf-8")
    page, found = Page(text).text, synthetic_audits(["main"])
    (one,) = found.values()
    assert one.next and f"expected to add {points(one.next.gain)} (95 % interval {points(one.next.low)} to" in page
    for line in sentences(found):
        assert line[1:] in page
    assert page.index("How it stands") < page.index("Classes that were asked")
    assert "No verdict" not in page and "no test accuracy" not in page and "20 to 100 labels" in page
    assert "ssal project" in page and "20 images wait for labels" in page
    rows = re.findall(r"<tr><th scope=\"row\">(\d+)</th>\s*((?:<td>[^<]*</td>)+)", section(text))
    for (labels, cells), learned in zip(rows, one.curve, strict=True):
        assert int(labels) == learned.labels
        mean, low, high, n = learned.accuracy
        assert re.findall("<td>([^<]*)</td>", cells) == [
            f"{100 * mean:.1f}", f"{100 * low:.1f} to {100 * high:.1f}", str(n), f"{learned.minutes:.1f}",
        ]  # fmt: skip
    assert "3 answers came without a time" in page


def test_what_cannot_be_told_yet_is_said_and_nothing_is_made_up(written: Any) -> None:
    page = Page(written(young_project).read_text(encoding="utf-8")).text
    assert "what they will add cannot be told yet; that takes 3 trainings and 30 images of the audit" in page
    assert not [words for words in ("expected to add", "dashed", "Minutes are") if words in page]
    assert "20 to 20" not in page and "20 labels" in page.split("How it stands")[0]
    assert section(written(young_project).read_text(encoding="utf-8")).count("<td>–</td>") == 1
    page = Page(written(unaudited_project).read_text(encoding="utf-8")).text
    assert "cannot be told yet" in page and "Accuracy on images drawn at random" not in page


def test_beside_a_comparison_every_run_is_told_by_its_name(written: Any) -> None:
    text = written(audited).read_text(encoding="utf-8")
    page = Page(text).text
    assert page.index("Verdict") < page.index("Accuracy on images drawn at random") < page.index("How each run stands")
    for line in sentences(synthetic_audits(["ssl_only"], seeds=2)):
        assert line in page
    assert section(text).count('<tr><th scope="row">') == 3 * 2 * 5
    assert "fill-opacity: 0.14" not in section(text), "bands would hide one another"
    assert "drawn at random" not in Page(written(full).read_text(encoding="utf-8")).text


def test_without_an_audit_a_project_is_told_that_nothing_is_compared(tmp_path: Path) -> None:
    results = synthetic_results(1, arms={"main": (0.3, 0.8)})
    text = synthetic_report(tmp_path, 1, results=results, verdict=verdict(results, None, None)).read_text()
    assert "No verdict: the recipe names no baseline" in Page(text).text
    assert audit({}, {}) is None and audit({("main", 0): Outlook([], None, None, 0)}, {}) is None


@pytest.mark.parametrize("page", [project, audited])
def test_the_table_is_saved(browser: Browser, written: Any, page: Any) -> None:
    browser.open(written(page))
    file = browser.download("document.querySelector('[aria-label=\"CSV: Audit accuracy by labels\"]')")
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8"), newline="")))
    runs = synthetic_audits(["main"]) if page is project else synthetic_audits(["ssl_only", "ssl_and_al"], seeds=2)
    expected = [(arm, seed, learned) for (arm, seed), one in runs.items() for learned in one.curve]
    for row, (arm, seed, learned) in zip(rows, expected, strict=page is project):
        assert page is project or (row["run"], row["run, note"]) == (arm, f"seed {seed}")
        mean, low, high, n = learned.accuracy
        numbers = [str(learned.labels), *(f"{100 * part:.1f}" for part in (mean, low, high)), str(n)]
        assert [row[name] for name in row if not name.startswith("run")] == [*numbers, f"{learned.minutes:.1f}"]
    assert browser.complaints() == []
