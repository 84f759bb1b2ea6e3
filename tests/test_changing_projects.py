"""Projects whose folder and classes change on the way, and which go on: nothing locks, nothing is asked twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from command_line import CommandLine
from PIL import Image
from tiny_project import CELL, RECIPE, answer_csv, name_of, question

from ssal.artefacts import read_facts, read_tensors
from ssal.cells import Cell, cells_of, images_of
from ssal.labelling.ledger import Ledger
from ssal.labelling.server.question import find_cell
from ssal.outlook import outlook
from ssal.recipe import load
from ssal.signals.kept import OUTPUTS

RUN = ("run", "project.yaml", "--jobs", "1")
NO_AUDIT = RECIPE.replace("audit: 0.2", "audit: 0").replace("flip: false", "flip: false, test_fraction: 0.001")
"""Without a test part: what is sorted into class folders stays in the pool."""


def move_to_its_class(path: str) -> None:
    """Sort an image that waits in the flat folder into the folder of its class."""
    file = Path("pictures") / path
    folder = file.with_name(name_of(path))
    folder.mkdir(exist_ok=True)
    file.rename(folder / file.name)


def test_an_image_of_the_last_batch_goes_though_every_image_is_to_be_asked(ssal: CommandLine) -> None:
    everything = RECIPE.replace("budget: 30", "budget: 84").replace("query_size: 10", "query_size: 42")
    Path("project.yaml").write_text(everything)
    ssal(*RUN)
    answer_csv(ssal, 0)
    assert ssal(*RUN).code == 3
    gone = sorted(question(1))[0]
    (Path("pictures") / str(question(1)[gone]["path"])).unlink()
    said = ssal(*RUN)
    assert said.code == 3 and "41 images wait" in said.err
    lines = [f"{id},{name_of(str(image['path']))}" for id, image in question(1).items() if id != gone]
    Path("answers.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    assert ssal("answers", "project.yaml", "answers.csv").code == 0
    assert ssal(*RUN).code == 0


def test_who_sorts_a_waiting_image_into_the_folder_of_its_class_has_answered(ssal: CommandLine) -> None:
    Path("project.yaml").write_text(NO_AUDIT)
    ssal(*RUN)
    asked = question(0)
    sorted_by_hand = sorted(asked)[:2]
    for id in sorted_by_hand:
        move_to_its_class(str(asked[id]["path"]))
    said = ssal(*RUN)
    assert said.code == 3 and "8 images wait" in said.err
    for id in set(asked) - set(sorted_by_hand):
        assert "folder" not in {one.answer.who for one in Ledger(CELL / "ledger.sqlite").said() if one.answer.id == id}
    lines = [f"{id},{name_of(str(asked[id]['path']))}" for id in asked if id not in sorted_by_hand]
    Path("answers.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    assert ssal("answers", "project.yaml", "answers.csv").code == 0
    assert ssal(*RUN).code == 3 and ssal(*RUN).code == 3
    ledger = Ledger(CELL / "ledger.sqlite")
    assert ledger.labels() == {id: name_of(str(asked[id]["path"])) for id in asked} and ledger.bought() == 10


def test_a_skipped_image_that_is_sorted_later_gets_its_label_once(ssal: CommandLine) -> None:
    Path("project.yaml").write_text(NO_AUDIT)
    ssal(*RUN)
    asked = question(0)
    without = dict(zip(sorted(asked)[:2], ("skipped", "cannot tell"), strict=True))
    lines = [f"{id},{without.get(id) or name_of(str(asked[id]['path']))}" for id in asked]
    Path("answers.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    ssal("answers", "project.yaml", "answers.csv")
    ssal(*RUN)
    ledger = Ledger(CELL / "ledger.sqlite")
    assert not set(without) & set(ledger.labels())
    for id in without:
        move_to_its_class(str(asked[id]["path"]))
    ssal(*RUN)
    assert {id: ledger.labels()[id] for id in without} == {id: name_of(str(asked[id]["path"])) for id in without}
    said = len(ledger.said())
    image, _ = without
    assert ssal("ledger", "correct", "project.yaml", image, "cannot tell").code == 0
    ssal(*RUN)
    assert image not in ledger.labels() and len(ledger.said()) == said + 1, "a folder says what it says once"


def test_a_finished_project_trains_on_the_images_that_are_there(ssal: CommandLine) -> None:
    for number in range(3):
        ssal(*RUN)
        answer_csv(ssal, number)
    assert ssal(*RUN).code == 0
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8)).save("pictures/one_new_x.png")
    refused = ssal("model", "project.yaml", "--to", "model", "--no-onnx")
    assert refused.code == 2 and "type ssal run project.yaml" in refused.err and "name=" not in refused.err
    before = len(Ledger(CELL / "ledger.sqlite").chain.rows())
    joined = ssal(*RUN)
    assert joined.code == 0 and "1 joined, 0 are gone" in joined.log
    assert "1 of 1 cells are finished already" in ssal(*RUN).log
    assert ssal("model", "project.yaml", "--to", "model", "--no-onnx").code == 0
    assert len(Ledger(CELL / "ledger.sqlite").chain.rows()) == before, "nothing is asked again"


def test_a_name_of_a_picture_is_that_of_one_image_for_ever(ssal: CommandLine) -> None:
    """A page that is open, and a browser that keeps what it was shown, know pictures by their names."""
    ssal(*RUN)
    answer_csv(ssal, 0)
    ssal(*RUN)
    place, before = CELL / "round_1/question", question(1)
    shown = {str(image["file"]): (place / str(image["file"])).read_bytes() for image in before.values()}
    first = sorted(before)[0]
    (Path("pictures") / str(before[first]["path"])).unlink()
    (place / str(before[sorted(before)[-1]]["file"])).unlink()
    assert "9 images wait" in ssal(*RUN).err
    after = question(1)
    assert {id: image["file"] for id, image in after.items()} == {
        id: before[id]["file"] for id in before if id != first
    }
    assert all((place / str(image["file"])).read_bytes() == shown[str(image["file"])] for image in after.values())


def test_images_that_join_take_no_suggestion_from_those_that_wait(ssal: CommandLine) -> None:
    ssal(*RUN)
    answer_csv(ssal, 0)
    ssal(*RUN)
    before = question(1)
    assert all(image["suggestions"] for image in before.values())
    pixels = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(pixels.integers(0, 255, (8, 8), dtype=np.uint8)).save(f"pictures/one_new_{number}.png")
    assert "10 images wait" in ssal(*RUN).err
    after = question(1)
    assert after.keys() == before.keys()
    outputs = read_tensors(CELL / "round_1" / OUTPUTS)["probabilities"]
    names = read_facts(CELL / "round_1" / OUTPUTS)["classes"]
    images = images_of(cell_of_project().arm, Path("checkpoints"))
    assert len(outputs) == len(images.pool) == 87
    for id, image in after.items():
        best = outputs[images.pool.row(id)]
        assert image["suggestions"][0] == [names[int(best.argmax())], round(float(best.max()), 4)]
        assert image["neighbours"] == before[id]["neighbours"]


def test_names_that_change_places_follow_what_was_said_before_and_after(ssal: CommandLine) -> None:
    """What was written before the swap is read with the new names, what was written after it as it stands."""
    ssal(*RUN)
    answer_csv(ssal, 0)
    ssal(*RUN)
    first = outlook(cell_of_project()).curve[0].accuracy
    for old, new in (("one", "between"), ("two", "one"), ("between", "two")):
        assert ssal("ledger", "rename", "project.yaml", old, new).code == 0
    assert outlook(cell_of_project()).curve[0].accuracy == first, "other names, the same images right"
    swapped = {"one": "two", "two": "one"}
    lines = [
        f"{id},{swapped.get(name_of(str(image['path'])), name_of(str(image['path'])))}"
        for id, image in question(1).items()
    ]
    Path("answers.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    assert ssal("answers", "project.yaml", "answers.csv").code == 0
    assert ssal(*RUN).code == 3
    outputs = CELL / "round_2" / OUTPUTS
    names, best = read_facts(outputs)["classes"], read_tensors(outputs)["probabilities"].argmax(dim=1)
    images = images_of(cell_of_project().arm, Path("checkpoints"))
    for id, image in question(2).items():
        assert image["suggestions"][0][0] == names[int(best[images.pool.row(id)])]


def go_back_to(backup: str) -> None:
    """Put a backup in the ledger's place, as `ssal ledger backup` says."""
    for name in ("ledger.sqlite-wal", "ledger.sqlite-shm"):
        (CELL / name).unlink(missing_ok=True)
    shutil.copy(backup, CELL / "ledger.sqlite")


