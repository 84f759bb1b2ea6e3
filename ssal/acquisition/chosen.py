"""What was chosen: chosen.csv in a round's folder, one image per line, best first."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssal.artefacts import reading, write_text

CHOSEN = "chosen.csv"


@dataclass(frozen=True)
class Choice:
    """One image to ask for: its id, its place from 1, its score (none from a strategy that returns rows), who chose."""

    id: str
    rank: int
    score: float | None
    strategy: str = ""


def write_chosen(path: Path, chosen: Sequence[Choice]) -> None:
    """Write choices to `path`, all or nothing."""
    rows, text = ([c.id, c.rank, "" if c.score is None else repr(c.score), c.strategy] for c in chosen), io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["id", "rank", "score", "strategy"], *rows])
    write_text(path, text.getvalue())


def read_chosen(path: Path) -> list[Choice]:
    """Return the choices that `write_chosen` left at `path`. Raises BadInput where it is gone or damaged."""
    with reading(path), path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
        if any(None in (*row, *row.values()) for row in rows):  # short or long
            raise ValueError("a line is not whole")
        return [
            Choice(row["id"], int(row["rank"]), float(row["score"]) if row["score"] else None, row["strategy"])
            for row in rows
        ]
