"""The folder of an export: what is replaced there is what an export wrote, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssal.artefacts import read_json
from ssal.errors import BadInput, listing
from ssal.fingerprints import file_fingerprint
from ssal.labelling.files.folders import LITTER

EXPORT = "export.json"
"""Says what the other files are, and which they are."""


def check_place(to: Path, data: Mapping[str, Any]) -> None:
    """Raise BadInput where an export into `to` would lose what is there, or join the images of the options `data`."""
    check_outside(to, data)
    if not os.path.lexists(to) or (to.is_dir() and not any(to.iterdir())):
        return
    other = "name another folder with --to"
    record = read_json(to / EXPORT) if (to / EXPORT).is_file() else None
    if not isinstance(record, dict) or not isinstance(record.get("files"), dict):
        raise BadInput(f"--to: {to} is there and holds no export of ssal's; {other}")
    foreign = [
        name
        for path in sorted(to.rglob("*"))
        if not path.is_dir() and not path.name.startswith(".") and path.name.lower() not in LITTER
        for name in [path.relative_to(to).as_posix()]
        if name != EXPORT and (path.is_symlink() or record["files"].get(name) != file_fingerprint(path))
    ]
    if foreign:
        raise BadInput(
            f"--to: {to} is an export, but somebody has changed or added {len(foreign)} files since "
            f"({listing(foreign)}), and they would be lost; move them elsewhere, or {other}"
        )


def check_outside(to: Path, data: Mapping[str, Any], option: str = "--to: ") -> None:
    """Raise BadInput where what is written to `to`, typed behind `option`, would join the images of options `data`."""
    for value in data.values():
        source = Path(value).expanduser() if isinstance(value, str) and value else None
        if source and source.is_dir() and to.resolve().is_relative_to(source.resolve()):
            raise BadInput(
                f"{option}{to} lies in {source}, where the images come from, and what is written would join them; name "
                "a place elsewhere"
            )


def files_in(folder: Path) -> dict[str, str]:
    """Return a fingerprint of every file in a folder by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_fingerprint(path) for path in paths}
