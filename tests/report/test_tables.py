"""The page's tables in a real browser: sorted by mouse and by keyboard, and saved as CSV."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from synthetic_pages import full
from synthetic_results import synthetic_results

from ssal.evaluation.results import write_results
from ssal.evaluation.table import lines
from ssal.report.report import spell
from ssal.report.tables import script

TABLE = "document.querySelector('[aria-label=\"{}\"] table')"
ACCURACY = TABLE.format("Accuracy by labels")


def column(browser: Browser, table: str, number: int) -> list[str]:
    return browser.evaluate(f"[...{table}.tBodies[0].rows].map(row => row.cells[{number}].innerText.trim())")


def sorted_by(browser: Browser, table: str) -> list[str | None]:
    return browser.evaluate(f"[...{table}.tHead.rows[0].cells].map(cell => cell.getAttribute('aria-sort'))")


def test_a_click_sorts_numbers_as_numbers_and_another_turns_it_round(browser: Browser, written: Any) -> None:
    browser.open(written(full))
    before = [float(text.split(" ± ")[0]) for text in column(browser, ACCURACY, 5)]
    for order, turned in (("ascending", False), ("descending", True), ("ascending", False)):
        browser.click(f"{ACCURACY}.tHead.querySelectorAll('button')[5]")
        after = [float(text.split(" ± ")[0]) for text in column(browser, ACCURACY, 5)]
        assert after == sorted(before, reverse=turned) != before
        assert sorted_by(browser, ACCURACY) == [*[None] * 5, order, None]
    browser.click(f"{ACCURACY}.tHead.querySelectorAll('button')[0]")
    names = [text.lstrip("●■◆").split("\n")[0] for text in column(browser, ACCURACY, 0)]
    assert names == ["ssl_and_al", "ssl_only", "supervised", *["svm on raw inputs"] * 2]
    assert sorted_by(browser, ACCURACY)[0] == "ascending"


def test_the_keyboard_sorts(browser: Browser, written: Any) -> None:
    browser.open(written(full))
    browser.evaluate(f"{ACCURACY}.tHead.querySelector('button').focus()")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.textContent") == "20 labels"
    for key, order in (("Enter", "ascending"), (" ", "descending")):
        browser.press(key)
        assert sorted_by(browser, ACCURACY)[1] == order
    assert browser.evaluate("document.activeElement.textContent") == "20 labels"
    outlined = "getComputedStyle(document.activeElement).outlineStyle"
    assert browser.evaluate(outlined) == "solid"


HAND_MADE = """<!doctype html><meta charset="utf-8"><h1>réci/pe</h1><div role="region" aria-label="By hand"><table>
<thead><tr><th scope="col">arm</th><th scope="col" data-name="20 labels">20</th><th scope="col">points</th>
<th scope="col">interval</th><th scope="col">drawn</th></tr></thead><tbody>
<tr><th scope="row"><i aria-hidden="true">●</i>b, "c"<span class="soft">slow</span></th><td>76.0 ± 5.9</td><td>−3.2</td>
  <td>−3.5 to +1.0</td><td></td></tr>
