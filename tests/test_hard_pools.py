"""Rare classes, near-duplicates, images of no class and wrong answers, all at once, through every command."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import CommandLine, refused
from tiny_runs import pictures, recipe, run, small, write_pictures

from ssal.errors import BadInput
from ssal.labelling.answers import NONE, SHOWN
from ssal.labelling.ledger import Entry, Ledger
from ssal.project import results
from ssal.recipe import load, schema
from ssal.signals.parts import split

RECIPE = """\
name: tiny
data: {source: folder, path: pictures, size: 8, flip: false, imbalance: 2, out_of_class: [two], redundancy: 1}
backbone: {name: wrn_10_1}
pretext: {method: simclr, epochs: 1, batch_size: 32}
learner: {method: linear_probe}
labelling: {noise: 0.3}
acquisition: {strategy: margin, first_size: 8, query_size: 4, budget: 16}
trainer: {accelerator: cpu}
compare: {baseline: random, treatment: margin}
arms:
  random: {acquisition: {strategy: random}}
  margin:
"""
CELLS = {arm: Path(f"checkpoints/tiny/{arm}/seed_0") for arm in ("random", "margin")}
POOL: dict[str, Any] = {"imbalance": 2.0, "out_of_class": ["two"], "redundancy": 1}


@pytest.fixture
def ssal(command_line: CommandLine) -> CommandLine:
    Path("tiny.yaml").write_text(RECIPE)
    write_pictures(Path("pictures"))
    return command_line


def entries(arm: str) -> list[Entry]:
    return Ledger(CELLS[arm] / "ledger.sqlite").entries()


def table(name: str) -> list[dict[str, str]]:
    with Path(f"checkpoints/tiny/{name}").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_comparison_on_a_hard_pool(ssal: CommandLine) -> None:
    planned = ssal("check", "tiny.yaml")
    assert planned.code == 0, planned
    assert "then margin, answered by oracle (noise: 0.3))" in " ".join(planned.out.split())
    for told in ("note: out of class: 15 of 60", "note: imbalance: 32 of 45", "near-duplicates beside each of 47"):
        assert told in planned.out
    said = ssal("compare", "tiny.yaml", "--jobs", "1")
    assert said.code == 0, said
    images = pictures(Path("pictures"), Path("checkpoints"), **POOL)
    answers = {}
    for arm in CELLS:
        found = entries(arm)
        assert len(found) == 16 and {entry.who for entry in found} == {"oracle"}
        for entry in found:
            assert (entry.label is None) == (images.hidden[entry.id] == "two")
            assert answers.setdefault(entry.id, entry.label) == entry.label, "arms of a seed are told the same"
    wrong = {id for id, label in answers.items() if label not in (None, images.hidden[id])}
    without = {id for id, label in answers.items() if label is None}
    assert wrong and without and len(answers) < 32, "the arms share their first round"
    for row in table("results.csv"):
        asked = [entry for entry in entries(row["arm"]) if entry.round < int(row["round"])]
        none = sum(entry.label is None for entry in asked)
        assert int(row["labels"]) == len(asked) and float(row["noise"]) == 0.3
        assert float(row["without_class"] or 0) == none
        record = json.loads(Path(f"checkpoints/learners/{row['learner_folder']}/record.json").read_text())
        assert record["labels"] == len(asked) - none and record["classes"] == 3
    assert [row["labels"] for row in table("results.csv")] == ["8", "12", "16"] * 2
    counts = {arm: sum(entry.label is None for entry in entries(arm)) for arm in CELLS}
    wanted = (
        "On purpose 30 % of the answers that random, margin bought are wrong on average",
        f"Of 16 answers bought, these were that the image is of none of the classes: {counts['random']} of random's, "
        f"{counts['margin']} of margin's.",
    )
    page = Path("checkpoints/tiny/report.html").read_text(encoding="utf-8")
    for sentence in wanted:
        assert sentence in " ".join(said.out.split()) and sentence.replace("'", "&#39;") in page
    assert page.count(SHOWN[NONE]) > sum(counts.values()) and "note: redundancy: 1 near-duplicates beside" in page

    assert "2 of 2 cells are finished already" in ssal("run", "tiny.yaml", "--jobs", "1").log
    for changed in ("labelling.noise=0.2", "data.imbalance=3", "data.redundancy=2", "data.out_of_class=[three]"):
        refused(ssal("run", "tiny.yaml", changed, "--jobs", "1"), changed.split("=")[0])


def test_what_other_commands_say_of_a_hard_pool(ssal: CommandLine) -> None:
    assert ssal("run", "tiny.yaml", "--jobs", "1").code == 0
    asked = ssal("query", "tiny.yaml", "--strategies", "margin,coreset", "--size", "40")
    assert asked.code == 0, asked
    words = " ".join(asked.out.split())
    assert (
        asked.out.count("(oracle)") == 2
        and "% out of class: images of none of the classes" in words
        and "what the run itself was told is by oracle (noise: 0.3)" in words
    )
    found, rows = json.loads(Path("checkpoints/tiny/query.json").read_text()), table("query.csv")
    images = pictures(Path("pictures"), Path("checkpoints"), **POOL)
    left = set(images.pool.ids) - {entry.id for entry in entries("margin")}
    assert found["pool"] == len(left) and {row["id"] for row in rows} <= left, "nothing is asked for twice"
    share = sum(images.hidden[id] == "two" for id in left) / len(left)
    assert found["whole_pool"]["oracle_out_of_class"] == pytest.approx(share)
    for name, facts in found["strategies"].items():
        own = [row for row in rows if row["strategy"] == name]
        outside = [row for row in own if row["oracle_label"] == "two"]
        assert facts["oracle_out_of_class"] == pytest.approx(len(outside) / 40)
        assert all(row["oracle_wrong"] == "1" and row["predicted"] != "two" for row in outside)
    assert "% out of class</th>" in Path("checkpoints/tiny/report.html").read_text(encoding="utf-8")

    audited = ssal("audit", "tiny.yaml", "--arm", "margin")
    assert audited.code == 0 and "labels, answered by oracle (noise: 0.3)" in audited.log
    assert {row["id"]: row["label"] for row in table("audit.csv")} == Ledger(CELLS["margin"] / "ledger.sqlite").labels()

    measured = ssal("evaluate-encoder", "tiny.yaml")
    known = sum(label != "two" for label in images.hidden.values())
    assert measured.code == 0 and f"all {known} labels of the pool, {known} of them hidden" in measured.out
    assert ssal("embed", "tiny.yaml", "--out", "vectors").code == 0
    (sheet,) = Path("vectors").glob("*.csv")
    again = {"source": "embeddings", "path": str(sheet.with_suffix(".npy")), "out_of_class": ["two"]}
    recipe(Path("again.yaml"), data=again)
    said = ssal("run", "again.yaml", "--jobs", "1")
    assert said.code == 0 and f"{len(images.pool) - known} of {len(images.pool)} pool images are of none" in said.log


def test_a_first_round_may_give_no_label(tmp_path: Path) -> None:
    """What is out of class costs as much as a label, and the next round starts as cold as the first."""
    source = write_pictures(tmp_path / "pictures")
    images = pictures(source, tmp_path, out_of_class=["nought", "one"])
    sizes = {"first_size": 1, "query_size": 1, "budget": 4}
    arm = recipe(tmp_path / "tiny.yaml", learner=small("learner", "supervised"), acquisition=sizes).arms["main"]
    late = set()
    for seed in range(5):
        left = run(arm, images, tmp_path, seed)
        ledger = Ledger(tmp_path / f"run/main/seed_{seed}/ledger.sqlite")
        assert ledger.bought() == 4 and len(left.asked()) == 4
        rows = results(arm, seed, tmp_path / f"run/main/seed_{seed}")
        first = next((e.round for e in ledger.entries() if e.label is not None), 4)
        assert [row["labels"] for row in rows] == list(range(first + 1, 5)), "no learner before the first label"
        late.add(first)
    assert 0 in late and len(late) > 1


def test_what_is_of_no_class_is_not_asked_for_again(tmp_path: Path) -> None:
    images = pictures(write_pictures(tmp_path / "pictures"), tmp_path, out_of_class=["two"])
    ids = images.pool.ids
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([Entry(ids[3], None, "oracle", 0, "random", kind=NONE), Entry(ids[5], "one", "oracle", 0, "random")])
    table = split({"features": torch.arange(len(ids))}, images, ledger)
    assert table["rows"].tolist() == table["features"].tolist() == [n for n in range(len(ids)) if n not in (3, 5)]
    assert table["labels"].tolist() == [0] and table["labelled_features"].tolist() == [5]
    assert table["out_of_class_features"].tolist() == [3]


def test_people_do_not_answer_for_classes_that_are_out(ssal: CommandLine) -> None:
    Path("tiny.yaml").write_text(RECIPE.replace("noise: 0.3", "answered_by: inbox"))
    refused(ssal("run", "tiny.yaml", "--jobs", "1"), "data.out_of_class: the oracle alone answers")


def test_a_run_of_before_these_options_is_still_finished(ssal: CommandLine) -> None:
    without = RECIPE.replace(", imbalance: 2, out_of_class: [two], redundancy: 1", "").replace("noise: 0.3", "")
    Path("tiny.yaml").write_text(without)
    assert ssal("run", "tiny.yaml", "--jobs", "1").code == 0
    assert {"noise", "without_class"}.isdisjoint(table("results.csv")[0])
    for cell in CELLS.values():
        made_by = json.loads((cell / "run.json").read_text())
        for key in ("imbalance", "out_of_class", "redundancy", "pool_seed"):
            del made_by["recipe"]["data"][key]
        del made_by["recipe"]["labelling"]["noise"]
        (cell / "run.json").write_text(json.dumps(made_by))
    assert "2 of 2 cells are finished already" in ssal("run", "tiny.yaml", "--jobs", "1").log
    refused(ssal("run", "tiny.yaml", "labelling.noise=0.1", "--jobs", "1"), "labelling.noise differ")
    refused(
        ssal("run", "tiny.yaml", "data.redundancy=1", "--jobs", "1"), "data.redundancy, the images themselves differ"
    )


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("data.imbalance=0.5", "data.imbalance: expected at least 1.0, got 0.5"),
        ("data.imbalance=.inf", "data.imbalance: expected a finite number, got .inf"),
        ("data.imbalance=much", "data.imbalance: expected a number, got 'much'"),
        ("data={imbalance: {one: 2}}", "data.imbalance.one: expected at most 1.0, got 2"),
        ("data={imbalance: {one: 0}}", "data.imbalance.one: expected more than 0.0, got 0"),
        ("data.redundancy=-1", "data.redundancy: expected at least 0, got -1"),
        ("data.out_of_class=two", "data.out_of_class: expected a list, got 'two'"),
        ("data.pool_sed=1", "data.pool_sed: no such key for dataset 'folder'; did you mean 'pool_seed'?"),
        ("labelling.noise=1", "labelling.noise: expected less than 1.0, got 1"),
        ("labelling.noise=-0.1", "labelling.noise: expected at least 0.0, got -0.1"),
        ("labelling={answered_by: inbox, noise: 0.1}", "labelling.noise: no such key for answerer 'inbox'"),
    ],
)
def test_what_no_recipe_may_say(typed: str, message: str, tmp_path: Path) -> None:
    plain = RECIPE.replace("imbalance: 2, ", "").replace("labelling: {noise: 0.3}\n", "")
    (tmp_path / "tiny.yaml").write_text(plain)
    with pytest.raises(BadInput) as caught:
        load(tmp_path / "tiny.yaml", [typed])
    assert {line.partition(": ")[2].partition(" (")[0] for line in str(caught.value).splitlines()} == {message}


def test_editors_know_the_options() -> None:
    whole = json.dumps(schema()["properties"]["data"])
    assert all(f'"{key}"' in whole for key in ("imbalance", "out_of_class", "redundancy", "pool_seed"))
    assert '"noise"' in json.dumps(schema()["properties"]["labelling"])
