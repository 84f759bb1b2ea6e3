"""A thousand files of each kind, damaged at random: each is refused whole, or taken exactly."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answer_files import ASKED, CLASSES, CONTENTS, IDS, QUESTIONS, SAID, meant, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_exports import annotation, chosen, exported, minimal

from ssal.errors import BadInput
from ssal.labelling.answers import SHOWN
from ssal.labelling.files.csv_answers import csv_text, read_csv
from ssal.labelling.files.folders import folder_names, read_folders, write_folders
from ssal.labelling.files.label_studio_answers import read_label_studio
from ssal.labelling.files.label_studio_tasks import tasks_json
from ssal.labelling.files.reading import Read, accepted

THOUSAND = settings(
    max_examples=1000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
STRANGER = "feedfacefeedface"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "mac_roman", "cp850", "utf-7", "cp037"]
Meaning = tuple[str, str | None]

place, number = st.floats(0, 1, exclude_max=True), st.integers(0, 11)
row_changes = st.lists(
    st.tuples(st.sampled_from(["drop", "double", "swap", "stranger", "class"]), number, number), max_size=3
)
byte_changes = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), place, st.integers(1, 255)),
        st.tuples(st.just("cut"), place, st.just(0)),
        st.tuples(st.just("insert"), place, st.sampled_from([0, 10, 13, 34, 44, 59, 91, 123, 255])),
    ),
    max_size=3,
)
encodings = st.one_of(st.just("utf-8"), st.sampled_from(ENCODINGS))


def rows_changed(rows: list[Any], changes: list[tuple[str, int, int]], damage: Callable[[Any, str], Any]) -> list[Any]:
    """Return rows dropped, doubled, moved, or with an id that was not asked for or a class that is not known."""
    rows = list(rows)
    for what, first, second in changes:
        one, other = first % max(len(rows), 1), second % max(len(rows), 1)
        if not rows:
            continue
        if what == "drop":
            del rows[one]
        elif what == "double":
            rows.insert(other, rows[one])
        elif what == "swap":
            rows[one], rows[other] = rows[other], rows[one]
        else:
            rows[one] = damage(rows[one], what)
    return rows


def bytes_changed(data: bytes, changes: list[tuple[str, float, int]]) -> bytes:
    """Return bytes flipped, inserted or cut off."""
    changed = bytearray(data)
    for what, where, value in changes:
        at = int(where * len(changed))
        if what == "cut":
            del changed[at:]
        elif what == "insert":
            changed.insert(at, value)
        elif changed:
            changed[at] ^= value
    return bytes(changed)


def holds(read: Read, whole: bool) -> None:
    """Fail unless a file is refused whole or taken exactly; `whole`: nothing was done that its content tells of."""
    exact = meant(read.answers)
    assert exact.items() <= SAID.items(), "only of images asked for, only classes that are known, only what was said"
    if read.problems:
        with pytest.raises(BadInput) as refusal:
            accepted(read)
        assert str(refusal.value).splitlines()[:-1] == read.problems
        assert accepted(read, accept_valid=True) == read.answers
    else:
        assert accepted(read) == read.answers
    if whole:
        assert exact == SAID and not read.problems


def csv_rows() -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(csv_text(QUESTIONS))))
    for row in rows[1:]:
        kind, label = SAID.get(row[0], ("label", ""))
        row[2] = SHOWN[kind] if label is None else label
    return rows


def csv_row_damaged(row: list[str], what: str) -> list[str]:
    return [STRANGER, *row[1:]] if what == "stranger" else [*row[:2], "zebras", *row[3:]]


@THOUSAND
@given(row_changes, byte_changes, encodings, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_damaged_csv_file(
    tmp_path: Path,
    rows: list[tuple[str, int, int]],
    changes: list[tuple[str, float, int]],
    encoding: str,
    separator: str,
    end: str,
) -> None:
    header, *body = csv_rows()
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end)
    writer.writerows([header, *rows_changed(body, rows, csv_row_damaged)])
    data = bytes_changed(text.getvalue().encode(encoding, "replace"), changes)
    understood = encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "mac_roman", "cp850")
    read = read_csv(written(tmp_path / "a.csv", data), ASKED, CLASSES)
    holds(read, whole=understood and not changes and {what for what, *_ in rows} <= {"double", "swap"})


def label_studio_tasks() -> list[dict[str, Any]]:
    tasks = json.loads(tasks_json(QUESTIONS, lambda id: f"/data/local-files/?d={ASKED[id]}"))
    return [
        exported(task, number, *([annotation(chosen(SAID[id]))] if (id := task["data"]["image_id"]) in SAID else []))
        for number, task in enumerate(tasks)
    ]


def task_damaged(task: dict[str, Any], what: str) -> dict[str, Any]:
    text = json.dumps(task, ensure_ascii=False)
    if what == "stranger":
        return json.loads(text.replace(task.get("data", task)["image_id"], STRANGER))
    return json.loads(text.replace('"choices": ["', '"choices": ["zebra ').replace('"choice": "', '"choice": "zebra '))


@pytest.mark.parametrize("shape", ["full", "minimal"])
def test_a_damaged_export_of_label_studio(tmp_path: Path, shape: str) -> None:
    tasks = label_studio_tasks()
    if shape == "minimal":
        tasks = [record for task in tasks for record in minimal(task)]
    shown = {id: meaning for id, meaning in SAID.items() if shape == "full" or meaning[0] != "skipped"}

    @settings(THOUSAND, max_examples=1000)
    @given(row_changes, byte_changes, encodings, st.sampled_from([None, 2]))
    def damaged(
        rows: list[tuple[str, int, int]], changes: list[tuple[str, float, int]], encoding: str, indent: int | None
    ) -> None:
        text = json.dumps(rows_changed(tasks, rows, task_damaged), indent=indent, ensure_ascii=False)
        data = bytes_changed(text.encode(encoding, "replace"), changes)
        read = read_label_studio(written(tmp_path / "a.json", data), ASKED, CLASSES)
        holds(read, whole=False)
        if (
            not changes
            and encoding in ("utf-8", "utf-8-sig", "utf-16")
            and {what for what, *_ in rows} <= {"double", "swap"}
        ):
            assert meant(accepted(read)) == shown

    damaged()


@pytest.fixture(scope="module")
def sorted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What people sorted: all that SAID says."""
    folder = tmp_path_factory.mktemp("sorted") / "sort"
    write_folders(folder, QUESTIONS, CLASSES, CONTENTS.__getitem__)
    names = {meaning: name for name, meaning in folder_names(CLASSES).items()}
    for id, meaning in SAID.items():
        (folder / names[meaning]).mkdir(exist_ok=True)
        (folder / "to_sort" / f"{id}.png").rename(folder / names[meaning] / f"{id}.png")
    return folder


