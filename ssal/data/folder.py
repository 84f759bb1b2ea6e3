"""Folders of images: one per class, or flat and unlabelled, on disk or inside a .tar that is never unpacked."""

from __future__ import annotations

import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from ssal.data.decode import ENDINGS
from ssal.data.listing import UNLABELLED, Item, Listing
from ssal.errors import BadInput, counted
from ssal.errors import listing as some
from ssal.fingerprints import fingerprint
from ssal.registry import dataset


class _File(NamedTuple):
    path: str
    stamp: tuple[int, int]
    """Size and time of change on disk, size and offset in a tar."""


@dataset
def folder(*, path: str = "") -> Listing:
    """Image folder or .tar: train/<class>/… and test/<class>/…, or <class>/… alone, or unlabelled images alone.

    Images in a folder named `unlabelled`, directly under train/ or beside the class folders have no label.
    """
    if not path:
        raise BadInput("data.path: say where the images are: data.path=FOLDER or data.path=FILE.tar")
    root = Path(os.path.expanduser(path))
    if root.is_dir():
        files, read, stamp = list(_walk(root)), _folder_reader(root), [str(root.resolve())]
    elif root.is_file():
        files, read = _members(root)
        stamp = [str(root.resolve()), str(root.stat().st_size), str(root.stat().st_mtime_ns)]
    else:
        raise BadInput(f"data.path: {root} does not exist (from {Path.cwd()})")
    files.sort()
    images = [file for file in files if _is_image(file.path)]
    if not images:
        raise BadInput(f"data.path: {root} holds no image ({len(files)} files, none ends in {', '.join(ENDINGS)})")
    split = [tuple(_shown(file.path).split("/")) for file in images]
    inner = _inner(split)
    notes = [f"everything stands in {'/'.join(inner)}/"] if inner else []
    items, kept, aside = [], [], Counter[str]()
    heads = {parts[len(inner)] for parts in split}
    # A class may be called train as well: then no class folders are in it.
    in_train = any(parts[len(inner)] == "train" and len(parts) > len(inner) + 2 for parts in split)
    parted = "train" in heads and (in_train or heads <= {"train", "test"})
    for file, whole in zip(images, split, strict=True):
        parts = whole[len(inner) :]
        if parted and parts[0] not in ("train", "test"):
            aside[f"{parts[0]}/" if len(parts) > 1 else parts[0]] += 1
            continue
        part: Literal["train", "test"] | None = ("test" if parts[0] == "test" else "train") if parted else None
        items.append(Item("/".join(whole), _class(parts[1:] if parted else parts), part))
        kept.append(file)
    if aside:
        counts = some(f"{name} ({counted(count, 'image')})" for name, count in aside.items())
        notes.append(f"left aside, neither in train/ nor in test/: {counts}")
    endings = Counter(PurePosixPath(_shown(f.path)).suffix or "no ending" for f in files if not _is_image(f.path))
    if endings:
        notes.append(f"other files left aside: {some(f'{n} × {ending}' for ending, n in endings.most_common())}")
    paths = [file.path for file in kept]
    return Listing(items, lambda number: read(paths[number]), fingerprint(stamp, kept), tuple(notes))


def _shown(name: str) -> str:
    """Return a name that any file can hold: bytes that are no UTF-8 text, as old archives have them, as escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_image(path: str) -> bool:
    # macOS leaves ._name.jpg beside name.jpg: no image, whatever its ending.
    hidden = path.startswith(".") or "/." in path or "__MACOSX" in path
    return path.lower().endswith(ENDINGS) and not hidden


def _class(parts: tuple[str, ...]) -> str | None:
    return parts[0] if len(parts) > 1 and parts[0].lower() not in UNLABELLED else None


def _inner(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the outer folders that hold everything (dataset/train/… in a tar, say)."""
    first = paths[0][:-1]
    same = [all(parts[depth : depth + 1] == (name,) for parts in paths) for depth, name in enumerate(first)]
    outer = first[: (*same, False).index(False)]
    for depth, name in enumerate(outer):
        if name == "train" or name.lower() in UNLABELLED:  # what lies in these has a meaning
            return outer[:depth]
    below = {parts[len(outer)] for parts in paths if len(parts) > len(outer) + 1}
    # One folder with images alone is a class, whatever it lies in.
    return outer if "train" in below or len(below) > 1 else outer[:-1]


def _walk(root: Path) -> Iterator[_File]:
    seen = set()
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=_closed):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back up
            subfolders.clear()
            continue
        seen.add(real)
        relative = os.path.relpath(folder, root)
        for name in names:
            try:
                facts = os.stat(os.path.join(folder, name))
            except OSError:  # a link to nothing: listed, and found unreadable when its turn comes
                facts = os.lstat(os.path.join(folder, name))
            path = name if relative == "." else f"{relative}/{name}"
            yield _File(path.replace(os.sep, "/"), (facts.st_size, facts.st_mtime_ns))


def _closed(error: OSError) -> None:
    raise BadInput(f"data.path: the folder {error.filename} cannot be read ({error.strerror}); open or move it")


def _folder_reader(root: Path) -> Callable[[str], bytes]:
    return lambda path: (root / path).read_bytes()


def _members(archive: Path) -> tuple[list[_File], Callable[[str], bytes]]:
    """List a tar and return a reader that any thread may call: each read names its own offset."""
    try:
        with tarfile.open(archive, "r:") as tar:
            members = {member.name.removeprefix("./"): member for member in tar}
    except OSError as error:
        raise BadInput(f"data.path: {archive} cannot be read ({error.strerror})") from error
    except tarfile.TarError as error:
        what = f"is damaged, or no tar: {error}"
        if archive.suffix in (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip"):
            what = "is compressed, so single images cannot be read from it; unpack it"
        raise BadInput(f"data.path: {archive} {what}; expected a folder or an uncompressed .tar") from error
    places = {}
    for name, member in members.items():
        target = members.get(member.linkname.removeprefix("./"), member) if member.islnk() else member
        if target.isreg():
            places[name] = (target.size, target.offset_data)
    file = archive.open("rb")

    def read(path: str) -> bytes:
        size, offset = places[path]
        return os.pread(file.fileno(), size, offset)

    return [_File(name, place) for name, place in places.items()], read
