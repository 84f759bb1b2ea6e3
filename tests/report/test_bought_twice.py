"""What two arms bought alike, on the page: every percentage, what chance would give, and many arms side by side."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from synthetic_report import synthetic_report
from synthetic_results import synthetic_results

from ssal.evaluation.overlaps import Bought, overlaps
from ssal.evaluation.verdict import verdict
from ssal.report.comparison import Comparison

ASKABLE = 200


def drawn(arms: list[str], seeds: int = 2, rounds: int = 3, size: int = 10) -> Bought:
    """Return arms that draw at random after a start that they share."""
    ids = np.array([f"{number:016x}" for number in range(ASKABLE)])
    bought: dict[str, dict[int, list[frozenset[str]]]] = {arm: {} for arm in arms}
    for seed in range(seeds):
        start = np.random.default_rng(seed).permutation(ids)
        for number, arm in enumerate(arms):
            later = np.random.default_rng([seed, number]).permutation(start[size:])
            parts = [start[:size], *(later[turn * size : (turn + 1) * size] for turn in range(rounds - 1))]
            bought[arm][seed] = [frozenset(part) for part in parts]
    return bought


def page(folder: Path, bought: Bought) -> str:
    rows = synthetic_results(2, arms=dict.fromkeys(bought, (0.4, 0.9)))
    arms = list(bought)
    said = verdict(rows, *arms[:2])
    found = overlaps(bought, dict.fromkeys(bought, ASKABLE))
    one = Comparison("", {arm: arm for arm in arms}, rows, said, found)
    path = synthetic_report(folder, results=rows, comparisons=[one], verdict=said, gallery={}, class_mix={})
    return path.read_text(encoding="utf-8")


def test_every_percentage_and_what_chance_would_give(tmp_path: Path) -> None:
    bought = drawn(["one", "two", "three"])
    found = overlaps(bought, dict.fromkeys(bought, ASKABLE))
    assert found is not None
    text = page(tmp_path, bought).split("Images that two arms bought</h2>")[1].split("</section>")[0]
    for one, row in found["shares"].items():
        for two, share in row.items():
            assert f'title="of what {one} bought, {two} bought {100 * share:.0f} %">{100 * share:.0f}</td>' in text
    assert "would share 10.5 % on average" in " ".join(text.split())  # 20 of the 190 that are left after the start
    by_round = re.findall(r"</i>(\w+)</th><td>([\d.]+)</td><td>([\d.]+)</td>", text)
    assert by_round == [
        (arm, *(f"{100 * share:.1f}" for share in row.values())) for arm, row in found["by_round"].items()
    ]
    assert re.findall(r"random draws of as many</th><td>([\d.]+)</td><td>([\d.]+)</td>", text) == [("5.3", "10.5")]


def test_twelve_arms_scroll_and_one_arm_has_nothing_to_share(tmp_path: Path) -> None:
    text = page(tmp_path, drawn([f"strategy_{number}" for number in range(12)], rounds=10))
    table = text.split('aria-label="Images that two arms bought">')[1].split("</table>")[0]
    assert table.count("<td style") == 12 * 11 and text.count('role="region" aria-label="Images that') == 2
    assert "Images that two arms bought" not in synthetic_report(tmp_path).read_text(encoding="utf-8")
