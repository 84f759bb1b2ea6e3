"""Citations in a text, and the references they stand for: docstrings name (Authors, year), references.txt the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ssal.method import Method, citations


def bibliography() -> dict[str, str]:
    """Return citation -> reference in full."""
    text = (Path(__file__).parent / "references.txt").read_text(encoding="utf-8")
    return dict(line.split(": ", 1) for line in text.splitlines())


class Citing:
    """What a text has cited so far. Authors are joined by `&`, whatever their docstrings have there."""

    def __init__(self) -> None:
        """Begin with nothing cited."""
        self._cited: dict[str, None] = {}

    def cite(self, sources: Sequence[str]) -> str:
        """Return ` (Authors, year; Authors, year)`, or nothing where there is no source."""
        parts = dict.fromkeys(part for source in sources for part in apart(source))
        self._cited |= parts
        return f" ({'; '.join(parts)})" if parts else ""

    def function(self, call: Callable[..., Any]) -> str:
        """Return the citations of all sources that a function's docstring names."""
        return self.cite(citations(call.__doc__))

    def method(self, method: Method) -> str:
        """Return a method's name and its source, or that it is ssal's own."""
        own = " (ssal's own)" if "ssal's own" in method.docstring else ""
        return method.name + (self.cite([method.source]) if method.source else own)

    def references(self) -> list[str]:
        """Return the references by name; a source that references.txt lacks, as of a file of one's own, as it is."""
        known = bibliography()
        return sorted((known.get(source, f"{source}.") for source in self._cited), key=str.casefold)


def apart(source: str) -> list[str]:
    """Return the citations of one pair of brackets as references.txt has them, without words of explanation."""
    parts = [part.strip().replace(" and ", " & ") for part in source.split(";")]
    return [part for part in parts if re.search(r"\d{4}[a-z]?$", part)]


def listed(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
