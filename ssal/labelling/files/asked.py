"""The images that a file may speak of, found by whatever it tells of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

from ssal.errors import nearest
from ssal.labelling.files.questions import shown_path
from ssal.labelling.files.words import Unclear, plain

COMPARED = 20_000
"""So many ids are compared with unknown ones, to tell the nearest; more of it would take minutes."""
_CONTENT_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?(?:e[+-]?[0-9]{1,3})?", re.IGNORECASE)
_NUMBER_LIKE = re.compile(r"[0-9]+(?:e0*[0-9]{1,3})?", re.IGNORECASE)
_DIGITS_KEPT = 15
"""Significant digits that a spreadsheet keeps of a number."""


class Asked:
    """The images that people were asked about, found by whatever a file tells of them."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        """Take path by id."""
        self.ids = list(paths)
        self.paths = {id: shown_path(path) for id, path in paths.items()}
        self.by_path = unique((path, id) for id, path in self.paths.items())
        self._by_plain = unique((plain(id), id) for id in paths)
        self._number_like = any(map(_NUMBER_LIKE.fullmatch, self.ids))
        self._compared = 0

    def find(self, id: str) -> str:
        """Return the id that somebody wrote. Raises Unclear."""
        if id in self.paths:
            return id
        if (found := self._by_plain.get(plain(id))) is not None:
            return found
        self._compared += len(self.ids)
        raise Unclear(f"image {id!r} was not asked for{nearest(id, self.ids) if self._compared <= COMPARED else ''}")

    def mangled(self, id: str) -> bool:
        """Say whether `id` is a number that a spreadsheet may have made of an id that was asked for."""
        return self._number_like and id not in self.paths and bool(_NUMBER.fullmatch(id))

    def in_name(self, name: str) -> set[str]:
        """Return the ids asked for that a file's name holds."""
        return {id for id in _CONTENT_ID.findall(name.lower()) if id in self.paths}


def unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return value by key for the keys that come once."""
    pairs = list(pairs)
    count = Counter(key for key, _ in pairs)
    return {key: value for key, value in pairs if count[key] == 1}


def same_number(written: str, id: str) -> bool:
    """Say whether a spreadsheet that takes `id` for a number may write it as `written`."""
    if not _NUMBER_LIKE.fullmatch(id):
        return False
    number, true = Decimal(written.replace(",", ".")), Decimal(id)
    mantissa = re.sub(r"\D", "", written.lower().partition("e")[0]).lstrip("0")
    kept = min(len(mantissa), _DIGITS_KEPT)
    # Fewer digits are rounded; those after the last that is kept become zeros.
    unit = Decimal(1).scaleb(true.adjusted() - kept + 1)
    return abs(number - true) <= (unit if kept == _DIGITS_KEPT else unit / 2)
