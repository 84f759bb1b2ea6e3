"""A folder with all that belongs into it, or none: what is being made stands beside its place under another name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssal.artefacts import disk_errors, make_folder


@contextmanager
def whole_folder(target: Path, replace: bool = False) -> Iterator[Path]:
    """Give an empty folder beside `target`, and move it there when the block ends; remove it when it fails.

    A folder that stands at `target` must be empty, unless it is to be replaced: then it goes once the new one is whole.
    Raises BadInput where the disk is full or refuses.
    """
    make_folder(target.parent)
    with disk_errors(target):
        work = _beside(target)
        try:
            yield work
            if replace and target.exists():
                _exchange(work, target)
            else:
                os.rename(work, target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise


def _beside(target: Path) -> Path:
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".unfinished"))
    work.chmod(0o755)
    return work


def _exchange(work: Path, target: Path) -> None:
    """Put `work` in the place of `target`, which is removed; where that cannot be, it stays."""
    old = _beside(target)
    os.rename(target, old)
    try:
        os.rename(work, target)
    except BaseException:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)
