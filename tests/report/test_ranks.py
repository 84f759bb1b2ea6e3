"""Ranks over data sets, from a recipe that varies its data to verdict.json, the words and the drawing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from synthetic_results import synthetic_results

from ssal.compare import Ended
from ssal.conclude import Concluded, conclude
from ssal.evaluation.ranking import friedman
from ssal.evaluation.statistics import aubc
from ssal.recipe import Recipe, load
from ssal.report.ranks import levels, rank_diagram, ranks

RECIPE = """\
name: ranked
seeds: [0, 1, 2]
learner: {method: linear_probe}
acquisition: {strategy: random, first_size: 20, query_size: 20, budget: 100}
compare: {baseline: random, treatment: margin}
arms:
  random: {}
  margin: {acquisition: {strategy: margin}}
  entropy: {acquisition: {strategy: entropy}}
"""
BIRDS_AND_MORE = [f"pictures/{name}" for name in ("birds", "clouds", "flowers", "leaves", "mosses")]
ENDS = {"random": 0.80, "entropy": 0.83, "margin": 0.90}


def recipe_over(folder: Path, varied: str, text: str = RECIPE) -> Recipe:
    (folder / "r.yaml").write_text(text + varied)
    return load(folder / "r.yaml")


def five(folder: Path, paths: list[str] | None = None, more: str = "") -> Recipe:
    listed = ", ".join(paths or BIRDS_AND_MORE)
    return recipe_over(folder, f"data: {{source: folder, size: 8}}\ngrid: {{data: {{path: [{listed}]}}{more}}}\n")


def rows_of(recipe: Recipe) -> list[dict[str, Any]]:
    """Return rows in which the arms end in one order on every data set, each a little higher than the last one."""
    rows = []
    for at, arms in enumerate(recipe.conditions.values()):
        made = synthetic_results(3, arms={name: (0.3, end + 0.01 * at) for name, end in ENDS.items()}, noise=0.001)
        rows += [{**row, "arm": arms[row["arm"]]} for row in made]
    return rows


def concluded(recipe: Recipe, folder: Path, rows: list[dict[str, Any]] | None = None) -> tuple[Concluded, Any, str]:
    """Return what `conclude` returns, verdict.json and the page."""
    found = conclude(recipe, Ended(rows_of(recipe) if rows is None else rows), folder, "ssal compare r.yaml")
    written = json.loads((folder / "ranked" / "verdict.json").read_text(encoding="utf-8"))
    return found, written, (folder / "ranked" / "report.html").read_text(encoding="utf-8")


def test_five_data_sets_are_ranked_in_the_file_the_words_and_the_page(tmp_path: Path) -> None:
    recipe = five(tmp_path)
    found, written, page = concluded(recipe, tmp_path)
    assert list(written) == ["comparisons", "ranking"] and found.ranking is not None
    ranking = written["ranking"]
    assert ranking == json.loads(json.dumps(found.ranking))
    rows = rows_of(recipe)
    table: dict[str, dict[str, float]] = {}
    for condition, arms in recipe.conditions.items():
        for name, arm in arms.items():
            curves = [[row for row in rows if row["arm"] == arm and row["seed"] == seed] for seed in recipe.seeds]
            each = [aubc([row["labels"] for row in one], [row["accuracy"] for row in one]) for one in curves]
            table.setdefault(condition, {})[name] = sum(each) / len(each)
    expected = friedman(table)
    assert ranking["ranks"] == {"margin": 1.0, "entropy": 2.0, "random": 3.0} == expected.ranks
    assert (ranking["statistic"], ranking["p"]) == pytest.approx((expected.statistic, expected.p))
    assert ranking["groups"] == [["margin", "entropy"], ["entropy", "random"]]
    assert [one["data_set"] for one in ranking["data_sets"]] == ["birds", "clouds", "flowers", "leaves", "mosses"]
    assert [one["areas"] for one in ranking["data_sets"]] == [pytest.approx(row) for row in table.values()]
    assert found.words()[-1] == ranking["sentence"] and ranking["sentence"] in page
    assert "not told apart, are margin and entropy; entropy and random." in ranking["sentence"]
    assert page.index("The same question under 5 conditions") < page.index("<h2>Ranks over data sets</h2>")
    assert page.index("<h2>Ranks over data sets</h2>") < page.index("Learning curves")
    section = page.split("<h2>Ranks over data sets</h2>")[1].split("</section>")[0]
    assert section.count("Critical-difference diagram. Over 5 data sets the arms differ") == 2
    assert re.findall(r"</i>(\w+)</th><td>([\d.]+)</td>", section) == [
        ("margin", "1.00"),
        ("entropy", "2.00"),
        ("random", "3.00"),
    ]
    assert (
        "On each of 5 data sets arms were ranked by their mean area under the curve of test accuracy (Zhan et al., "
        "2021); mean ranks were compared with the Friedman test at 0.05 (Friedman, 1937; Demšar, 2006), then by "
        "Nemenyi&#39;s critical difference (Nemenyi, 1963; Demšar, 2006)."
    ) in page
    assert "The use of ranks to avoid the assumption of normality" in page


def test_four_data_sets_give_null(tmp_path: Path) -> None:
    found, written, page = concluded(five(tmp_path, BIRDS_AND_MORE[:4]), tmp_path)
    assert written["ranking"] is None is found.ranking and len(written["comparisons"]) == 4
    assert "Ranks over data sets" not in page and "Friedman" not in page and "Demšar" not in page
    assert found.words() == [sentence for one in found.comparisons for sentence in one.words()]


def test_one_path_is_one_data_set_however_it_is_written(tmp_path: Path) -> None:
    four = [*BIRDS_AND_MORE[:4], "pictures/./leaves/"]
    assert list(five(tmp_path, four).data_sets) == ["birds", "clouds", "flowers", "leaves"]
    sized = five(tmp_path, more=", acquisition: {query_size: [10, 20]}")
    assert len(sized.conditions) == 10 and len(sized.data_sets) == 5
    assert sized.data_sets["mosses"] == ["pictures_mosses-query_size_10", "pictures_mosses-query_size_20"]
    sources = recipe_over(tmp_path, "zip: {data: {source: [digits, fashion_mnist]}}\n")
    assert sources.data_sets == {"digits": ["digits"], "fashion_mnist": ["fashion_mnist"]}
    alike = five(tmp_path, ["one/pictures", "two/pictures", "three"])
    assert list(alike.data_sets) == ["folder one/pictures", "folder two/pictures", "three"]
    arms = recipe_over(
        tmp_path, "data: {source: digits}\n", RECIPE.replace("random: {}", "random: {data: {path: x, source: folder}}")
    )
    assert list(arms.data_sets) == ["digits and x"]


def test_nothing_has_run_yet(tmp_path: Path) -> None:
    _, written, page = concluded(five(tmp_path), tmp_path, [])
    assert written["ranking"]["ranks"] == {} and "and there are 0 and 0." in page
    assert "Critical-difference diagram" not in page


MADE = {
    "sentence": "Said of the ranks.",
    "ranks": {"a": 1.2, "b": 2.0, "c": 3.0, "d": 4.8, "e": 4.9},
    "critical_difference": 2.5,
    "groups": [["a", "b", "c"], ["c", "d", "e"]],
}
COLOURS = {arm: number for number, arm in enumerate("abcde")}


def bars(svg: str, width: float) -> list[tuple[float, float, float]]:
    """Return (from, to, height) of the level lines of one width."""
    number = r"([\d.]+)"
    found = re.findall(rf'<path d="M {number} {number} \s*L {number} {number} \s*"[^>]*stroke-width: {number}', svg)
    lines = [tuple(map(float, one)) for one in found]
    return [(x0, x1, y0) for x0, y0, x1, y1, drawn in lines if drawn == width and y0 == y1]


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_the_drawing_is_to_scale(variant: str) -> None:
    drawn = re.findall(rf'<svg class="{variant}".*?</svg>', rank_diagram(MADE, COLOURS), flags=re.S)[0]
    axis = next(bar for bar in bars(drawn, 1.2) if bar[1] - bar[0] > 50)
    step = (axis[1] - axis[0]) / 4
    length = next(bar for bar in bars(drawn, 1.6) if bar[2] < axis[2])
    assert length[0] == pytest.approx(axis[0], abs=0.1)
    assert length[1] - length[0] == pytest.approx(2.5 * step, abs=0.1)
    first, second = bars(drawn, 4.5)
    assert (first[0] + 4 - axis[0]) / step + 1 == pytest.approx(1.2, abs=0.01)
    assert (first[1] - 4 - axis[0]) / step + 1 == pytest.approx(3.0, abs=0.01)
    assert second[1] - second[0] == pytest.approx(1.9 * step + 8, abs=0.1)
    assert second[2] > first[2] > axis[2], "bars that meet lie below each other, under the axis"
    for arm, rank in MADE["ranks"].items():
        assert f"{arm}  {rank:.2f}" in drawn and f"var(--arm-{COLOURS[arm]})" in drawn
    assert ("critical difference 2.50" if variant == "wide" else "CD 2.50") in drawn
    assert 'aria-label="Critical-difference diagram. Said of the ranks."' in drawn


def test_bars_share_a_level_where_they_do_not_meet() -> None:
    assert levels([(1, 2), (1.5, 3), (2.5, 4), (3.5, 5)]) == [(1, 2, 0), (1.5, 3, 1), (2.5, 4, 0), (3.5, 5, 1)]
    assert levels([(1, 2), (2, 3)]) == [(1, 2, 0), (2, 3, 1)] and levels([]) == []


def test_a_long_name_loses_its_middle() -> None:
    long = {
        "a_very_long_name_that_somebody_thought_was_needed_" * 3 + str(number): float(number) for number in (1, 2, 3)
    }
    found = rank_diagram({**MADE, "ranks": long, "groups": []}, {arm: at for at, arm in enumerate(long)})
    texts = re.findall(r">([^<]*…[^<]*)</text>", found)
    assert len(texts) == 6 and all(text.startswith("a_very") for text in texts)
    assert {text[-7:] for text in texts} == {f"{number}  {number}.00" for number in (1, 2, 3)}


def test_no_ranking_no_section_and_averages_are_said_to_be() -> None:
    assert ranks(None, {}) is None
    once = {"data_set": "birds", "conditions": [{}], "areas": {}}
    for conditions, averaged in (([{}], False), ([{}, {}], True)):
        found = ranks({**MADE, "p": 0.01, "data_sets": [once, {**once, "conditions": conditions}]}, COLOURS)
        assert found is not None and found["averaged"] == averaged and found["rejected"]
        assert found["diagram"] == rank_diagram(MADE, COLOURS), "the same input gives the same bytes"
