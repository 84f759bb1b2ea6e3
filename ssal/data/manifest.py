"""Reading CSV manifests: rows with their line numbers, so that every problem can name its line."""

from __future__ import annotations

from csv import DictReader, Error
from pathlib import Path
from typing import Literal, cast

from ssal.errors import BadInput

PARTS = ("train", "test")


def rows(manifest: Path, needed: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Return (line, {column: stripped text}) of every line that is not blank. Raises BadInput where columns miss."""
    if not manifest.is_file():
        raise BadInput(f"data.path: {manifest} does not exist (from {Path.cwd()})")
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            reader = DictReader(file, restkey="", restval="", skipinitialspace=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            if missing := [name for name in needed if name not in header]:
                raise BadInput(f"{manifest}: line 1: the column {missing[0]!r} is missing; the header is {header}")
            found = []
            for row in reader:
                if "" in row:
                    extra = f"{len(header) + len(row[''])} values, but the header names {len(header)} columns"
                    raise BadInput(f"{manifest}: line {reader.line_num}: {extra}; quote values that hold a comma")
                found.append((reader.line_num, {name: text.strip() for name, text in row.items()}))
    except (UnicodeDecodeError, Error) as error:
        raise BadInput(f"{manifest}: expected a comma-separated UTF-8 text file: {error}") from error
    return found


def part_of(row: dict[str, str]) -> tuple[Literal["train", "test"] | None, str | None]:
    """Return the part that the column `split` names, and what is wrong with it; no such column: (None, None)."""
    if "split" not in row:
        return None, None
    part = row["split"].lower() or "train"
    if part not in PARTS:
        return None, f"split {row['split']!r} is neither train nor test"
    return cast(Literal["train", "test"], part), None
