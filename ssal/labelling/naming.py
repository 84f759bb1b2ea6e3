"""What classes may be called, and are called now: a class may be renamed after files with its name were written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssal.errors import listing
from ssal.labelling.answers import KINDS, LABEL, SHOWN
from ssal.labelling.chain import RENAMED
from ssal.labelling.files.words import plain

ANSWERS = {*KINDS, *SHOWN.values()} - {LABEL}
"""What people answer where an image has no class: no class can be called like that."""


class Names:
    """What classes are called now that were renamed since."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take rows of a ledger."""
        self._renamed = [(row["position"], row["about"], row["label"]) for row in rows if row["event"] == RENAMED]

    def renamed(self) -> dict[str, str]:
        """Return what classes are called now by the names that were taken from them, the last taking of each."""
        return {old: str(self.of(old, since - 1)) for since, old, _ in self._renamed}

    def of(self, label: str | None, position: int) -> str | None:
        """Return what a label is called now that stands in the row at `position`."""
        for since, old, new in self._renamed:
            if position < since and label == old:
                label = new
        return label


def no_name(name: str) -> str | None:
    """Return why nobody can answer with a class of that name; None where one can."""
    if not name.strip():
        return "is empty; type a name"
    if plain(name) in ANSWERS:
        return "is what people answer of an image without a class; type another name"
    return None


def name_problems(names: Sequence[str]) -> list[str]:
    """Return what is wrong with names that were typed; those that differ in case alone would be taken for one."""
    problems = [f"name {number} is empty" for number, name in enumerate(names, 1) if not name]
    same = Counter(name.casefold() for name in names if name)
    for folded, count in same.items():
        spelt = [name for name in names if name.casefold() == folded]
        if count > 1:
            problems.append(f"{spelt[0]!r} is named {count} times ({listing(spelt)}); names differ in more than case")
        if wrong := no_name(spelt[0]):
            problems.append(f"{spelt[0]!r} {wrong}")
    return problems


def to_write(lacks: Iterable[str], classes: Sequence[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Return what to write in `data.classes` so that it names what was answered and it `lacks`, by that name.

    `renamed` is as of Names.renamed; a name that no class of the recipe had before is not among what is returned.
    """
    found = {}
    for new in lacks:
        before = [old for old in classes if renamed.get(old) == new]
        if before:
            remove = f" and remove {listing(map(repr, before[1:]))}" if before[1:] else ""
            found[new] = f"write {new!r} for {before[0]!r}{remove} in data.classes"
    return found
