"""No text of a file that people open is computed by a spreadsheet, and ssal reads every text back as it was."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ssal import registry
from ssal.audit import AUDIT, Suspect, read_audit, suspects_text
from ssal.labelling.files.csv_answers import csv_text, read_csv
from ssal.labelling.files.questions import Question
from ssal.spreadsheet import cell, from_cell, line, read_table, table_text

ODD = "=1+1.png", "+a", "-a", "@a", "\ta", "\ra", "'=a", "''+a", "'a", "a=1", "", "'"


@given(st.text(alphabet="'=+-@\t\ra1", max_size=6))
def test_a_cell_is_never_computed_and_comes_back(text: str) -> None:
    assert from_cell(cell(text)) == text and not cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_stay_numbers() -> None:
    assert line([-1, -0.5, "-1", "a", None]) == "-1,-0.5,'-1,a,\n"


def test_a_table_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table_text(("path", "rank"), [[name, 1] for name in ODD]), newline="")
    assert read_table(tmp_path / "a.csv") == [{"path": name, "rank": "1"} for name in ODD]


def test_what_is_exported_and_audited_is_guarded_and_read_back(tmp_path: Path) -> None:
    assert list(csv.reader(table_text(("path",), [[name] for name in ODD[:4]]).splitlines())) == [
        ["path"], ["'=1+1.png"], ["'+a"], ["'-a"], ["'@a"],
    ]  # fmt: skip
    suspect = Suspect("0", "=1+1.png", "+1", "-1", 0.5)
    (tmp_path / AUDIT).write_text(suspects_text([suspect]))
    assert "'=1+1.png,'+1,'-1" in (tmp_path / AUDIT).read_text()
    (row,) = read_audit(tmp_path)
    assert (row["path"], row["label"], row["propagated"]) == ("=1+1.png", "+1", "-1")


@pytest.mark.parametrize("name", ["+1", "'+1"])
def test_a_class_may_be_copied_from_what_is_suggested(tmp_path: Path, name: str) -> None:
    text = csv_text([Question("a", "=1.png", name, 0.5), Question("b", "b.png", "two", 0.5)])
    rows = list(csv.DictReader(text.splitlines()))
    filled = [{**row, "label": row["suggested"]} for row in rows]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(filled[0]))
        writer.writeheader()
        writer.writerows(filled)
    read = read_csv(tmp_path / "a.csv", {"a": "=1.png", "b": "b.png"}, [name, "two"])
    assert not read.problems and [answer.label for answer in read.answers.values()] == [name, "two"]


def test_a_table_of_labels_is_a_manifest(tmp_path: Path) -> None:
    for name in ("=1.png", "'=2.png", "3.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    rows = [["=1.png", "+1"], ["'=2.png", "-1"], ["3.png", "two"]]
    (tmp_path / "labels.csv").write_text(table_text(("path", "label"), rows))
    found = registry.find("dataset", "csv").call(path=str(tmp_path / "labels.csv"))
    assert not found.problems and [(item.path, item.label) for item in found.items] == [tuple(row) for row in rows]
    (tmp_path / "own.csv").write_text("path,label\n'=2.png,a\n")
    (item,) = registry.find("dataset", "csv").call(path=str(tmp_path / "own.csv")).items
    assert item.path == "'=2.png", "a manifest of one's own names a file as it is called"
