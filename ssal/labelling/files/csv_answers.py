"""CSV: one row per image, filled in with any spreadsheet and read back however that saved it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssal.labelling.answers import Answer
from ssal.labelling.files.asked import same_number
from ssal.labelling.files.csv_table import SAVE_AS, table, texts
from ssal.labelling.files.questions import Question, shown_path
from ssal.labelling.files.reading import Read, Reading, content_of
from ssal.labelling.files.words import Unclear, Words
from ssal.spreadsheet import from_cell, table_text

COLUMNS = ("id", "path", "label", "comment")
SUGGESTIONS = ("suggested", "confidence")


def csv_text(questions: Sequence[Question]) -> str:
    """Return the file that people fill in: a label beside each image; what they write as a comment is left aside.

    Suggestions and their confidence are columns of it where any image has one.
    """
    suggests = any(question.suggested is not None for question in questions)
    columns, rows = [*COLUMNS, *(SUGGESTIONS if suggests else ())], []
    for question in questions:
        confidence = "" if question.confidence is None else f"{question.confidence:.3f}"
        suggestion = [question.suggested or "", confidence] if suggests else []
        rows.append([question.id, shown_path(question.path), "", "", *suggestion])
    return table_text(columns, rows)


def read_csv(
    path: Path, asked: Mapping[str, str], classes: Iterable[str], renamed: Mapping[str, str] | None = None
) -> Read:
    """Return the answers in a CSV file of the images `asked` for, path by id.

    Rows may miss, be reordered and be doubled; other columns are left aside; an empty label is no answer. Understood
    are UTF-8, UTF-16 and, where the class names leave no doubt, older encodings; comma, semicolon and tab; any line
    ends.
    """
    reading = Reading(path, asked, classes, renamed)
    unclear: list[int] = []
    with reading.at(1):
        for line, row in table(reading, content_of(path)):
            if row["label"]:
                _row(reading, line, row, unclear)
    if unclear:
        with reading.at(unclear[0]):
            told = f"expected UTF-8 text; {len(unclear)} labels from here on are in another encoding"
            raise Unclear(f"{told}, and no class tells which: {SAVE_AS}")
    return reading.read()


def _row(reading: Reading, line: int, row: dict[str, str], unclear: list[int]) -> None:
    """Note what one row says; `unclear` takes its line where no class tells the encoding of its label."""
    id = meaning = None
    with reading.at(line):
        id = _image(reading, line, row["id"], texts(row["path"]))
    with reading.at(line):
        known = reading.words.classes
        labels = [text if text in known else from_cell(text) for text in texts(row["label"])]
        meanings = {reading.words.meaning(labels[0])} if len(labels) == 1 else _meanings(reading.words, labels)
        if len(meanings) == 1:
            meaning = meanings.pop()
        else:
            unclear.append(line)
    if id is not None and meaning is not None:
        reading.heard(Answer(id, *meaning), line)


def _meanings(words: Words, labels: list[str]) -> set[tuple[str, str | None]]:
    """Return what a label may mean that is one of several texts."""
    found = set()
    for label in labels:
        with contextlib.suppress(Unclear):
            found.add(words.meaning(label))
    return found


def _image(reading: Reading, line: int, id: str, paths: list[str]) -> str:
    """Return the image of a row: its id tells it, or its path where the id misses or a spreadsheet made it a number.

    Raises Unclear.
    """
    asked = reading.asked
    told = {asked.by_path[path] for text in paths for path in (text, from_cell(text)) if path in asked.by_path}
    by_path = told.pop() if len(told) == 1 else None
    if asked.mangled(id):
        if by_path is None or not same_number(id, by_path):
            raise Unclear(
                f"a spreadsheet turned the id into the number {id}, and the path does not tell the image; import the "
                "column id as text, or copy the id from the file that was handed out"
            )
        how = f"a spreadsheet turned the id {by_path} into the number {id}; its path told the image"
        reading.notes.append(f"{reading.file}:{line}: {how}")
        return by_path
    if not id:
        if by_path is None:
            raise Unclear("a label without an id, and the path does not tell the image; write the id beside it")
        return by_path
    found = asked.find(id)
    if by_path not in (None, found):
        raise Unclear(f"the id is that of {asked.paths[found]}, but the path is not; was one column sorted alone?")
    return found
