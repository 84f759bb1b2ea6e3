"""What people may write for an answer: one vocabulary for every file."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

from ssal.errors import listing, nearest
from ssal.labelling.answers import LABEL, SHOWN


class Unclear(Exception):
    """A row, file or task that cannot be taken; the message is the problem without its place."""


def plain(text: str) -> str:
    """Return `text` as names are compared that people typed: whatever the case, spaces or form of accents."""
    return unicodedata.normalize("NFC", " ".join(text.split()).casefold())


class Words:
    """What people may write for an answer: a class, or one of the words for an answer without a label."""

    def __init__(self, classes: Iterable[str], renamed: Mapping[str, str] | None = None) -> None:
        """Take the class names; one that is called like a word without a label wins over it.

        `renamed` gives what a class is called now by its earlier names, which are understood where nothing else is
        called like that; `earlier` then holds those that were met.
        """
        self.classes = list(classes)
        self.earlier: dict[str, str] = {}
        self.former = {old: now for old, now in (renamed or {}).items() if now in self.classes}
        self._former = {plain(old): now for old, now in self.former.items()}
        self._named: dict[str, list[str]] = defaultdict(list)
        for name in self.classes:
            self._named[plain(name)].append(name)
        self.without_label = {kind: word for kind, word in SHOWN.items() if plain(word) not in self._named}
        self._kinds = {plain(word): kind for kind, word in SHOWN.items()}

    def meaning(self, text: str) -> tuple[str, str | None]:
        """Return (kind, label) of what somebody wrote, which is not blank. Raises Unclear."""
        if text in self.classes:
            return LABEL, text
        names, kind = self._named.get(plain(text), []), self._kinds.get(plain(text))
        if len(names) + (kind is not None) > 1:
            may_be = listing((f"the class {name!r}" for name in names), 10)
            no_class = f", or {SHOWN[kind]!r} without a class" if kind else ""
            raise Unclear(
                f"{text!r} may mean {may_be}{no_class}; write a class exactly as it is called, or leave it out"
            )
        if names:
            return LABEL, names[0]
        if kind:
            return kind, None
        if now := self._former.get(plain(text)):
            self.earlier[text] = now
            return LABEL, now
        words = list(self.without_label.values())
        raise Unclear(
            f"no class is called {text!r}{nearest(text, [*self.classes, *words])} "
            f"(one of: {listing(self.classes, 10)}); without a class: {listing(words)}"
        )
