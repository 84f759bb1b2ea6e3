"""A comparison under several conditions: a verdict each, on one page, with one colour for an arm throughout."""

from __future__ import annotations

import re
from pathlib import Path

from synthetic_report import synthetic_conditions, synthetic_report

from ssal.evaluation.results import renamed

CONDITIONS = {"low": 0.0, "high": 0.3}
"""Condition -> what the treatment gains in it."""


def test_every_condition_has_its_verdict_and_an_arm_one_colour(tmp_path: Path) -> None:
    rows, comparisons = synthetic_conditions(CONDITIONS)
    for one in comparisons:
        assert renamed(rows, one.arms) == one.results
    page = synthetic_report(tmp_path, 5, results=rows, comparisons=comparisons).read_text(encoding="utf-8")
    assert "The same question under 2 conditions" in page
    for condition, one in zip(CONDITIONS, comparisons, strict=True):
        assert f"Verdict: {condition}" in page and f"Learning curves: {condition}" in page
        assert one.verdict["sentence"] in page
    assert comparisons[0].verdict["sentence"] != comparisons[1].verdict["sentence"]
    assert len(re.findall(r'<svg class="wide"', page)) == 10
    colours = {
        (arm, number) for number, arm in re.findall(r'--arm-(\d)\)">[^<]*</i>(ssl_only|ssl_and_al|supervised)', page)
    }
    assert colours == {("ssl_and_al", "0"), ("ssl_only", "1"), ("supervised", "2")}
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
