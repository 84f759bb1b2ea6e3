"""Cells that do not come to their end: the others' results are written, and what stands says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine, refused
from tiny_runs import write_pictures

from ssal import compare as comparing
from ssal.commands.running import _leave
from ssal.compare import Ended
from ssal.errors import BadInput, Terminated
from ssal.evaluation.results import read_results

RECIPE = """\
name: tiny
seeds: [0, 1]
data: {source: folder, path: pictures, size: 8, flip: false}
backbone: {name: wrn_10_1}
pretext: {method: none}
learner: {method: supervised, steps: 4, batch_size: 8}
acquisition: {strategy: random, query_size: 6, budget: 12}
trainer: {accelerator: cpu}
compare: {baseline: random, treatment: margin}
arms:
  odd: {acquisition: {strategy: odd.py:odd}}
  random: {}
  margin: {acquisition: {strategy: margin}}
"""
ODD = """\
import sys

import torch

from ssal.registry import scores


@scores
def odd(probabilities):
    {body}
    return probabilities[:, 0]
"""
CELL = Path("checkpoints/tiny/odd/seed_0")


@pytest.fixture
def ssal(command_line: CommandLine) -> CommandLine:
    Path("tiny.yaml").write_text(RECIPE)
    write_pictures(Path("pictures"))
    return command_line


@pytest.mark.parametrize(
    ("body", "state", "code", "reason"),
    [
        ("return probabilities[:, 0] * float('nan')", "BadInput", 2, "scores are not finite"),
        ("raise ValueError('of my own')", "ValueError", 1, "of my own"),
        ("sys.exit(3)", "SystemExit", 1, "3"),
    ],
)
def test_a_cell_that_ends_on_its_way_leaves_the_others_results(
    ssal: CommandLine, body: str, state: str, code: int, reason: str
) -> None:
    Path("odd.py").write_text(ODD.format(body=body))
    said = ssal("compare", "tiny.yaml", "--jobs", "1")
    assert said.code == code
    assert "odd seed 0 failed and the others go on" in said.log and reason in said.log
    rows = read_results(Path("checkpoints/tiny/results.csv"))
    ends: dict[str, list[int]] = {}
    for row in rows:
        ends.setdefault(row["arm"], []).append(row["labels"])
    assert ends == {"odd": [6, 6], "random": [6, 12, 6, 12], "margin": [6, 12, 6, 12]}
    failed = json.loads((CELL / "failed.json").read_text())
    assert failed["state"] == state and reason in failed["reason"]
    (comparison,) = json.loads(Path("checkpoints/tiny/verdict.json").read_text())["comparisons"]
    assert comparison["seeds"] == 2
    assert [one["arm"] for one in comparison["family"]["arms"]] == ["margin"], (
        "an arm that ended early is no comparison"
    )
    assert comparison["family"]["not_comparable"] == ["odd"] and comparison["family"]["comparisons"] == 1
    assert not any("odd" in line for line in comparison["others"])
    assert "odd seed 0 did not finish" in Path("checkpoints/tiny/report.html").read_text()
    if code == 2:
        refused(said, reason)
    shown = ssal("compare", "tiny.yaml", "--status")
    assert "2 failed" in shown.out and "4 done" in shown.out


def test_a_run_of_another_recipe_is_still_refused_before_anything_is_written(ssal: CommandLine) -> None:
    Path("odd.py").write_text(ODD.format(body=""))
    assert ssal("compare", "tiny.yaml", "seeds=[0]", "--jobs", "1").code == 0
    before = Path("checkpoints/tiny/results.csv").read_bytes()
    said = ssal("compare", "tiny.yaml", "seeds=[0]", "learner.steps=6", "--jobs", "1")
    refused(said, "learner.steps differ")
    assert Path("checkpoints/tiny/results.csv").read_bytes() == before and not (CELL / "failed.json").exists()
    refused(ssal("compare", "tiny.yaml", "seeds=[0]", "acquisition.budget=7", "--jobs", "1"), "12 labels are asked for")
    assert Path("checkpoints/tiny/results.csv").read_bytes() == before


def test_a_cell_that_dies_before_it_begins_leaves_no_rows_of_another_recipe(
    ssal: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("odd.py").write_text(ODD.format(body=""))
    assert ssal("compare", "tiny.yaml", "seeds=[0]", "--jobs", "1").code == 0
    run = comparing.run_cell

    def dies(**keywords: Any) -> str:
        if keywords["arm"] == "odd":
            raise MemoryError("no room for the images")
        return run(**keywords)

    monkeypatch.setattr(comparing, "run_cell", dies)
    said = ssal("compare", "tiny.yaml", "seeds=[0]", "learner.steps=6", "--jobs", "1", "--overwrite")
    assert said.code == 1 and "odd seed 0 failed" in said.log
    rows = read_results(Path("checkpoints/tiny/results.csv"))
    assert {row["arm"] for row in rows} == {"random", "margin"}, "odd's rows were made with four steps"
    report = Path("checkpoints/tiny/report.html").read_text()
    assert "odd seed 0 did not finish" in report and "</i>odd</h3>" not in report and "</i>margin</h3>" in report, (
        "nor is what it asked for shown"
    )
    monkeypatch.setattr(comparing, "run_cell", run)
    assert ssal("compare", "tiny.yaml", "seeds=[0]", "--jobs", "1", "--overwrite").code == 0
    assert {row["arm"] for row in read_results(Path("checkpoints/tiny/results.csv"))} == {"odd", "random", "margin"}


def test_who_waits_is_told_where_another_cell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput, match="this is wrong"):
        _leave(Ended([], {"a seed 0": "BadInput: this is wrong"}, ["6 images wait"], ["this is wrong"]))
    assert "6 images wait" in capsys.readouterr().err


def test_an_end_from_outside_ends_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(**keywords: Any) -> str:
        raise Terminated(143)

    monkeypatch.setattr(comparing, "run_cell", ended)
    with pytest.raises(Terminated):
        list(comparing._here([{"arm": "a", "seed": 0}, {"arm": "a", "seed": 1}]))


def test_what_is_finished_asks_no_executor(ssal: CommandLine) -> None:
    """So a comparison is read again when the cluster that ran it is gone."""
    Path("odd.py").write_text(ODD.format(body=""))
    assert ssal("compare", "tiny.yaml", "seeds=[0]", "--jobs", "1").code == 0
    assert ssal("compare", "tiny.yaml", "seeds=[0]", "--executor", "ray://127.0.0.1:1").code == 0