def test_a_backup_serves_though_a_later_round_has_begun_since(ssal: CommandLine) -> None:
    ssal(*RUN)
    answer_csv(ssal, 0)
    assert ssal(*RUN).code == 3
    asked, told = question(1), outlook(cell_of_project()).words()
    assert ssal("ledger", "backup", "project.yaml", "kept.sqlite").code == 0
    answer_csv(ssal, 1)
    assert ssal(*RUN).code == 3
    filled = CELL / "round_2" / "to_label.csv"
    filled.write_text(filled.read_text() + "\n")
    written = filled.read_text()
    go_back_to("kept.sqlite")

    def page_asks() -> Path | None:
        return find_cell(Path("project.yaml"), Path("checkpoints")).question()

    assert page_asks() == CELL / "round_1/question", "the page asks what the run waits for"
    said = ssal(*RUN)
    assert said.code == 3 and "10 images wait" in said.err and "round_1/to_label.csv" in said.err
    (warned,) = [line for line in said.log.splitlines() if "no longer there" in line]
    assert "(round_2)" in warned and "set_aside.replaced_1_" in warned
    assert not (CELL / "round_2").exists() and page_asks() == CELL / "round_1/question"
    assert (CELL / "set_aside.replaced_1_round_2/to_label.csv").read_text() == written
    assert outlook(cell_of_project()).words() == told and question(1) == asked
    assert "no longer there" not in ssal(*RUN).log

    lines = [f"{id},three" for id in asked]
    Path("answers.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    assert ssal("answers", "project.yaml", "answers.csv").code == 0
    assert ssal(*RUN).code == 3 and page_asks() == CELL / "round_2/question"
    assert {entry.label for entry in Ledger(CELL / "ledger.sqlite").asked_in(1)} == {"three"}
    answer_csv(ssal, 2)
    assert ssal(*RUN).code == 0 and "no longer there" not in ssal(*RUN).log


def test_a_backup_serves_though_the_project_is_finished_since(ssal: CommandLine) -> None:
    """A label that a class folder gave is an entry, but ends no round."""
    Path("project.yaml").write_text(NO_AUDIT)
    move_to_its_class(sorted(path.name for path in Path("pictures").glob("*.png"))[0])
    assert ssal(*RUN).code == 3
    assert ssal("ledger", "backup", "project.yaml", "kept.sqlite").code == 0
    rounds = 0
    while True:
        answer_csv(ssal, rounds)
        rounds += 1
        if ssal(*RUN).code == 0:
            break
    go_back_to("kept.sqlite")
    said = ssal(*RUN)
    assert said.code == 3 and "round_0/to_label.csv" in said.err
    assert [path.name for path in CELL.glob("round_*")] == ["round_0"]
    assert len([*CELL.glob("set_aside.replaced_1_round_*")]) == rounds
    assert "waits for people" in ssal("compare", "project.yaml", "--status").out
    for number in range(rounds):
        answer_csv(ssal, number)
        assert ssal(*RUN).code == (0 if number == rounds - 1 else 3)


def cell_of_project() -> Cell:
    (found,) = cells_of(load(Path("project.yaml")), Path("checkpoints"))
    return found
