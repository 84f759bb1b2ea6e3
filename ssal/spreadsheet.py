"""Cells of the CSV files that people open in spreadsheets, which would compute some texts: names come from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_COMPUTED = re.compile(r"'*[=+\-@\t\r]")


def cell(text: str) -> str:
    """Return `text` with an apostrophe before what a spreadsheet would compute; `from_cell` gives it back."""
    return f"'{text}" if _COMPUTED.match(text) else text


def cells(row: Iterable[Any]) -> list[Any]:
    """Return a row whose texts no spreadsheet computes."""
    return [cell(value) if isinstance(value, str) else value for value in row]


def from_cell(text: str) -> str:
    """Return the text that `cell` was given."""
    return text[1:] if text.startswith("'") and _COMPUTED.match(text) else text
