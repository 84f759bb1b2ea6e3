"""Who is the same image, and which side it is on: exact duplicates collapse, and no id is ever on two sides."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ssal.data.listing import Item
from ssal.errors import BadInput


@dataclass(frozen=True)
class Entry:
    """One distinct image: all items with the same content."""

    id: str
    numbers: tuple[int, ...]
    """Items of the listing, the one it is known by first."""
    paths: tuple[str, ...]
    label: str | None
    part: str | None


@dataclass
class Merged:
    """The distinct images, and what was found while merging, as (path, path) pairs."""

    entries: list[Entry] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    also_in_test: list[tuple[str, str]] = field(default_factory=list)
    conflicts: list[tuple[str, str]] = field(default_factory=list)


def merge(items: Sequence[Item], ids: Sequence[str], *, skip_conflicts: bool) -> Merged:
    """Collapse items of one id (`""`: unreadable, left out) into entries sorted by id.

    An image that is in both parts belongs to the test part. Raises BadInput where one image stands under two labels.
    """
    copies: dict[str, list[int]] = defaultdict(list)
    for number, id in enumerate(ids):
        if id:
            copies[id].append(number)
    merged, wrong = Merged(), []
    for id, numbers in sorted(copies.items()):
        if len(numbers) > 1:
            numbers.sort(key=lambda number: items[number].part != "test")
        same = [items[number] for number in numbers]
        labels = {item.label: item for item in reversed(same) if item.label is not None}
        if len(labels) > 1:
            wrong.append(" and ".join(f"{_where(item)} ({label})" for label, item in sorted(labels.items())))
            first, second, *_ = sorted(labels.values(), key=lambda item: item.path)
            merged.conflicts.append((first.path, second.path))
            continue
        for other in same[1:]:
            leaks = same[0].part == "test" and other.part != "test"
            (merged.also_in_test if leaks else merged.duplicates).append((other.path, same[0].path))
        paths = tuple(item.path for item in same)
        merged.entries.append(Entry(id, tuple(numbers), paths, next(iter(labels), None), same[0].part))
    if wrong and not skip_conflicts:
        more = f"\n  and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise BadInput(
            "data: the same image stands under two labels; correct them, or leave these images out with "
            "data.conflicts=skip:\n  " + "\n  ".join(wrong[:20]) + more
        )
    return merged


def _where(item: Item) -> str:
    return f"line {item.line}: {item.path}" if item.line else item.path


@dataclass
class Divided:
    """Pool and test entries, each sorted by id, and the sentence that says how they were told apart."""

    pool: list[Entry]
    test: list[Entry]
    sentence: str
    group_in_test: list[str] = field(default_factory=list)
    test_without_label: list[str] = field(default_factory=list)


def divide(entries: Sequence[Entry], *, test_fraction: float, group_by: str | None) -> Divided:
    """Tell pool from test: by the source's own parts where it has a test part, else by a hash.

    The hash is of the image's id, or of its group with `group_by`, never of labels or of the other images: an image
    stays on its side when others are added. Only labelled images are drawn for testing; a pool image whose group is
    in the test set is left out.
    """
    groups = _groups(entries, group_by)
    own_parts = any(entry.part == "test" for entry in entries)
    if own_parts:
        chosen = [entry for entry in entries if entry.part == "test"]
        sentence = "the source's own test part"
    else:
        chosen = [e for e in entries if e.label is not None and _share(groups[e.id]) < test_fraction]
        by = "hash of their content" if group_by is None else f"hash of their group ({group_by})"
        sentence = f"no test part in the source: about {test_fraction:.0%} of the labelled images, by {by}"
    test = [entry for entry in chosen if entry.label is not None]
    chosen_ids = {entry.id for entry in chosen}
    rest = [entry for entry in entries if entry.id not in chosen_ids]
    test_groups = {groups[entry.id] for entry in test} if group_by is not None else set()
    pool = [entry for entry in rest if groups[entry.id] not in test_groups]
    if not chosen and all(entry.label is None for entry in entries):
        sentence = "no image came with a label, so there is no test set"
    return Divided(
        pool,
        test,
        f"{sentence}; no image is on both sides",
        group_in_test=[entry.paths[0] for entry in rest if groups[entry.id] in test_groups],
        test_without_label=[entry.paths[0] for entry in chosen if entry.label is None],
    )


def _share(text: str) -> float:
    """Return a number in [0, 1) that follows from `text`."""
    return int(hashlib.sha256(f"ssal split {text}".encode()).hexdigest()[:13], 16) / 16**13


def _groups(entries: Sequence[Entry], group_by: str | None) -> dict[str, str]:
    """Return id -> group: what `group_by` finds in the path (first capture group, else all it matches), else the id.

    Groups that share an exact duplicate are one group.
    """
    if group_by is None:
        return {entry.id: entry.id for entry in entries}
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise BadInput(f"data.group_by: {group_by!r} is no regular expression: {error}") from error
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    names: dict[str, str] = {}
    for entry in entries:
        found = [match for match in map(pattern.search, entry.paths) if match]
        texts = [(match.group(1) if pattern.groups else None) or match.group(0) for match in found]
        for text in texts:
            low, high = sorted((root(texts[0]), root(text)))
            parent[high] = low
        if texts:
            names[entry.id] = texts[0]
    if entries and not names:
        raise BadInput(f"data.group_by: {group_by!r} matches no path, such as {entries[0].paths[0]!r}")
    return {entry.id: f"group {root(names[entry.id])}" if entry.id in names else entry.id for entry in entries}
