"""CSV manifest: one line per image with its path, its label if it has one, and its part if the user says so."""

from __future__ import annotations

import os
from pathlib import Path

from ssal.data.listing import Item, Listing
from ssal.data.manifest import part_of, rows
from ssal.errors import BadInput
from ssal.fingerprints import fingerprint
from ssal.registry import dataset
from ssal.spreadsheet import from_cell


@dataset
def csv(*, path: str = "") -> Listing:
    """CSV manifest with columns path, label (may be empty) and, if wanted, split (train or test).

    Paths are relative to the manifest; other columns are left aside. An apostrophe by which
    ssal keeps a spreadsheet from computing a name, as in labels.csv, is no part of it.
    """
    if not path:
        raise BadInput("data.path: say where the manifest is: data.path=FILE.csv (columns path,label[,split])")
    manifest = Path(os.path.expanduser(path))
    items, stamps, problems = [], [], []
    lines_of: dict[str, int] = {}
    for line, row in rows(manifest, ("path",)):
        part, problem = part_of(row)
        if problem:
            problems.append((line, problem))
        if not (manifest.parent / row["path"]).is_file():
            row["path"] = from_cell(row["path"])
        file = manifest.parent / row["path"]
        if not row["path"]:
            problems.append((line, "the path is empty"))
        elif not file.is_file():
            problems.append((line, f"{row['path']} does not exist in {manifest.parent}"))
        elif (first := lines_of.setdefault(row["path"], line)) != line:
            problems.append((line, f"{row['path']} stands in line {first} already"))
        else:
            facts = os.stat(file)
            stamps.append((row["path"], facts.st_size, facts.st_mtime_ns))
        items.append(Item(row["path"], from_cell(row.get("label", "")) or None, part, line))
    if not items:
        raise BadInput(f"{manifest}: names no image")
    stamp = fingerprint(str(manifest.parent.resolve()), stamps)
    read = lambda number: (manifest.parent / items[number].path).read_bytes()  # noqa: E731
    return Listing(items, read, stamp, problems=tuple(problems), manifest=str(manifest))
