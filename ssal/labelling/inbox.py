"""Inbox: people answer by filling a CSV file that lies in the round's folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ssal.artefacts import write_text
from ssal.data.images import Images
from ssal.errors import BadInput, Waiting, listing, nearest
from ssal.registry import answerer


@answerer
def inbox(ids: Sequence[str], images: Images, folder: Path) -> dict[str, str]:
    """Return the labels people wrote into `to_label.csv`; raise Waiting while some are missing.

    A first call writes the file: id, path and an empty label per image. Raises BadInput, with line numbers, for ids
    that were not asked for and classes that are not known; nothing is taken from such a file.
    """
    file = folder / "to_label.csv"
    if not file.exists():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "path", "label"])
        writer.writerows([id, images.pool.paths[images.pool.row(id)], ""] for id in ids)
        write_text(file, text.getvalue())
    answers, problems = read_answers(file, ids, images.classes)
    if problems:
        raise BadInput("\n".join(problems))
    missing = [id for id in ids if id not in answers]
    if missing:
        raise Waiting(
            f"{len(missing)} images wait for labels in {file}: write a class into the label column "
            f"({listing(images.classes, 10)}) and run the same command again"
        )
    return {id: answers[id] for id in ids}


def read_answers(file: Path, ids: Sequence[str], classes: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return label by id, and every problem of the file with its line number."""
    answers: dict[str, str] = {}
    problems = []
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return {}, [f"{file}:{line}: expected UTF-8 text; save the file as CSV with UTF-8 encoding"]
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if not {"id", "label"} <= set(reader.fieldnames or ()):
        return {}, [f"{file}:1: expected the columns id and label, got {', '.join(reader.fieldnames or ())}"]
    for row in reader:
        id, label = (row["id"] or "").strip(), (row["label"] or "").strip()
        where = f"{file}:{reader.line_num}"
        if not label:
            continue
        if id not in ids:
            problems.append(f"{where}: image {id!r} was not asked for{nearest(id, ids)}")
        elif label not in classes:
            problems.append(
                f"{where}: no class is called {label!r}{nearest(label, classes)} (one of: {listing(classes, 10)})"
            )
        elif answers.setdefault(id, label) != label:
            problems.append(f"{where}: image {id} has two labels, {answers[id]!r} and {label!r}")
    return answers, problems
