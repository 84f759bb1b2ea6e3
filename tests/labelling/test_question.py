"""What a run prepares for the page: read strictly, found by the recipe's name alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from questions import cell_of, finish, read_json, recipe_in, write_json, write_question

from ssal.errors import BadInput
from ssal.labelling.answers import LABEL, Answer
from ssal.labelling.ledger import GIVEN, Entry, Ledger, Said
from ssal.labelling.server.leases import SECONDS, Leases
from ssal.labelling.server.question import find_cell, read_question


def test_a_question_comes_as_it_was_written(tmp_path: Path) -> None:
    folder = write_question(cell_of(tmp_path), images=4)
    question, key = read_question(folder)
    assert question.model_dump(mode="json") == read_json(folder)
    write_json(folder, read_json(folder) | {"classes": ["other"]})
    assert read_question(folder)[1] == key, "of the same images people go on where they are"
    write_json(folder, read_json(folder) | {"images": read_json(folder)["images"][1:]})
    assert read_question(folder)[1] != key


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"round": -1}, "round"), ({"round": "0"}, "round"), ({"classes": []}, "classes"), ({"images": []}, "images"),
        ({"classes": ["one", "one"]}, "twice"), ({"position": -1}, "position"), ({"more": 1}, "more"),
        *(({"images": [change]}, told) for change, told in (
            ({"file": "../../ledger.sqlite"}, "file"), ({"file": "/etc/passwd"}, "file"),
            ({"file": "a.webp\n"}, "file"),
            ({"file": "0000.png"}, "file"), ({"file": ".webp"}, "file"), ({"width": 0}, "width"), ({"id": ""}, "id"),
            ({"people": 0}, "people"), ({"people": 3}, "people"), ({"people": True}, "people"),
            ({"suggestions": [["one", 1.5]]}, "suggestions"),
            ({"neighbours": [{"file": "x/y.webp", "label": "a"}]}, "file"),
            ({"file": "gone.webp"}, "1 image is not there"),
            ({"neighbours": [{"file": "n.webp", "label": "a"}]}, "n.webp"),
        )),
    ],
)  # fmt: skip
def test_a_damaged_question_is_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    folder = write_question(cell_of(tmp_path), images=3)
    question = read_json(folder)
    if "images" in change and change["images"]:
        change = {"images": [question["images"][0] | change["images"][0], *question["images"][1:]]}
    write_json(folder, question | change)
    with pytest.raises(BadInput, match="run the recipe again") as error:
        read_question(folder)
    assert told in str(error.value)


def test_a_link_is_no_image(tmp_path: Path) -> None:
    folder = write_question(cell_of(tmp_path), images=2)
    (folder / "0000.webp").unlink()
    (folder / "0000.webp").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="0000.webp"):
        read_question(folder)


def test_the_first_cell_that_waits_is_found(tmp_path: Path) -> None:
    recipe, checkpoints = recipe_in(tmp_path), tmp_path / "checkpoints"
    with pytest.raises(BadInput, match=f"no image waits for an answer; type `ssal run {recipe} --checkpoints "):
        find_cell(recipe, checkpoints)
    cells = {(arm, seed): cell_of(checkpoints, arm, seed) for arm in ("random", "margin") for seed in (10, 2)}
    for cell in cells.values():
        write_question(cell, 0, images=2)
        write_question(cell, 1, images=2)
    assert find_cell(recipe, checkpoints).folder == cells["margin", 2]
    assert find_cell(recipe, checkpoints).question() == cells["margin", 2] / "round_0" / "question", "as the run does"
    for cell in cells.values():
        Ledger(cell / "ledger.sqlite").append([Entry("w", "one", "ann", 0, "margin")])
    assert find_cell(recipe, checkpoints).question() == cells["margin", 2] / "round_1" / "question"
    assert find_cell(recipe, checkpoints, "random").folder == cells["random", 2]
    assert find_cell(recipe, checkpoints, seed=10).folder == cells["margin", 10]
    with pytest.raises(BadInput, match="did you mean 'random'.*--arm margin --seed 2"):
        find_cell(recipe, checkpoints, "randon")
    for arm, seed in cells:
        cell = cells[arm, seed]
        ledger = Ledger(cell / "ledger.sqlite")
        ledger.append([Entry("g", "one", "folder", 1, GIVEN)])
        ledger.say([Said(Answer("x", LABEL, "one", "ann"), 1, "page")])
        assert find_cell(recipe, checkpoints, arm, seed).folder == cell, "neither ends a round"
        finish(cell, 1)
        with pytest.raises(BadInput, match=r"type one of: --arm|no image waits"):
            find_cell(recipe, checkpoints, arm, seed)


@pytest.mark.parametrize(
    "text", ["name: ../out", "name: ''", "name: 3", "name: ..", "seeds: [0]", "[1]", "{", "name: a/b"]
)
def test_a_recipe_without_a_name_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"recipe\.yaml: "):
        find_cell(tmp_path / "recipe.yaml", tmp_path)
    with pytest.raises(BadInput, match="type the path of a recipe"):
        find_cell(tmp_path / "other.yaml", tmp_path)


def test_the_name_may_be_typed_and_what_is_no_key_is_refused(tmp_path: Path) -> None:
    recipe, cell = recipe_in(tmp_path), cell_of(tmp_path / "checkpoints")
    write_question(cell)
    cell.parent.parent.rename(tmp_path / "checkpoints" / "other")
    found = find_cell(recipe, tmp_path / "checkpoints", overrides=["seeds=[0]", "name=other", "learner.steps=3"])
    assert found.folder.parent.parent.name == "other"
    with pytest.raises(BadInput, match="type `ssal run .*recipe.yaml 'learner.lr=1 2' --checkpoints "):
        find_cell(recipe, tmp_path / "checkpoints", overrides=["learner.lr=1 2"])
    for word, told in (
        ("nam=other", "did you mean 'name'"),
        ("other", "expected key.path=value"),
        ("name=a/b", "name"),
    ):
        with pytest.raises(BadInput, match=told):
            find_cell(recipe, tmp_path / "checkpoints", overrides=[word])


def test_a_lease_ends_by_itself_and_is_renewed() -> None:
    now = [0.0]
    leases = Leases(lambda: now[0])
    leases.take([1, 2], "ann")
    assert not leases.free(1, "ben") and leases.free(1, "ann") and leases.free(3, "ben")
    now[0] = SECONDS - 1
    leases.take([2], "ann")
    assert leases.free(1, "ben"), "who takes others gives the first ones up"
    now[0] = 2 * SECONDS - 2
    assert not leases.free(2, "ben")
    now[0] = 2 * SECONDS
    assert leases.free(2, "ben")


def test_a_typed_name_is_read_as_the_run_reads_it(tmp_path: Path) -> None:
    recipe, cell = recipe_in(tmp_path), cell_of(tmp_path / "checkpoints")
    write_question(cell)
    cell.parent.parent.rename(tmp_path / "checkpoints" / "other")
    for typed in ('name="other"', "name='other'", "name = other"):
        found = find_cell(recipe, tmp_path / "checkpoints", overrides=[typed])
        assert found.folder.parent.parent.name == "other"