file_changes = st.lists(
    st.tuples(
        st.sampled_from(
            ["drop", "rename", "stranger", "damage", "copy", "nested", "out", "unknown", "litter", "named"]
        ),
        number,
        number,
    ),
    max_size=4,
)


@THOUSAND
@given(file_changes)
def test_a_damaged_folder(tmp_path: Path, sorted_folder: Path, changes: list[tuple[str, int, int]]) -> None:
    folder = tmp_path / "sort"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sorted_folder, folder)
    for step, (what, first, second) in enumerate(changes):
        files = sorted(path for path in folder.rglob("*.png") if path.parent.name != "to_sort")
        if not files:
            break
        path = files[first % len(files)]
        if what == "drop":
            path.unlink()
        elif what == "rename":
            path.rename(path.with_name(f"picture ({step}).png"))
        elif what == "stranger":
            written(path.with_name(f"{STRANGER}.png"), b"\x89PNG %d" % second)
        elif what == "damage":
            if CONTENTS.get(path.stem) == path.read_bytes():  # a name that lies is found by the content alone
                written(path, path.read_bytes()[: second % 7])
        elif what == "copy":
            shutil.copy(path, path.with_name(f"Copy {step} of {path.name}"))
        elif what == "litter":
            written(path.with_name("Thumbs.db"), b"")
        elif what == "named":
            if path.read_bytes() in CONTENTS.values():
                path.rename(path.with_name(f"{IDS[second]}.png"))
        else:
            to = {"nested": path.parent / "inner", "out": folder, "unknown": folder / "zebras"}[what]
            to.mkdir(exist_ok=True)
            path.rename(to / path.name)
    holds(read_folders(folder, ASKED, CLASSES), whole={what for what, *_ in changes} <= {"rename", "copy", "litter"})
