"""Answers as a folder per class: names that no folder can bear, files moved, renamed, copied and saved anew."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from answer_files import ASKED, CLASSES, CONTENTS, IDS, QUESTIONS, SAID, meant, said, written
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ssal.data.listing import content_id
from ssal.errors import BadInput
from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE, SKIPPED
from ssal.labelling.files.folders import TO_SORT, folder_names, read_folders, write_folders
from ssal.labelling.files.questions import Question
from ssal.labelling.files.words import plain

A, B, C, D = IDS[:4]


@pytest.fixture
def handed(tmp_path: Path) -> Path:
    """The folder as people get it."""
    write_folders(tmp_path / "sort", QUESTIONS, CLASSES, CONTENTS.__getitem__)
    return tmp_path / "sort"


def file_of(handed: Path, id: str) -> Path:
    (path,) = (handed / TO_SORT).glob(f"*{id}*")
    return path


def move(handed: Path, id: str, to: str) -> Path:
    path = handed / to / file_of(handed, id).name
    path.parent.mkdir(exist_ok=True)
    return file_of(handed, id).rename(path)


def test_what_was_written_and_sorted_comes_back(handed: Path) -> None:
    assert said(read_folders(handed, ASKED, CLASSES)) == {}, "nothing is sorted yet"
    folders = {meaning: name for name, meaning in folder_names(CLASSES).items()}
    for id, meaning in SAID.items():
        move(handed, id, folders[meaning])
    assert said(read_folders(handed, ASKED, CLASSES)) == SAID
    for old in [*handed.iterdir()]:
        if old.is_dir():
            old.rename(old.with_name(f"{old.name.upper()}"))
    assert said(read_folders(handed, ASKED, CLASSES)) == SAID


def test_what_is_written(tmp_path: Path) -> None:
    grey, colour = np.arange(12, dtype=np.uint8).reshape(3, 4), np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    contents = {content_id(one): one for one in (grey, colour, b"no image")}
    ids = [*contents]
    questions = [Question(ids[0], "digits/1", "a/b", 0.987), Question(ids[1], "2"), Question(ids[2], "x/3.JPG", "C")]
    write_folders(tmp_path / "deep/sort", questions, ["a/b", "C"], contents.__getitem__)
    handed = tmp_path / "deep/sort"
    assert sorted(path.name for path in handed.iterdir()) == sorted(
        ["a%2Fb", "C", "none of the classes", "cannot tell", "to_sort", "how_to_sort.txt"]
    )
    names = {f"a%2Fb 0.99 {ids[0]}.png", f"{ids[1]}.png", f"C {ids[2]}.JPG"}
    assert {path.name for path in (handed / TO_SORT).iterdir()} == names
    assert "The folder a%2Fb is for the class a/b\n" in (handed / "how_to_sort.txt").read_text()
    assert "folder C" not in (handed / "how_to_sort.txt").read_text()
    for number, path in enumerate(sorted((handed / TO_SORT).iterdir())):
        path.rename(handed / "C" / f"renamed {number}")
    assert said(read_folders(handed, dict.fromkeys(ids, ""), ["a/b", "C"])) == dict.fromkeys(ids, (LABEL, "C"))


def test_nothing_that_people_sort_is_overwritten_and_nothing_half_written_stays(handed: Path) -> None:
    move(handed, A, "cats")
    with pytest.raises(BadInput, match="people may be sorting images there; name a folder that is not there yet"):
        write_folders(handed, QUESTIONS, CLASSES, CONTENTS.__getitem__)
    with pytest.raises(BadInput, match="people may be sorting"):
        write_folders(handed / "how_to_sort.txt", QUESTIONS, CLASSES, CONTENTS.__getitem__)
    assert said(read_folders(handed, ASKED, CLASSES)) == {A: (LABEL, "cats")}
    with pytest.raises(KeyError):
        write_folders(handed.parent / "other", [*QUESTIONS, Question("stranger", "")], CLASSES, CONTENTS.__getitem__)
    assert [path.name for path in handed.parent.iterdir()] == ["sort"]
    (handed.parent / "empty").mkdir()
    write_folders(handed.parent / "empty", QUESTIONS, CLASSES, CONTENTS.__getitem__)
    assert file_of(handed.parent / "empty", A).read_bytes() == CONTENTS[A]


def test_files_are_known_by_content_and_by_name(handed: Path) -> None:
    move(handed, A, "cats").rename(handed / "cats/holiday.png")
    move(handed, B, "Dogs").write_bytes(b"rotated and saved anew")
    shutil.copy(file_of(handed, C), handed / "cats" / f"{C} (1).png")
    shutil.copy(file_of(handed, C), handed / "cats" / f"Copy of {C.upper()}.PNG")
    move(handed, D, "skipped")
    (handed / "cats/Thumbs.db").write_bytes(b"")
    (handed / ".DS_Store").write_bytes(b"")
    (handed / "New folder").mkdir()
    assert said(read_folders(handed, ASKED, CLASSES)) == {
        A: (LABEL, "cats"), B: (LABEL, "Dogs"), C: (LABEL, "cats"), D: (SKIPPED, None)
    }  # fmt: skip


def test_all_problems_are_told_together(handed: Path) -> None:
    move(handed, A, "catz")
    move(handed, B, "catz")
    shutil.copy(file_of(handed, C), handed / "cats/c.png")
    shutil.copy(file_of(handed, C), handed / "Dogs/c.png")
    written(handed / "cats/stranger.png", b"\x89PNG damaged")
    (handed / "cats/inner").mkdir()
    move(handed, D, "cats/inner")
    file_of(handed, IDS[4]).rename(handed / file_of(handed, IDS[4]).name)
    file_of(handed, IDS[5]).rename(handed / f"Dogs/{IDS[6]}.png")
    move(handed, IDS[7], "cats")
    found = read_folders(handed, ASKED, CLASSES)
    assert meant(found.answers) == {IDS[7]: (LABEL, "cats")}
    known = folder_names(CLASSES)
    named = f"the name is of image {IDS[6]}, the content of image {IDS[5]}; give the file the name {IDS[5]}"
    outside = "this file lies in no folder of a class itself; move it into one, or back to to_sort"
    assert sorted(found.problems) == sorted(
        [
            f"{handed / 'catz'}: 2 files in a folder of no class; did you mean 'cats'? (one of: {', '.join(known)}); "
            "move them into a class's folder, or back to to_sort",
            f"{handed / 'cats/c.png'}: image {C} has two labels, 'Dogs' and 'cats'; leave the right one alone",
            f"{handed / 'cats/stranger.png'}: this file is no image that was asked for; move it out of the folder",
            f"{handed / f'cats/inner/{D}.png'}: {outside}",
            f"{handed / f'{IDS[4]}.png'}: {outside}",
            f"{handed / f'Dogs/{IDS[6]}.png'}: {named}",
        ]
    )
    assert "cannot be read (No such file or directory)" in read_folders(handed / "no", ASKED, CLASSES).problems[0]


def test_names_of_classes_that_no_folder_can_bear() -> None:
    encoded = {
        "a/b": "a%2Fb",
        "CON": "%43ON",
        "nul.txt": "%6Eul.txt",
        "trailing.": "trailing%2E",
        " lead": "%20lead",
        ".git": "%2Egit",
        "50%": "50%25",
        "A": "A",
        "a": "%61",
        "to_sort": "%74o_sort",
        "Cannot tell": "%43annot tell",
        "xY": "xY",
        "Xy": "%58y",
        "XY": "%58%59",
        "ß" * 100: None,
    }
    names = {meaning: name for name, meaning in folder_names(encoded).items()}
    assert [names[LABEL, name] for name in encoded][:-1] == [*encoded.values()][:-1]
    assert names[CANNOT_TELL, None] == "cannot tell" and names[NONE, None] == "none of the classes"
    assert len(names[LABEL, "ß" * 100]) < 90


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8), unique=True, max_size=8))
def test_every_class_has_a_folder_of_its_own_on_every_system(classes: list[str]) -> None:
    names = folder_names(classes)
    assert list(names.values())[: len(classes)] == [(LABEL, name) for name in classes]
    assert len({plain(name) for name in names} | {TO_SORT}) == len(classes) + 4
    for name in names:
        assert name == name.strip(". ") != "" and not set(name) & set('/\\:*?"<>|\0\n')


def test_an_image_saved_anew_as_a_png_of_the_same_values_is_known(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    id = content_id(values)
    write_folders(tmp_path / "sort", [Question(id, "1")], ["cats"], {id: values}.__getitem__)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", compress_level=0)
    written(tmp_path / "sort/cats/anew.png", file.getvalue())
    assert said(read_folders(tmp_path / "sort", {id: "1"}, ["cats"])) == {id: (LABEL, "cats")}
