"""What two arms bought alike, on the page: every percentage, what chance would give, and many arms side by side."""

from __future__ import annotations

import re
from pathlib import Path

from synthetic_report import ASKABLE, synthetic_bought, synthetic_report
from synthetic_results import synthetic_results

from ssal.evaluation.overlaps import Bought, overlaps
from ssal.evaluation.verdict import verdict
from ssal.report.comparison import Comparison


def page(folder: Path, bought: Bought) -> str:
    rows = synthetic_results(2, arms=dict.fromkeys(bought, (0.4, 0.9)))
    found = overlaps(bought, dict.fromkeys(bought, ASKABLE))
    said = verdict(rows, *[*bought, None][:2])
    one = Comparison("", {arm: arm for arm in bought}, rows, said, found)
    path = synthetic_report(folder, results=rows, comparisons=[one], verdict=said, gallery={}, class_mix={})
    return path.read_text(encoding="utf-8")


def test_every_percentage_and_what_chance_would_give(tmp_path: Path) -> None:
    bought = synthetic_bought(["one", "two", "three"])
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
    text = page(tmp_path, synthetic_bought([f"strategy_{number}" for number in range(12)], rounds=10))
    table = text.split('aria-label="Images that two arms bought">')[1].split("</table>")[0]
    assert table.count("<td style") == 12 * 11 and text.count('role="region" aria-label="Images that') == 2
    assert "Images that two arms bought" not in page(tmp_path, synthetic_bought(["alone"]))
