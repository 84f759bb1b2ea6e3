"""Cells of the CSV files that people open in spreadsheets, which would compute some texts: names come from anywhere."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_COMPUTED = re.compile(r"'*[=+\-@\t\r]")


def cell(text: str) -> str:
    """Return `text` with an apostrophe before what a spreadsheet would compute; `from_cell` gives it back."""
    return f"'{text}" if _COMPUTED.match(text) else text


def line(row: Iterable[Any]) -> str:
    """Return a row as a line of CSV, whose texts no spreadsheet computes; numbers stay as they are."""
    text = io.StringIO()
    # csv quotes what its own line ends hold, and a lone \r in a name ends a line for those who read
    csv.writer(text, lineterminator="\r\n").writerow(
        [cell(value) if isinstance(value, str) else value for value in row]
    )
    return text.getvalue().removesuffix("\r\n") + "\n"


def from_cell(text: str) -> str:
    """Return the text that `cell` was given."""
    return text[1:] if text.startswith("'") and _COMPUTED.match(text) else text


def table_text(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table as CSV."""
    return "".join(map(line, (columns, *rows)))


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file that holds what `table_text` was given, by column."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: from_cell(text) for name, text in row.items()} for row in csv.DictReader(file)]
