"""ssal init: the recipe it writes is one that runs, says what was seen, and nothing is written where it cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml as yaml_1_1
from command_line import CommandLine, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import NAMES, digits, write_pictures

from ssal.names import run_name
from ssal.recipe import Arm, load
from ssal.suggest import recipe_text, suggest
from ssal.survey import Survey, look

SHRUNKEN = ("pretext.max_steps=2", "pretext.batch_size=16", "learner.steps=4", "learner.batch_size=8", "learner.mu=2")


def pool(root: Path = Path("photos"), count: int = 90) -> Path:
    """Fill a flat folder with `count` real digits."""
    from PIL import Image

    root.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(digits()[0][:count]):
        Image.fromarray(image).save(root / f"{number:04d}.png")
    return root


def written(recipe: Path = Path("recipe.yaml")) -> Arm:
    return load(recipe).arms["main"]


def test_a_flat_folder_becomes_a_project_that_stops_for_people(command_line: CommandLine) -> None:
    pool()
    said = command_line("init", "photos", "--classes", "odd, even")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "90 images of 8×8 pixels (width × height), grey"
    assert "90 images without a label, 0 with one" in lines and "classes: 2 (odd, even)" in lines
    assert lines[-1] == "next: ssal run recipe.yaml"
    assert [line for line in Path("recipe.yaml").read_text().splitlines() if line.startswith("#   90 images")]
    arm = written()
    assert arm.data["size"] == 8 and arm.data["classes"] == ["odd", "even"] and arm.data["labels"] == "given"
    assert (arm.first_size, arm.query_size, arm.budget) == (10, 10, 70)
    assert (arm.first_round, arm.strategy, arm.answered_by) == ("typiclust", "margin", "inbox")
    assert (arm.backbone["name"], arm.pretext["batch_size"], arm.pretext["min_scale"]) == ("wrn_10_1", 32, 0.5)
    assert load(Path("recipe.yaml")).name == "photos"

    checked = command_line("check", "recipe.yaml")
    assert checked.code == 0 and "labels: 10, 20, 30, 40, 50, 60, 70 (typiclust first, then margin" in checked.out
    ran = command_line("run", "recipe.yaml", *SHRUNKEN, "--jobs", "1")
    assert ran.code == 3 and "10 images wait for labels" in ran.err
    (asked,) = Path("checkpoints/photos/main/seed_0").glob("round_*/to_label.csv")
    assert len(asked.read_text().splitlines()) == 11


def test_class_folders_and_images_without_a_label(command_line: CommandLine) -> None:
    write_pictures(Path("pictures"), train=4, test=2)
    pool(Path("pictures/train/unlabelled"), 30)
    said = command_line("init", "pictures", "--recipe", "my recipe.yaml")
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == "next: ssal run 'my recipe.yaml'"
    assert "class folders: nought (6), one (6), three (6), two (6)" in said.out
    arm = written(Path("my recipe.yaml"))
    assert arm.data["classes"] == sorted(NAMES) and arm.data["labels"] == "given"
    # Some of the thirty are the digits of the class folders: the same image with a label is not asked for.
    seen = look("pictures")
    assert arm.budget == seen.waiting < 30 and arm.first_size == 16 and seen.labelled == 16
    assert command_line("check", "my recipe.yaml").code == 0
    added = command_line("init", "pictures", "--recipe", "b.yaml", "--classes", "four,nought,one,two,three")
    assert added.code == 0
    kept = written(Path("b.yaml")).data["classes"]
    assert kept == ["four", "nought", "one", "two", "three"], "the order in which the page has its keys"
    assert command_line("check", "b.yaml").code == 0


@pytest.mark.parametrize("test_part", [True, False])
def test_where_every_image_has_a_label_strategies_are_compared(command_line: CommandLine, test_part: bool) -> None:
    write_pictures(Path("pictures"))
    path = "pictures" if test_part else "pictures/train"
    said = command_line("init", path)
    assert said.code == 0, said.err
    assert "there is nothing to ask people" in said.out and "labels: hidden" in said.out
    assert said.out.splitlines()[-1] == "next: ssal compare recipe.yaml"
    recipe = load(Path("recipe.yaml"))
    assert (recipe.baseline, recipe.treatment, recipe.seeds) == ("random", "margin", (0, 1, 2))
    random, margin = recipe.arms.values()
    assert random.data["labels"] == "hidden" and random.answered_by == "oracle"
    differ = {key for key, value in random.record.items() if value != margin.record[key]}
    assert differ == {"acquisition", "signals"} and random.first_round == margin.first_round
    assert command_line("check", "recipe.yaml").code == 0


def test_a_tar_with_images_under_two_labels(command_line: CommandLine) -> None:
    write_pictures(Path("pictures"), train=8)
    for name in ("two", "three"):
        shutil.copytree(f"pictures/train/{name}", f"pictures/train/unlabelled/{name}")
        shutil.rmtree(f"pictures/train/{name}")
        shutil.rmtree(f"pictures/test/{name}")
    first = min(Path("pictures/train/one").iterdir())
    shutil.copy(first, "pictures/train/nought/wrong.png")
    shutil.make_archive("my.pictures", "tar", "pictures")
    said = command_line("init", "my.pictures.tar")
    assert said.code == 0 and "images under two labels (1): train/nought/wrong.png and train/one/" in said.out
    assert "conflicts: skip" in Path("recipe.yaml").read_text()
    assert load(Path("recipe.yaml")).name == "my.pictures" and written().budget == 16
    assert command_line("check", "recipe.yaml").code == 0


AWKWARD = [
    "yes",
    "null",
    "1",
    "1e3",
    "~",
    "a: b",
    "- c",
    "#d",
    "Käse",
    "it's",
    '"quoted"',
    "ü 🐈",
    "[x]",
    "back\\slash",
]


def test_awkward_names_come_back_as_they_were(command_line: CommandLine) -> None:
    folder = pool(Path("a: b's fötos #1"))
    Path("names.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(["comma, too", *AWKWARD, ""]).encode())
    said = command_line("init", folder, "--classes-file", "names.txt")
    assert said.code == 0, said.err
    assert written().data["classes"] == ["comma, too", *AWKWARD]
    assert written().data["options"]["path"] == str(folder)
    assert command_line("check", "recipe.yaml").code == 0


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return look(str(pool(tmp_path_factory.mktemp("photos"), 60)))


@settings(max_examples=60, deadline=None)
@given(names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2, unique=True))
def test_any_name_is_a_word_in_any_version_of_yaml(seen: Survey, names: list[str]) -> None:
    text = recipe_text(seen, suggest(seen, names, gpu=False), names, "name", Path("recipe.yaml"))
    assert yaml_1_1.safe_load(text)["data"]["classes"] == names


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("classes", [2, 10, 200])
def test_what_is_suggested_loads(seen: Survey, tmp_path: Path, gpu: bool, classes: int) -> None:
    names = [f"class {number}" for number in range(classes)]
    suggestion = suggest(seen, names, gpu=gpu)
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_text(seen, suggestion, names, "name", path))
    arm = load(path).arms["main"]
    assert arm.budget <= seen.waiting and 1 <= arm.query_size <= arm.budget and arm.first_size <= arm.budget
    assert arm.pretext["batch_size"] <= seen.waiting // 2 and arm.data["classes"] == names
    assert arm.backbone["name"] == ("wrn_28_2" if gpu else "wrn_10_1")
    lines = path.read_text().splitlines()
    assert all(len(line) <= 120 for line in lines)
    keys = [line for line in lines if ":" in line.partition("#")[0] and not line.endswith(":")]
    without = [line.split(":")[0].strip() for line in keys if "# " not in line and not line.startswith("#")]
    assert without == ["source", "optimiser", "learning_rate"], "every other value has its reason beside it"


def test_sizes_of_batches_follow_the_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    several = look(str(pool(count=1000)))

    def suggested(classes: int) -> tuple[int, int, int]:
        found = suggest(several, [str(number) for number in range(classes)], gpu=False)
        return found.first_size, found.query_size, found.budget

    assert suggested(2) == (10, 10, 70)
    assert suggested(10) == (40, 30, 220)
    assert suggested(150) == (500, 300, 1000), "no more than there are images"


@pytest.mark.parametrize(
    ("folder", "name"),
    [("photos", "photos"), ("Über uns!", "Uber_uns"), ("data", "project_data"), ("猫", "project"), ("x.tar", "x")],
)
def test_the_name_of_a_run_is_a_folder_of_its_own(tmp_path: Path, folder: str, name: str) -> None:
    assert run_name(tmp_path / folder) == name


def test_a_path_that_holds_a_line_break_ends_no_comment(command_line: CommandLine) -> None:
    folder = pool(Path("a\nname: evil"), 40)
    assert command_line("init", folder, "--classes", "a,b").code == 0
    assert load(Path("recipe.yaml")).name == "a_name_evil" and written().data["options"]["path"] == str(folder)


def test_an_existing_recipe_is_kept(command_line: CommandLine) -> None:
    pool(count=40)
    Path("recipe.yaml").write_text("mine")
    said = command_line("init", "photos", "--classes", "a,b")
    refused(said, "--recipe: recipe.yaml exists", "--overwrite")
    assert Path("recipe.yaml").read_text() == "mine"
    assert command_line("init", "photos", "--classes", "a,b", "--overwrite").code == 0
    assert written().data["classes"] == ["a", "b"]


ERRORS: dict[str, tuple[list[str], list[str]]] = {
    "no such folder": (["fotos", "--classes", "a,b"], ["fotos does not exist", "did you mean 'photos'?"]),
    "no image": (["empty", "--classes", "a,b"], ["empty holds no image"]),
    "no classes": (["photos"], ["--classes: no image has a label yet", "type ssal init photos --classes cat,dog"]),
    "several": (
        ["photos", "--classes", "a,,b,A,none"],
        ["name 2 is empty", "'a' is named 2 times (a, A)", "'none' is"],
    ),
    "one": (["photos", "--classes", "cat"], ["expected two or more names, got 'cat' alone"]),
    "both": (["photos", "--classes", "a,b", "--classes-file", "x"], ["type one of them"]),
    "no file": (["photos", "--classes-file", "gone.txt"], ["--classes-file: gone.txt cannot be read (No such file"]),
    "no names": (["photos", "--classes-file", "blank.txt"], ["names no class"]),
    "no text": (["photos", "--classes-file", "photos/0000.png"], ["expected UTF-8 text, one name per line"]),
    "other names": (
        ["pictures", "--classes", "noughts,one,two,four"],
        [
            "2 of 4 class folders have other names",
            "'nought' (21 images); did you mean 'noughts'?",
            "'three' (21 images)",
            "ssal init pictures --classes one,two,four,nought,three",
            "called unlabelled",
        ],
    ),
    "a single class folder": (["single"], ["a single class folder, 'one'", "--classes one,other"]),
    "no place": (["photos", "--classes", "a,b", "--recipe", "gone/r.yaml"], ["--recipe: gone/r.yaml is no place"]),
    "a folder": (["photos", "--classes", "a,b", "--recipe", "empty"], ["--recipe: empty is no place for a file"]),
    "inside": ([".", "--classes", "a,b"], ["the folder that commands are typed in", "ssal init"]),
    "test images without labels": (["unknown", "--classes", "a,b"], ["no image of the test part has a label"]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_start_says_what_to_type_and_writes_nothing(command_line: CommandLine, case: str) -> None:
    pool(count=12)
    write_pictures(Path("pictures"))
    shutil.copytree("pictures/train/one", "single/data/one")
    pool(Path("single/data/unlabelled"), 5)
    pool(Path("unknown/train/unlabelled"), 5)
    shutil.copytree("pictures/test/one", "unknown/test/unlabelled")
    Path("empty").mkdir()
    Path("blank.txt").write_text("\n \n")
    words, parts = ERRORS[case]
    refused(command_line("init", *words), *parts)
    assert not list(Path().rglob("*.yaml"))


def test_names_spelt_in_two_ways_of_unicode_are_one(command_line: CommandLine) -> None:
    import unicodedata

    for name in ("Käse", "Öl"):
        pool(Path("pictures") / unicodedata.normalize("NFD", name), 3)
    for number, path in enumerate(sorted(Path("pictures").rglob("*.png"))):
        path.write_bytes(path.read_bytes() + bytes([number]))  # no copies of each other
    pool(Path("pictures/unlabelled"), 40)
    assert command_line("init", "pictures", "--classes", "Käse,Öl,Brot").code == 0
    assert written().data["classes"] == [*(unicodedata.normalize("NFD", n) for n in ("Käse", "Öl")), "Brot"]
    assert command_line("check", "recipe.yaml").code == 0
