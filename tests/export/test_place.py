"""An export replaces an export that nobody has touched, as a whole, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssal.artefacts import write_json
from ssal.errors import BadInput
from ssal.export.place import EXPORT, check_place, files_in
from ssal.whole_folder import whole_folder


def exported(to: Path) -> Path:
    (to / "images").mkdir(parents=True)
    (to / "labels.csv").write_text("id\n")
    (to / "images" / "a.png").write_bytes(b"a")
    write_json(to / EXPORT, {"files": files_in(to)})
    return to


def test_nothing_an_empty_folder_and_an_export_may_be_replaced(tmp_path: Path) -> None:
    check_place(tmp_path / "new", {})
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty", {})
    to = exported(tmp_path / "out")
    check_place(to, {"path": str(tmp_path / "data")})
    (to / "labels.csv").unlink()
    (to / ".DS_Store").write_text("")
    (to / "images" / "Thumbs.db").write_text("")
    check_place(to, {})


@pytest.mark.parametrize("name", ["labels.csv", "images/b.png", "notes/mine.txt"])
def test_what_somebody_changed_or_added_is_not_lost(tmp_path: Path, name: str) -> None:
    to = exported(tmp_path / "out")
    (to / name).parent.mkdir(exist_ok=True)
    (to / name).write_text("mine")
    with pytest.raises(BadInput, match=rf"changed or added 1 files since \({name}\)"):
        check_place(to, {})


def test_a_link_in_an_export_is_no_part_of_it(tmp_path: Path) -> None:
    to = exported(tmp_path / "out")
    (tmp_path / "elsewhere.csv").write_text("id\n")
    (to / "labels.csv").unlink()
    (to / "labels.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(BadInput, match="changed or added 1 files"):
        check_place(to, {})


def test_other_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "other").mkdir()
    write_json(tmp_path / "other" / EXPORT, ["something else"])
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / EXPORT).write_text("{")
    for name, words in (("file", "no export"), ("other", "no export"), ("damaged", "damaged"), (".", "no export")):
        with pytest.raises(BadInput, match=words):
            check_place(tmp_path / name, {})


def test_an_export_does_not_join_the_images(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for to in (tmp_path / "pictures", tmp_path / "pictures" / "sub" / "out"):
        with pytest.raises(BadInput, match="where the images come from"):
            check_place(to, {"path": str(tmp_path / "pictures"), "other": 3, "none": None})


def test_what_a_killed_export_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    to = exported(tmp_path / "out")
    for name in (".out.killed.unfinished", ".other.killed.unfinished"):
        (tmp_path / name / "images").mkdir(parents=True)
    with whole_folder(to, replace=True) as work:
        with whole_folder(to, replace=True) as beside:
            assert work.is_dir() and beside.is_dir(), "another process may be at it"
            (beside / "one.csv").write_text("whole")
        (work / "two.csv").write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.killed.unfinished", "out"]
    assert list(files_in(to)) == ["two.csv"]


def test_a_folder_is_whole_or_as_it_was(tmp_path: Path) -> None:
    to = exported(tmp_path / "out")
    before = files_in(to)
    with pytest.raises(KeyError), whole_folder(to, replace=True) as work:
        (work / "labels.csv").write_text("half")
        raise KeyError
    assert files_in(to) == before and [path.name for path in tmp_path.iterdir()] == ["out"]
    with whole_folder(to, replace=True) as work:
        (work / "new.csv").write_text("whole")
    assert list(files_in(to)) == ["new.csv"] and [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(OSError, match="not empty"), whole_folder(to):
        pass
    assert list(files_in(to)) == ["new.csv"] and [path.name for path in tmp_path.iterdir()] == ["out"]
