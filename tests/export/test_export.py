"""`ssal export`: what people answered, exactly, and what follows from it alone, whenever it is asked for."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import CommandLine, Said, refused
from PIL import Image
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from tiny_project import CELL, name_of
from tiny_runs import pictures, recipe, run, small, write_pictures

import ssal.cells
import ssal.data.load
import ssal.export.export
import ssal.standing
from ssal.acquisition.chosen import read_chosen
from ssal.artefacts import read_facts, read_json, read_tensors
from ssal.cells import images_of
from ssal.errors import BadInput, counted
from ssal.export.export import export
from ssal.export.place import files_in
from ssal.labelling import ledger as ledgers
from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE, SKIPPED, Answer
from ssal.labelling.files.csv_answers import read_csv
from ssal.labelling.ledger import AUDIT, Ledger
from ssal.recipe import load

TO = Path("checkpoints/project/export")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def ssal_line(ssal: CommandLine) -> CommandLine:
    """The tiny project, and the first ten of its images waiting for an answer."""
    refused(ssal("export", "project.yaml"), "nothing was answered yet", "type ssal run project.yaml")
    assert ssal("run", "project.yaml", "--jobs", "1").code == 3
    return ssal


def type_answers() -> dict[str, tuple[str, str, str]]:
    """Answer the first round as people do on the page; return what each image comes to: kind, label and who."""
    asked = sorted(choice.id for choice in read_chosen(CELL / "round_0/chosen.csv"))
    paths = {image["id"]: image["path"] for image in read_json(CELL / "round_0/question/question.json")["images"]}
    ledger = Ledger(CELL / "ledger.sqlite")

    def say(id: str, kind: str, label: str | None, who: str, decides: bool = False) -> None:
        answer = Answer(id, kind, label, who, 1.5, "2026-03-04T05:06:07+00:00")
        ledger.say([ledgers.Said(answer, 0, "page", decides)])

    for id in asked:
        say(id, LABEL, name_of(paths[id]), "ann")
    typed = {id: (LABEL, name_of(paths[id]), "ann") for id in asked}
    for id, kind in zip(asked, (NONE, CANNOT_TELL, SKIPPED), strict=False):
        say(id, kind, None, "ann")
        typed[id] = (kind, "", "ann")
    ledger.undo(ledger.said()[asked.index(asked[3])].position, "ann")
    say(asked[3], LABEL, "two", "ben")
    typed[asked[3]] = (LABEL, "two", "ben")
    say(asked[4], LABEL, "one" if name_of(paths[asked[4]]) == "nought" else "nought", "ben")
    del typed[asked[4]]  # people differ
    return typed


def exported() -> dict[str, tuple[str, str, str]]:
    return {row["id"]: (row["kind"], row["label"], row["who"]) for row in table(TO / "labels.csv")}


def test_what_was_typed_comes_out_before_and_after_the_first_classifier(ssal_line: CommandLine) -> None:
    refused(ssal_line("export", "project.yaml"), "nothing was answered yet")
    typed = type_answers()
    said = ssal_line("export", "project.yaml")
    assert said.code == 0, said
    assert exported() == typed and len(typed) == 9
    assert "labels.csv: 9 answers: 6 with a class, 1 none of the classes, 1 cannot tell, 1 skipped" in said.out
    assert "not among them, since people differ and a third look decides: 1" in said.out
    assert "no pseudo_labels.csv: there is no classifier yet" in said.out
    assert not (TO / "pseudo_labels.csv").exists()
    rows = table(TO / "labels.csv")
    assert {(row["when"], row["seconds"], row["round"]) for row in rows} == {("2026-03-04T05:06:07+00:00", "1.5", "0")}
    chosen_by = {choice.id: choice.strategy for choice in read_chosen(CELL / "round_0/chosen.csv")}
    assert {row["id"]: row["strategy"] for row in rows} == {id: chosen_by[id] for id in typed}
    assert list(chosen_by.values()).count(AUDIT) == 2
    paths = {row["id"]: row["path"] for row in rows}
    back = read_csv(TO / "labels.csv", paths, ["nought", "one", "two", "three"])
    assert not back.problems
    labels = {id: label for id, (kind, label, _) in typed.items() if kind == LABEL}
    assert {id: answer.label for id, answer in back.answers.items()} == labels
    copies = [path for path in (TO / "images").rglob("*") if path.is_file()]
    assert {next(id for id in labels if id in path.name): path.parent.name for path in copies} == labels
    assert all(path.read_bytes() == (Path("pictures") / paths[path.stem[-16:]]).read_bytes() for path in copies)
    refused(ssal_line("export", "project.yaml", "--pseudo-labels-above", "0.5"), "there is no classifier yet")

    (open_id,) = {choice.id for choice in read_chosen(CELL / "round_0/chosen.csv")} - typed.keys()
    third = Answer(open_id, LABEL, "three", "eve", 1.5)
    Ledger(CELL / "ledger.sqlite").say([ledgers.Said(third, 0, "page", decides=True)])
    assert ssal_line("run", "project.yaml", "--jobs", "1").code == 3
    said = ssal_line("export", "project.yaml", "--pseudo-labels-above", "0.25")
    assert said.code == 0, said
    assert exported() == typed | {open_id: (LABEL, "three", "eve")}
    check_second(said, {**labels, open_id: "three"})
    learned = sorted(Ledger(CELL / "ledger.sqlite").labels())[0]
    other = "one" if exported()[learned][1] != "one" else "two"
    late = Answer(learned, LABEL, other, "eve", 1.5)
    Ledger(CELL / "ledger.sqlite").say([ledgers.Said(late, 0, "page", decides=True)])
    said = ssal_line("export", "project.yaml")
    assert said.code == 0 and exported()[learned] == (LABEL, other, "eve"), said
    assert "no pseudo_labels.csv: since the last classifier was trained, an answer" in said.out
    assert not (TO / "pseudo_labels.csv").exists(), "nothing of the export before is left beside it"


def check_second(said: Said, labels: dict[str, str]) -> None:
    """Every image is answered or has a pseudo-label; one that was skipped has both."""
    kept = CELL / "round_1/outputs.safetensors"
    ids = [row["id"] for row in table(TO / "labels.csv") if row["kind"] != SKIPPED]
    pseudo = table(TO / "pseudo_labels.csv")
    found = [row["id"] for row in pseudo]
    assert found == sorted(found) and not {*found} & {*ids} and len(found) + len(ids) == 84
    names, table_of = read_facts(kept)["classes"], read_tensors(kept)["probabilities"]
    images = images_of(load(Path("project.yaml"), []).arms["main"], Path("checkpoints"))
    for row in pseudo:
        said_of = table_of[images.pool.row(row["id"])]
        assert (
            row["label"] == names[int(said_of.argmax())]
            and row["path"] == images.pool.paths[images.pool.row(row["id"])]
        )
        assert float(row["confidence"]) == pytest.approx(float(said_of.max()), abs=1e-4), "too few to calibrate on"
    audited = [row for row in table(TO / "labels.csv") if row["strategy"] == AUDIT]
    with_class = sum(row["kind"] == LABEL for row in audited)
    assert f"never trained on (strategy `audit`): {len(audited)}" in said.out and len(audited) == 2
    assert f"cannot be told: {counted(with_class, 'image of the audit has', 'images of the audit have')}" in said.out
    assert " a class, and that takes 30" in said.out
    coco = json.loads((TO / "coco.json").read_text())
    sure = {row["id"]: row["label"] for row in pseudo if float(row["confidence"]) >= 0.25}
    assert len(sure) > 0 and f"{len(sure)} pseudo-labels of confidence 0.25 or more" in said.out
    names_of = {category["id"]: category["name"] for category in coco["categories"]}
    assert {
        image["ssal_id"]: names_of[annotation["category_id"]]
        for image, annotation in zip(coco["images"], coco["annotations"], strict=True)
    } == labels | sure
    assert sum("score" in annotation for annotation in coco["annotations"]) == len(sure)
    for image in coco["images"]:
        assert (TO / image["file_name"]).read_bytes() == (Path("pictures") / image["ssal_path"]).read_bytes()
    copies = [path for path in (TO / "images").rglob("*") if path.is_file()]
    assert sum(path.name.startswith("pseudo_") for path in copies) == len(sure)
    assert len(copies) == len(labels) + len(sure)


def test_images_that_are_gone_keep_their_answers_and_suspects_are_those_of_audit(ssal_line: CommandLine) -> None:
    typed = type_answers()
    gone = next(id for id, (kind, _, _) in typed.items() if kind == LABEL)
    paths = {image["id"]: image["path"] for image in read_json(CELL / "round_0/question/question.json")["images"]}
    (Path("pictures") / paths[gone]).unlink()
    said = ssal_line("export", "project.yaml", "--as", "csv", "--to", "out")
    assert said.code == 0 and "of images that are gone from the data, so without a path" in said.out, said
    assert {path.name for path in Path("out").iterdir()} == {"labels.csv", "suspicious.csv", "export.json"}
    assert {row["id"]: row["label"] for row in table(Path("out/labels.csv"))} == {
        id: label for id, (_, label, _) in typed.items()
    }
    assert [row["path"] for row in table(Path("out/labels.csv")) if row["id"] == gone] == [""]
    encoders = sorted(Path("checkpoints/encoders").iterdir())
    assert ssal_line("audit", "project.yaml").code == 0
    assert sorted(Path("checkpoints/encoders").iterdir()) == encoders, "the encoder of before the image went is used"
    judged = table(Path("checkpoints/project/audit.csv"))
    assert {row["id"] for row in judged} == {id for id, (kind, _, _) in typed.items() if kind == LABEL} - {gone}
    differ = [row for row in judged if row["propagated"] not in ("", row["label"])]
    assert table(Path("out/suspicious.csv")) == [{**row, "rank": str(n)} for n, row in enumerate(differ, start=1)]
    assert f"suspicious.csv: {len(differ)} of 5 labels differ" in said.out
    Path("out/notes.txt").write_text("mine")
    refused(ssal_line("export", "project.yaml", "--to", "out"), "1 files since (notes.txt)")
    refused(ssal_line("export", "project.yaml", "--to", "pictures"), "where the images come from")


def test_a_class_is_exported_under_its_new_name(ssal_line: CommandLine) -> None:
    typed = type_answers()
    assert ssal_line("ledger", "rename", "project.yaml", "two", "zwei").code == 0
    words = ("data.classes=[nought, one, zwei, three, four]", "--as", "csv", "--as", "coco")
    assert ssal_line("export", "project.yaml", *words).code == 0
    assert exported() == {
        id: (kind, "zwei" if label == "two" else label, who) for id, (kind, label, who) in typed.items()
    }
    coco = json.loads((TO / "coco.json").read_text())
    assert all((Path("pictures") / image["file_name"]).is_file() for image in coco["images"]), (
        "no copies were asked for"
    )
    assert [category["name"] for category in coco["categories"]] == ["nought", "one", "zwei", "three", "four"]


def benchmark(tmp_path: Path) -> tuple[Any, Any]:
    """Return the recipe and images of a finished run that an oracle answered, 32 images of it for the audit."""
    loaded = recipe(
        tmp_path / "known.yaml",
        acquisition={"first_size": 40, "query_size": 20, "budget": 80},
        labelling={"answered_by": "oracle", "audit": 0.4},
        data={"source": "folder", "path": str(tmp_path / "pictures"), "size": 8, "flip": False},
        pretext=small("pretext", "simclr"),
        learner={"method": "linear_probe", "temperature_scaling": True},
    )
    images = pictures(write_pictures(tmp_path / "pictures", train=30), tmp_path)
    run(loaded.arms["main"], images, tmp_path, name="known")
    return loaded, images


def test_confidence_is_calibrated_on_the_audit_and_no_hidden_label_enters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, images = benchmark(tmp_path)
    cell = tmp_path / "known/main/seed_0"
    said = export(loaded, tmp_path, tmp_path / "plain", above=0.0)
    audited = Ledger(cell / "ledger.sqlite").audited()
    facts = read_facts(cell / "round_3/audit.safetensors")
    logits = read_tensors(cell / "round_3/audit.safetensors")["probabilities"].double().log().numpy()
    numbers = {name: column for column, name in enumerate(facts["classes"])}
    place = {id: row for row, id in enumerate(facts["ids"])}
    rows, labels = [place[id] for id in audited], [numbers[label] for label in audited.values()]

    def cost(log: float) -> float:
        found = log_softmax(logits[rows] / math.exp(log), axis=1)[np.arange(len(rows)), labels]
        return float(-found.sum() + 2 * log**2)

    temperature = math.exp(minimize_scalar(cost, bounds=(math.log(0.1), math.log(10)), method="bounded").x)
    record = read_json(tmp_path / "plain/export.json")["classifier"]
    assert len(audited) == 32 and record["audit_temperature"] == pytest.approx(temperature, rel=1e-3)
    assert record["own_temperature"] > 0 and record["labels"] == 48 and record["round"] == 3
    right = sum(logits[row].argmax() == label for row, label in zip(rows, labels, strict=True))
    assert record["accuracy"] == pytest.approx(right / 32)
    expected = np.exp(log_softmax(logits / temperature, axis=1)).max(axis=1)
    pseudo = {row["id"]: float(row["confidence"]) for row in table(tmp_path / "plain/pseudo_labels.csv")}
    waiting = [id for id in facts["ids"] if id not in audited]
    assert len(waiting) == 16 and len(pseudo) == 40
    assert [pseudo[id] for id in waiting] == pytest.approx([expected[place[id]] for id in waiting], abs=1e-3)
    assert any("calibrated on 32 audit images" in line and f"{temperature:.2f}" in line for line in said.lines)

    asked = set(Ledger(cell / "ledger.sqlite").answered())
    other = {id: label if id in asked else "wrong" for id, label in images.hidden.items()}
    blind = replace(images, hidden=other)
    monkeypatch.setattr(ssal.standing, "unchanged", lambda *_: True)  # it knows their digest
    for module in (ssal.standing, ssal.export.export):
        monkeypatch.setattr(module, "images_of", lambda *_: blind)
    export(loaded, tmp_path, tmp_path / "blind", above=0.0)
    plain, hidden = ({p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file()}
                     for r in (tmp_path / "plain", tmp_path / "blind"))  # fmt: skip
    assert plain == hidden and len(plain) == 5 + 120


def test_a_benchmark_whose_pool_holds_near_duplicates(tmp_path: Path) -> None:
    data = {"path": str(write_pictures(tmp_path / "pictures")), "source": "folder", "size": 8, "flip": False}
    loaded = recipe(tmp_path / "twice.yaml", data={**data, "redundancy": 1})
    images = pictures(tmp_path / "pictures", tmp_path, redundancy=1)
    run(loaded.arms["main"], images, tmp_path, name="twice")
    said = export(loaded, tmp_path, forms=["folders"])
    assert said.folder == tmp_path / "twice/export" and {path.name for path in said.folder.iterdir()} == {
        "images", "export.json",
    }  # fmt: skip
    entries = Ledger(tmp_path / "twice/main/seed_0/ledger.sqlite").entries()
    assert len(entries) == 12 and len({images.pool.paths[images.pool.row(e.id)] for e in entries}) == 12
    made = 0
    for entry in entries:
        (file,) = (said.folder / "images" / str(entry.label)).glob(f"*_{entry.id}*")
        row = images.pool.row(entry.id)
        made += "near-duplicate" in images.pool.paths[row]
        pixels = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)
        assert np.array_equal(pixels, images.pool.fetch(torch.tensor([row]))[0].numpy())
    assert 0 < made < 12


def test_features_are_exported_as_tables_alone(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    np.save(tmp_path / "some.npy", draw.normal(size=(60, 4)).astype(np.float32))
    lines = [f"{number:04d}.png,{'ab'[number % 2]},{'test' if number > 50 else 'train'}" for number in range(60)]
    (tmp_path / "some.csv").write_text("\n".join(["path,label,split", *lines]) + "\n")
    loaded = recipe(
        tmp_path / "vectors.yaml",
        data={"source": "embeddings", "path": str(tmp_path / "some.npy")},
        labelling={"answered_by": "oracle", "audit": 0.1},
    )
    arm = loaded.arms["main"]
    run(arm, images_of(arm, tmp_path), tmp_path, name="vectors")
    with pytest.raises(BadInput, match="folders and coco need images, and these data are features; type --as csv"):
        export(loaded, tmp_path, forms=["csv", "folders", "coco"])
    said = export(loaded, tmp_path)
    rows = table(said.folder / "labels.csv")
    assert len(rows) == 12 and all(row["label"] == "ab"[int(row["path"][:4]) % 2] for row in rows)
    assert {row["who"] for row in rows} == {"oracle"} and len(table(said.folder / "pseudo_labels.csv")) == 51 - 12
    assert sorted(path.name for path in said.folder.iterdir()) == [
        "export.json", "labels.csv", "pseudo_labels.csv", "suspicious.csv",
    ]  # fmt: skip


def test_an_image_that_cannot_be_read_leaves_the_export_of_before(
    ssal_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_answers()
    assert ssal_line("export", "project.yaml").code == 0
    before = files_in(TO)
    Ledger(CELL / "ledger.sqlite").rename("two", "zwei", "ann")
    whole = ssal.data.load.load

    def loses_one(*given: Any, **options: Any) -> Any:
        images = whole(*given, **options)
        for path in Path("pictures").glob("two_*"):
            path.unlink()
        return images

    monkeypatch.setattr(ssal.cells, "load", loses_one)
    refused(ssal_line("export", "project.yaml"), "cannot be read any more", "nothing was exported")
    assert files_in(TO) == before and [path.name for path in TO.parent.glob(".*")] == []
