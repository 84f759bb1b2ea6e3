"""`ssal audit`: labels that similar images disagree with come first, in audit.csv and in the report."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from command_line import CommandLine, refused
from synthetic_results import ARMS, synthetic_results
from tiny_runs import write_pictures

from ssal.compare import Ended
from ssal.conclude import conclude
from ssal.recipe import load

RECIPE = """\
name: tiny
seeds: [0]
data: {source: folder, path: pictures, size: 8, flip: false, labels: given}
backbone: {name: wrn_10_1}
pretext: {method: simclr, epochs: 20, batch_size: 60, optimiser: sgd, learning_rate: 0.1, min_scale: 0.5}
learner: {method: linear_probe}
acquisition: {strategy: random, query_size: 4, budget: 8}
trainer: {accelerator: cpu}
"""
FLIPPED = {"nought": "one", "one": "two", "two": "three"}
"""Class -> the folder that its first training image is put into."""


@pytest.fixture
def ssal(command_line: CommandLine) -> CommandLine:
    Path("tiny.yaml").write_text(RECIPE)
    write_pictures(Path("pictures"), train=30)
    for name, other in FLIPPED.items():
        first = sorted(Path(f"pictures/train/{name}").glob("*.png"))[0]
        first.rename(f"pictures/train/{other}/wrong_{name}.png")
    return command_line


def rows() -> list[dict[str, str]]:
    with Path("checkpoints/tiny/audit.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_wrong_labels_come_first_and_are_shown(ssal: CommandLine) -> None:
    words = ("labelling.answered_by=inbox",)
    said = ssal("audit", "tiny.yaml", *words)
    assert said.code == 0, said
    found = rows()
    assert [row["rank"] for row in found] == [str(n) for n in range(1, 121)] and len(
        {row["id"] for row in found}
    ) == 120
    assert [float(row["disagreement"]) for row in found] == sorted(
        (float(r["disagreement"]) for r in found), reverse=True
    )
    wrong = [row for row in found if "wrong_" in row["path"]]
    assert all(int(row["rank"]) <= 24 for row in wrong), "of 120 labels these 3 are wrong"
    assert sum(row["propagated"] == Path(row["path"]).stem.removeprefix("wrong_") for row in wrong) >= 2
    differ = [row for row in found if row["propagated"] not in ("", row["label"])]
    assert f"{len(differ)} of 120 labels differ" in said.out
    page = Path("checkpoints/tiny/report.html").read_text(encoding="utf-8")
    assert "Labels to look at again" in page and f"{wrong[0]['label']} → {wrong[0]['propagated']}" in page


def test_the_labels_of_a_run_are_audited(ssal: CommandLine) -> None:
    words = ("data.labels=hidden",)
    refused(ssal("audit", "tiny.yaml", *words), "this run has 0 labels of 0 classes", "data.labels=given")
    assert ssal("run", "tiny.yaml", *words, "--jobs", "1").code == 0
    assert ssal("audit", "tiny.yaml", *words).code == 0
    assert len(rows()) == 8


def test_a_label_without_another_of_its_class_is_not_judged(ssal: CommandLine) -> None:
    alone = sorted(Path("pictures/train/three").glob("*.png"))[0]
    Path("pictures/train/threee").mkdir()
    alone.rename(f"pictures/train/threee/{alone.name}")
    said = ssal("audit", "tiny.yaml", "labelling.answered_by=inbox")
    assert "of 119 labels differ" in said.out and "1 could not be judged" in said.out
    last = rows()[-1]
    assert (last["label"], last["propagated"], last["disagreement"]) == ("threee", "", "")


def test_what_is_not_there_to_be_audited(ssal: CommandLine) -> None:
    refused(ssal("audit", "tiny.yaml", "labelling.answered_by=inbox", "--arm", "mian"), "did you mean 'main'?")
    refused(ssal("audit", "tiny.yaml", "labelling.answered_by=inbox", "--seed", "7"), "there is no seed 7 (seeds: 0)")
    none = ("labelling.answered_by=inbox", "pretext.method=none")
    refused(ssal("audit", "tiny.yaml", *none), "has no encoder; type pretext.method=simclr")


def test_without_an_audit_the_report_needs_no_image(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        RECIPE + f"compare: {{baseline: ssl_only, treatment: ssl_and_al}}\narms: {dict.fromkeys(ARMS, {})}\n"
    )
    loaded = load(path, ["data.labels=hidden", f"data.path={tmp_path / 'nowhere'}"])
    conclude(loaded, Ended(synthetic_results()), tmp_path, "ssal compare")
    page = (tmp_path / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "Labels to look at again" not in page
