"""Tables that grow by one row per finished cell, so that an interrupted benchmark goes on."""

from __future__ import annotations

import csv
import datetime
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows so far."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append_row(path: Path, columns: Sequence[str], row: Mapping[str, Any]) -> None:
    """Add a row, and the names of the columns before the first one; columns that it lacks are left empty."""
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if not file.tell():
            writer.writeheader()
        writer.writerow(row)


def made_now() -> dict[str, str]:
    """Return the commit and the date of a row. Raises CalledProcessError outside a repository."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()
    return {"commit": commit, "date": datetime.date.today().isoformat()}
