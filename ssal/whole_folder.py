"""A folder with all that belongs into it, or none: what is being made stands beside its place under another name."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ssal.artefacts import creating, disk_errors, make_folder

UNFINISHED = ".unfinished"


@contextmanager
def whole_folder(target: Path, replace: bool = False) -> Iterator[Path]:
    """Give an empty folder beside `target`, and move it there when the block ends; remove it when it fails.

    A folder that stands at `target` must be empty, unless it is to be replaced: then it goes once the new one is whole.
    What a killed process was making there is removed. Raises BadInput where the disk is full or refuses.
    """
    make_folder(target.parent)
    with disk_errors(target), ExitStack() as stack:
        with _locked(target.parent):  # so that nobody takes a folder for left that is only just there
            _sweep(target)
            with creating(target):
                work = _beside(target)
            stack.enter_context(_locked(work))
        try:
            yield work
            if replace and target.exists():
                _exchange(work, target)
            else:
                os.rename(work, target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise


def _sweep(target: Path) -> None:
    """Remove the folders beside `target` that a killed process was filling; those of others at work are locked."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*{UNFINISHED}"):
        if left.is_dir() and not left.is_symlink():
            with suppress(OSError), _locked(left, fcntl.LOCK_NB):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _locked(folder: Path, flags: int = 0) -> Iterator[None]:
    """Hold a folder for this process; the kernel frees it when the process dies."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | flags)
        yield
    finally:
        os.close(handle)


def _beside(target: Path) -> Path:
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=UNFINISHED))
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
