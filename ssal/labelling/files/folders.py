"""A folder per class: people move images from `to_sort` into the folder of their class, with any file manager."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ssal.data.decode import ENDINGS
from ssal.data.listing import Content, content_id
from ssal.errors import BadInput, listing, nearest
from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE, SHOWN, Answer
from ssal.labelling.files.asked import Asked
from ssal.labelling.files.questions import Question
from ssal.labelling.files.reading import Read, Reading, content_of
from ssal.labelling.files.words import Unclear, plain
from ssal.whole_folder import whole_folder

TO_SORT = "to_sort"
HOW_TO = "how_to_sort.txt"
LITTER = ("thumbs.db", "desktop.ini", "__macosx", HOW_TO)
"""What operating systems, and ssal, leave beside the images, in small letters; names that begin with a dot are too."""
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*%]|^[.\s]|[.\s]$')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_LONGEST = 120
_PNG = b"\x89PNG"


def folder_names(classes: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """Return what each folder stands for, (kind, label) by name: the classes, then the words without one.

    Letters that a folder's name cannot hold on some system, a device's name (CON) and a name that differs from another
    in case alone are written as %XX, the UTF-8 bytes of the letter; what is too long is cut and ends in a fingerprint.
    """
    names: dict[str, tuple[str, str | None]] = {}
    taken = {plain(name) for name in (TO_SORT, *SHOWN.values(), *LITTER)}
    for label in dict.fromkeys(classes):
        names[name := _folder_name(label, taken)] = (LABEL, label)
        taken.add(plain(name))
    return names | {word: (kind, None) for kind, word in SHOWN.items()}


def _folder_name(label: str, taken: set[str]) -> str:
    """Return the first of a label's names that is free: with more and more of its letters written as %XX."""
    return next(
        name
        for encoded in range(len(label) + 1)
        if not _DEVICE.fullmatch(name := safe_name(label, encoded)) and plain(name) not in taken
    )


def safe_name(text: str, letters: int = 0) -> str:
    """Return `text` with its first `letters`, and all that a folder's name cannot hold, written as %XX.

    Too long a name is cut and ends in a fingerprint.
    """
    name = _percent(text[:letters]) + _FORBIDDEN.sub(lambda found: _percent(found[0]), text[letters:])
    if len(name.encode()) <= _LONGEST:
        return name
    start = name.encode()[: _LONGEST // 2].decode(errors="ignore")
    return f"{start}%~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def write_folders(
    target: Path, questions: Sequence[Question], classes: Sequence[str], content: Callable[[str], Content]
) -> None:
    """Write the images asked for into `target`/to_sort, an empty folder per class and word beside it, all or nothing.

    `content` gives an image by its id, as a file's bytes or an array. A file's name is its id, after the suggestion
    where there is one, so that images of one suggestion stand together. Raises BadInput where `target` holds anything.
    """
    if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
        raise BadInput(f"{target}: people may be sorting images there; name a folder that is not there yet")
    names = folder_names(classes)
    named = {label: name for name, (_, label) in names.items() if label is not None}
    with whole_folder(target) as work:
        for name in [*named.values(), SHOWN[NONE], SHOWN[CANNOT_TELL], TO_SORT]:
            (work / name).mkdir()
        for question in questions:
            ending, data = file_of(question.path, content(question.id))
            suggestion = named.get(question.suggested or "", "")
            sure = "" if question.confidence is None else f"{question.confidence:.2f}"
            name = " ".join(part for part in (suggestion, sure if suggestion else "", question.id) if part)
            (work / TO_SORT / f"{name}{ending}").write_bytes(data)
        (work / HOW_TO).write_text(_how_to(named), encoding="utf-8")


def file_of(path: str, content: Content) -> tuple[str, bytes]:
    """Return the ending and the bytes of an image's file; an array becomes a PNG, which keeps every value."""
    if isinstance(content, bytes):
        ending = PurePosixPath(path).suffix
        return (ending if ending.lower() in ENDINGS else ""), content
    file = io.BytesIO()
    Image.fromarray(content).save(file, "PNG")
    return ".png", file.getvalue()


def _how_to(named: Mapping[str, str]) -> str:
    encoded = [f"The folder {name} is for the class {label}\n" for label, name in named.items() if name != label]
    words = f"'{SHOWN[NONE]}' or '{SHOWN[CANNOT_TELL]}'"
    return (
        f"Move every image from {TO_SORT} into the folder of its class, or into {words}.\n"
        f"What stays in {TO_SORT} is asked again later. Files may be renamed; the folders may not.\n{''.join(encoded)}"
    )


def read_folders(
    folder: Path, asked: Mapping[str, str], classes: Iterable[str], renamed: Mapping[str, str] | None = None
) -> Read:
    """Return the answers of people who moved the images `asked` for, path by id, into folders of `write_folders`.

    A file is known by its content, or by the id in its name where another program has saved it anew. What lies in
    `to_sort` is no answer, and an empty folder says nothing.
    """
    reading = Reading(folder, asked, classes, renamed)
    known = folder_names(reading.words.classes)
    names = {plain(name): meaning for name, meaning in known.items()}
    before = {plain(name): old for name, (_, old) in folder_names(renamed or ()).items() if old is not None}
    unknown: dict[str, int] = {}
    with reading.at(0, str(folder)):
        for path in _files(folder):
            top, *inner = path.relative_to(folder).parts
            if plain(top) == TO_SORT and inner:
                continue
            if inner and plain(top) not in names and before.get(plain(top)) in reading.words.former:
                names[plain(top)] = reading.words.meaning(before[plain(top)])
            if inner and plain(top) not in names:
                unknown[top] = unknown.get(top, 0) + 1
                continue
            with reading.at(0, str(path)):
                if len(inner) != 1:
                    raise Unclear(
                        f"this file lies in no folder of a class itself; move it into one, or back to {TO_SORT}"
                    )
                reading.heard(Answer(_image(path, reading.asked), *names[plain(top)]), 0, str(path))
    for top, count in unknown.items():
        with reading.at(0, str(folder / top)):
            told = f"{count} files in a folder of no class{nearest(top, known)} (one of: {listing(known, 10)})"
            raise Unclear(f"{told}; move them into a class's folder, or back to {TO_SORT}")
    return reading.read()


def _files(folder: Path) -> Iterator[Path]:
    """Give the files under a folder, in the order of their names, without what systems leave there. Raises Unclear."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unclear(f"this folder cannot be read ({reason}); name the folder that images were sorted in") from error
    for path in entries:
        if path.name.startswith(".") or path.name.lower() in LITTER:
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _image(path: Path, asked: Asked) -> str:
    """Return the image that a file is, by its content before its name. Raises Unclear."""
    named = asked.in_name(path.stem)
    held = _held(content_of(path), asked)
    if held is None and len(named) == 1:
        return named.pop()
    if held is None:
        raise Unclear("this file is no image that was asked for; move it out of the folder")
    if named and held not in named:
        raise Unclear(f"the name is of image {named.pop()}, the content of image {held}; give the file the name {held}")
    return held


def _held(data: bytes, asked: Asked) -> str | None:
    """Return the image asked for that these bytes are, as they stand or, for an array's PNG, as its values."""
    if (id := content_id(data)) in asked.paths:
        return id
    if not data.startswith(_PNG):
        return None
    try:
        values = np.asarray(Image.open(io.BytesIO(data), formats=("PNG",)))
    except Exception:  # damaged files make the decoder raise almost anything; the name may still tell
        return None
    return id if (id := content_id(values)) in asked.paths else None