<tr><th scope="row">a9
ß</th><td>9.5 ± 0.1</td><td>+10.0</td><td>not reached to 4</td><td></td></tr>
<tr><th scope="row">a10</th><td>–</td><td>1e-05</td><td>–</td><td></td></tr>
<tr><th scope="row">+9</th><td>76.0 ± 1.0</td><td>not reached</td><td>0.5 to 2</td><td></td></tr>
<tr><th scope="row">1 to 2</th><td colspan="3">no run</td></tr>
</tbody></table></div><script>%s</script>"""


@pytest.fixture
def by_hand(browser: Browser, tmp_path: Path) -> str:
    (tmp_path / "page.html").write_text(HAND_MADE % script(), encoding="utf-8")
    browser.open(tmp_path / "page.html")
    return TABLE.format("By hand")


@pytest.mark.parametrize(
    ("number", "upwards", "downwards"),
    [
        (0, ["1 to 2", "+9", "a9 ß", "a10", 'b, "c"'], ['b, "c"', "a10", "a9 ß", "+9", "1 to 2"]),
        (1, ["a9 ß", 'b, "c"', "+9", "a10", "1 to 2"], ['b, "c"', "+9", "a9 ß", "a10", "1 to 2"]),
        (2, ['b, "c"', "a10", "a9 ß", "+9", "1 to 2"], ["+9", "a9 ß", "a10", 'b, "c"', "1 to 2"]),
        (3, ['b, "c"', "+9", "a9 ß", "a10", "1 to 2"], ["a9 ß", "+9", 'b, "c"', "a10", "1 to 2"]),
    ],
)
def test_order_by_hand(browser: Browser, by_hand: str, number: int, upwards: list[str], downwards: list[str]) -> None:
    """Equal rows stay in their order, what is empty comes last both ways, "not reached" is beyond every number."""
    for expected in (upwards, downwards):
        browser.click(f"{by_hand}.tHead.querySelectorAll('button')[{number}]")
        names = browser.evaluate(
            f"[...{by_hand}.tBodies[0].rows].map(row => [...row.cells[0].childNodes].find(node => node.data).data)"
        )
        assert [" ".join(name.split()) for name in names] == expected
    assert browser.evaluate(f"{by_hand}.tHead.querySelectorAll('button').length") == 4, "nothing to sort in `drawn`"


def test_a_saved_table_by_hand(browser: Browser, by_hand: str) -> None:
    file = browser.download("document.querySelector('.save')")
    assert file.name == "réci-pe-By-hand.csv"
    assert file.read_bytes().decode("utf-8").split("\n") == [
        'arm,"arm, note",20 labels,"20 labels, ±",points,"interval, low","interval, high"',
        '"b, ""c""",slow,76.0,5.9,-3.2,-3.5,1.0',
        '"a9', 'ß",,9.5,0.1,10.0,not reached,4',
        "a10,,,,1e-05,,",
        "+9,,76.0,1.0,not reached,0.5,2",
        "1 to 2,,no run,,,,",
        "",
    ]  # fmt: skip


def read(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8"), newline="")))


def saved(browser: Browser, name: str) -> Path:
    return browser.download(f"document.querySelector('[aria-label=\"CSV: {name}\"]')")


def test_what_is_saved_has_the_numbers_of_every_table(browser: Browser, written: Any) -> None:
    browser.open(written(full))
    numbers = r"(?<![\w.])[-−+]?\d+(?:\.\d+)?(?![\w.])"
    labels = browser.evaluate("[...document.querySelectorAll('[role=region]')].map(item => item.ariaLabel)")
    assert len(labels) > 8
    for label in labels:
        rows = read(saved(browser, label))
        cells = f"[...{TABLE.format(label)}.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.innerText))"
        for row, shown in zip(rows, browser.evaluate(cells), strict=True):
            name, *values = row.values()
            assert shown[0].startswith(name) or shown[0][1:].startswith(name)
            if label == "Seconds by stage":
                assert [spell(float(value)) if value else "–" for value in values] == shown[2:]
                continue
            kept = " ".join(value for heading, value in row.items() if not heading.endswith(", note"))
            expected = [text.replace("−", "-").lstrip("+") for text in re.findall(numbers, " ".join(shown[1:]))]
            assert re.findall(numbers, kept)[len(re.findall(numbers, name)) :] == expected


def test_saved_files_have_the_results(browser: Browser, written: Any, tmp_path: Path) -> None:
    browser.open(written(full))
    browser.click(f"{ACCURACY}.tHead.querySelectorAll('button')[1]")
    file = saved(browser, "Accuracy by labels")
    assert file.name == "synthetic-Accuracy-by-labels.csv"
    found = {(row["arm"], row["arm, note"]): row for row in read(file)}
    starts = [float(row["20 labels"]) for row in read(file)]
    assert starts == sorted(starts), "the file has the order of the page"
    for line in lines(synthetic_results()):
        (row,) = [
            row
            for (name, note), row in found.items()
            if name == line.name and (not line.reference or all(arm in note for arm in line.arms))
        ]
        for labels, cell in line.cells.items():
            assert row[f"{labels} labels"] == f"{100 * cell.mean:.1f}"
            assert row[f"{labels} labels, ±"] == f"{100 * cell.sd:.1f}"
    write_results(tmp_path / "results.csv", synthetic_results())
    browser.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
    file = saved(browser, "results")
    assert file.name == "synthetic-results.csv"
    assert file.read_bytes() == (tmp_path / "results.csv").read_bytes()
    assert browser.complaints() == []
    assert {url.partition(":")[0] for url in browser.requests()} <= {"file", "data", "blob"}
