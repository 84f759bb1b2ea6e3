"""Answers in CSV files: as every spreadsheet saves them, and refused line by line where they are in doubt."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path

import pytest
from answer_files import ASKED, CLASSES, IDS, QUESTIONS, SAID, meant, said, written

from ssal.errors import BadInput
from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE, SHOWN, SKIPPED
from ssal.labelling.files.csv_answers import csv_text, read_csv
from ssal.labelling.files.questions import Question
from ssal.labelling.files.reading import Read, accepted

A, B, C = IDS[:3]


def filled(separator: str = ",", end: str = "\n") -> str:
    """Return what `csv_text` wrote with the answers in it, saved as some spreadsheet does."""
    rows = list(csv.DictReader(io.StringIO(csv_text(QUESTIONS))))
    for row in rows:
        kind, label = SAID.get(row["id"], (LABEL, ""))
        row["label"] = SHOWN[kind] if label is None else label
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0], delimiter=separator, lineterminator=end)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def read(folder: Path, content: str | bytes, asked: dict[str, str] = ASKED, classes: list[str] = CLASSES) -> Read:
    return read_csv(written(folder / "a.csv", content), asked, classes)


def problem(folder: Path, content: str | bytes) -> str:
    """Return the one problem of a file, from which nothing is taken."""
    found = read(folder, content)
    assert len(found.problems) == 1, found
    with pytest.raises(BadInput):
        accepted(found)
    return found.problems[0].removeprefix(f"{folder / 'a.csv'}:")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "mac_roman", "cp850"])
def test_what_was_written_and_filled_in_comes_back(tmp_path: Path, separator: str, end: str, encoding: str) -> None:
    assert said(read(tmp_path, filled(separator, end).encode(encoding))) == SAID


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;;;"])
def test_a_line_may_name_the_separator(tmp_path: Path, line: str) -> None:
    assert said(read(tmp_path, f"{line}\r\n{filled(';')}")) == SAID


def test_what_is_written(tmp_path: Path) -> None:
    questions = [Question(A, "a, b.png", "cats", 0.25), Question(B, "=1+2.png"), Question(C, "\udcff.png", "Dogs")]
    assert csv_text(questions).splitlines() == [
        "id,path,label,comment,suggested,confidence",
        f'{A},"a, b.png",,,cats,0.250',
        f"{B},'=1+2.png,,,,",
        f"{C},\\udcff.png,,,Dogs,",
    ]
    assert csv_text(questions[1:2]).splitlines()[0] == "id,path,label,comment"
    paths = {question.id: question.path for question in questions}
    rows = csv_text(questions).replace(f"{B},", ",").replace(f"{C},", ",").replace("png,,", "png,cats,")
    assert list(said(read(tmp_path, rows, paths))) == [B, C], "without ids, their paths tell them"


def test_rows_may_miss_be_doubled_and_stand_in_any_order_with_any_columns(tmp_path: Path) -> None:
    rows = [f"yes; CATS ;{B.upper()}", "", f"no;horse,  WILD;{A}", f";cats;{B};;", f";;{C}", f";Cannot  Tell;{C}"]
    text = "\n".join(['Seen; LABEL ;" Id "', ";;", *rows])
    assert said(read(tmp_path, text)) == {A: (LABEL, "horse, wild"), B: (LABEL, "cats"), C: (CANNOT_TELL, None)}
    assert list(read(tmp_path, text).answers) == [A, B, C], "in the order they were asked"
    assert said(read(tmp_path, "id,label\n")) == {}
    assert said(read(tmp_path, "path,label\ntrain/unlabelled/picture 1.png,dogs")) == {B: (LABEL, "Dogs")}


def test_every_problem_is_told_with_its_line_and_nothing_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near = A[:-1] + ("0" if A[-1] != "0" else "1")
    twice, torn = IDS[3:5]
    rows = [f"{near},cast", f'"{B}",Dogs', f'{C},"two\r\nlines"', f"{twice},cats", f"{twice},Dogs", f"{torn},a,b"]
    found = read(tmp_path, "\r\n".join(["id,label", *rows]))
    file = tmp_path / "a.csv"
    known = (
        '(one of: cats, Dogs, naïve bird, horse, wild, the "other"); without a class: none of the classes, cannot tell'
    )
    assert found.problems == [
        f"{file}:2: image {near!r} was not asked for; did you mean {A!r}?",
        f"{file}:2: no class is called 'cast'; did you mean 'cats'? {known}, skipped",
        f"{file}:4: no class is called 'two\\r\\nlines' {known}, skipped",
        f"{file}:7: image {twice} has two labels, 'cats' and 'Dogs'; leave the right one alone",
        f"{file}:8: expected 2 values as in the header, got 3; put values that hold a separator in quotes",
    ]
    with pytest.raises(BadInput) as refusal:
        accepted(found)
    assert str(refusal.value).splitlines() == [
        *found.problems,
        "Nothing was taken. Mend what is listed and run again, or take the 1 other answer with --accept-valid",
    ]
    with caplog.at_level(logging.WARNING):
        assert meant(accepted(found, accept_valid=True)) == {B: (LABEL, "Dogs")}
    assert [record.message for record in caplog.records] == [f"{problem}; left out" for problem in found.problems]


def test_what_spreadsheets_make_of_an_id_is_told_and_the_path_tells_the_image(tmp_path: Path) -> None:
    asked = {
        "1234567890123456": "a.png",
        "00123456789e0012": "b.png",
        "0000000012345678": "c.png",
        "1234567890123999": "d.png",
    }
    text = (
        "id;path;label\n1,23457E+15;a.png;cats\n1.23E+20;b.png;Dogs\n12345678;c.png;cats\n1234567890123990;d.png;cats\n"
    )
    found = read(tmp_path, text, asked)
    assert list(said(found).values()) == [(LABEL, name) for name in ("cats", "Dogs", "cats", "cats")]
    assert len(found.notes) == 4
    turned = "a spreadsheet turned the id 1234567890123456 into the number 1,23457E+15"
    assert found.notes[0] == f"{tmp_path / 'a.csv'}:2: {turned}; its path told the image"
    for row in ("1.23457E+15,gone.png", "1.23457E+15,", "1.3E+15,a.png", "1.23457E+15,b.png", "12345,c.png"):
        found = read(tmp_path, f"id,path,label\n{row},cats", asked)
        assert found.answers == {} and len(found.problems) == 1, row
        assert (
            f":2: a spreadsheet turned the id into the number {row.partition(',')[0]}, and the path"
            in found.problems[0]
        )


def test_an_id_and_a_path_of_two_images_are_in_doubt(tmp_path: Path) -> None:
    text = f"id,path,label\n{B},{ASKED[A]},cats\n{A},{ASKED[B]},cats\n{C},elsewhere.png,cats\n"
    found = read(tmp_path, text)
    assert meant(found.answers) == {C: (LABEL, "cats")}
    assert [one.rpartition(": ")[2] for one in found.problems] == [
        f"the id is that of {ASKED[id]}, but the path is not; was one column sorted alone?" for id in (B, A)
    ]


def test_a_class_wins_over_the_word_it_is_called_like(tmp_path: Path) -> None:
    classes = ["Skipped", "cannot tell", "CATS", "cats"]

    def one(label: str) -> Read:
        return read(tmp_path, f"id,label\n{A},{label}", classes=classes)

    assert said(one("Skipped")) == {A: (LABEL, "Skipped")}
    assert said(one("cannot tell")) == {A: (LABEL, "cannot tell")}
    assert said(one("None of the Classes")) == {A: (NONE, None)}
    for word, meanings in {
        "skipped": "the class 'Skipped', or 'skipped' without a class",
        "Cannot Tell": "the class 'cannot tell', or 'cannot tell' without a class",
        "Cats": "the class 'CATS', the class 'cats'",
    }.items():
        assert one(word).answers == {}
        assert (
            one(word)
            .problems[0]
            .endswith(f":2: {word!r} may mean {meanings}; write a class exactly as it is called, or leave it out")
        )
    assert said(read(tmp_path, f"id,label\n{A},SKIPPED")) == {A: (SKIPPED, None)}


def test_skipping_gives_way_to_what_another_row_says(tmp_path: Path) -> None:
    for rows in (["skipped", "cats"], ["cats", "skipped"], ["skipped", "cats", "", "skipped", "cats"]):
        assert said(read(tmp_path, "id,label\n" + "\n".join(f"{A},{row}" for row in rows))) == {A: (LABEL, "cats")}
    assert read(tmp_path, f"id,label\n{A},cats\n{A},none of the classes\n").answers == {}


@pytest.mark.parametrize(
    "content,message",
    [
        (b"", "1: expected the columns id and label; nothing is there"),
        (b"\n \n", "1: expected the columns id and label; nothing is there"),
        (b"name;label\nx;cats\n", "1: expected the columns id and label, got 'name, label'"),
        (b"id,label,Label\n", "1: the column label stands 2 times; keep one"),
        (f'"id,path,label";\n"{A},a.png,";cats\n'.encode(), "1: expected a header such as id,path,label, with one sep"),
        (
            f"id,path,label,comment;\n{A},a.png,,;cats\n".encode(),
            "1: expected one separator, got 'comment;' as a column",
        ),
        (b"id,label\n\n" + A.encode() + b",\0cats\n", "3: expected text, got a NUL byte"),
        ("id,label\n".encode("utf-16-le"), "1: expected text, got a NUL byte"),
        (f"id,label\n{A},cats\n".encode("utf-16")[:-1], "1: expected UTF-16"),
        (
            f"id,label\n{A},cats\n".encode() + b'"x' + b"y" * 2**18,
            "3: this row is no CSV (field larger than field limit",
        ),
        (f'id,label,comment\n{A},,"5" tall"\n{B},cats,\n'.encode(), "2: this row is no CSV ("),
        (
            f'id,label\n{A},"cats\n{B},cats\n'.encode(),
            "2: this row is no CSV (unexpected end of data); is a quote left",
        ),
        (
            b"id,label\n" + A.encode() + b",\xff\xfe\xfa\n",
            "2: expected UTF-8 text; 1 labels from here on are in another enc",
        ),
        (bytes(range(128, 256)) * 9, "1: expected the columns id and label, got 1152 bytes that are no text"),
        (
            b'"' + bytes(range(128, 256)) * 2000,
            "1: expected a header such as id,path,label, with one separator; got 256001 by",
        ),
        ("id;Étiquette\n".encode("cp1252"), "1: expected the columns id and label, got 'id, �tiquette'"),
        (b"name;" * 99, f"1: expected the columns id and label, got '{'name, ' * 13}na' …"),
        (b"id,label\n,cats\n", "2: a label without an id, and the path does not tell the image"),
    ],
)
def test_files_that_are_no_table_of_answers(tmp_path: Path, content: bytes, message: str) -> None:
    assert problem(tmp_path, content).startswith(message)


def test_other_encodings_are_taken_only_where_the_classes_leave_no_doubt(tmp_path: Path) -> None:
    text = f"id,label,comment\n{A},Łódź,é\n{B},cats,ž\n"
    assert said(read(tmp_path, text.encode("cp1250"), classes=["Łódź", "cats"])) == {
        A: (LABEL, "Łódź"),
        B: (LABEL, "cats"),
    }
    one = f"id,label\n{A},é".encode("cp1252")
    assert said(read(tmp_path, one, classes=["é"])) == {A: (LABEL, "é")}
    assert read(tmp_path, one, classes=["é", one[-1:].decode("cp1251")]).answers == {}, "the byte is both classes"
    assert said(read(tmp_path, f"id,label,é\n{A},cats,é".encode("cp1252"))) == {A: (LABEL, "cats")}


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert read_csv(tmp_path / "none.csv", ASKED, CLASSES).problems == [
        f"{tmp_path / 'none.csv'}:1: this file cannot be read (No such file or directory); name a file of answers"
    ]
    assert "Is a directory" in read_csv(tmp_path, ASKED, CLASSES).problems[0]


def test_a_large_file_of_strangers_is_refused_soon(tmp_path: Path) -> None:
    asked = {f"{number:016x}": f"{number}.png" for number in range(1_000)}
    found = read(tmp_path, "id,label\n" + "\n".join(f"{number:015x}z,cats" for number in range(1_000)), asked)
    assert len(found.problems) == 1_000 and "did you mean" in found.problems[0]
    assert "did you mean" not in found.problems[-1], "the nearest of all is told for the first alone"
