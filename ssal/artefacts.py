"""The run folder: atomic writes, locks. A file under its final name is whole, or it is not there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from ssal.errors import BadInput

if TYPE_CHECKING:
    import torch


FULL = "no space left while writing; what was there before is unchanged. Free some space and run the same command again"
FORBIDDEN = (
    "it cannot be written; what was there before is unchanged. Name another place (of runs: --checkpoints FOLDER)"
)
REFUSALS = {
    errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EACCES: FORBIDDEN, errno.EPERM: FORBIDDEN, errno.EROFS: FORBIDDEN,
    errno.ENOTDIR: FORBIDDEN, errno.EEXIST: FORBIDDEN, errno.ENAMETOOLONG: FORBIDDEN,
}  # fmt: skip
"""What a disk refuses with, and what a user is told."""


def _refusal(error: Exception, path: Path) -> str | None:
    """Return what to tell a user, where `error` comes from the disk: torch, NumPy and safetensors hide its number."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    numbers = [one.errno for one in chain if isinstance(one, OSError) and one.errno is not None]
    numbers += [number for number in REFUSALS if f"(os error {number})" in str(error)]
    if not numbers and path.parent.is_dir():
        free = os.statvfs(path.parent)
        numbers = [errno.ENOSPC] if free.f_bavail * free.f_frsize < 2**16 else []
    return next((REFUSALS[number] for number in numbers if number in REFUSALS), None)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise BadInput where the disk refuses what the block writes at `path`; other errors pass."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        if told := _refusal(error, path):
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "the disk is full"
            raise BadInput(f"{path}: {told} ({reason})") from error
        raise


@contextlib.contextmanager
def creating(path: Path) -> Iterator[None]:
    """Raise BadInput where the block, which makes nothing but the place for `path`, cannot, whatever the reason."""
    try:
        yield
    except OSError as error:
        told = REFUSALS.get(error.errno or 0, FORBIDDEN)
        raise BadInput(f"{path}: {told} ({os.strerror(error.errno or 0)})") from error


def make_folder(path: Path) -> Path:
    """Make `path` and what it lies in, and return it. Raises BadInput where that cannot be."""
    with creating(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


LEFTOVERS = ".*.unfinished"
"""Files that a killed process was writing."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there whole when the block ends, remove it when it fails.

    Raises BadInput where the disk is full or refuses; what stood at `path` before is then untouched.
    """
    temporary: Path | None = None
    try:
        make_folder(path.parent)
        with creating(path):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".unfinished")
        os.close(handle)
        temporary = Path(name)
        with disk_errors(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a killed process was writing in `folder`; only for who holds its lock."""
    for leftover in folder.glob(LEFTOVERS):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, all or nothing."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON to `path`, all or nothing."""
    write_text(path, json.dumps(value, indent=1, sort_keys=False) + "\n")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise BadInput where the block finds that the file at `path`, which ssal can make again, is gone or damaged."""
    try:
        yield
    except FileNotFoundError as error:
        raise BadInput(f"{path}: this file is gone; run the same command again, which makes what is missing") from error
    except (ValueError, EOFError, SafetensorError) as error:
        what = f"{path}: this file is damaged ({str(error).splitlines()[0]})"
        raise BadInput(f"{what}; remove it and run the same command again, which makes it anew") from error


def read_json(path: Path) -> Any:
    """Return what `write_json` left at `path`. Raises BadInput where it is gone or damaged."""
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


FACTS = "facts"


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], **facts: Any) -> None:
    """Write named tensors, and facts about them as JSON, as safetensors to `path`, all or nothing."""
    from safetensors.torch import save_file  # imports torch, which the labelling page does without

    with writing(path) as temporary:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        # In one entry: safetensors writes several in any order, and the same facts are to be the same bytes.
        save_file(plain, temporary, {FACTS: json.dumps(facts)} if facts else None)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return what `write_tensors` left at `path`. Raises BadInput where it is gone or damaged."""
    from safetensors.torch import load_file

    with reading(path):
        return load_file(path)


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts that `write_tensors` left at `path`. Raises BadInput where it is gone or damaged."""
    with reading(path), safe_open(path, "pt") as file:
        found = {name: json.loads(fact) for name, fact in (file.metadata() or {}).items()}
        facts: dict[str, Any] = found.get(FACTS, found)  # an older ssal wrote an entry per fact
        return facts


@contextlib.contextmanager
def locked(folder: Path, seconds: float | None = None) -> Iterator[None]:
    """Hold `folder` for this process; another that wants it waits. The kernel frees it when a process dies.

    Raises BlockingIOError where it is not free within `seconds`.
    """
    make_folder(folder)
    with disk_errors(folder):
        file = (folder / ".lock").open("w")
    with file:
        if seconds is None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            patience = time.monotonic() + seconds
            while not _taken(file):
                if time.monotonic() >= patience:
                    raise BlockingIOError(f"{folder} is held by another process")
                time.sleep(0.05)
        yield


def _taken(file: IO[str]) -> bool:
    """Take the lock on a file, or say that another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def held(folder: Path) -> bool:
    """Say whether a process holds `folder`."""
    if not (folder / ".lock").exists():
        return False
    try:
        with locked(folder, 0):
            return False
    except BlockingIOError:
        return True


_makes = ContextVar("makes", default=True)


@contextlib.contextmanager
def nothing_made() -> Iterator[None]:
    """Let `once` make nothing in the block: where what it is asked for does not stand, it raises FileNotFoundError."""
    token = _makes.set(False)
    try:
        yield
    finally:
        _makes.reset(token)


def once(folder: Path, make: Callable[[Path], Any], *files: str) -> Path:
    """Return `folder` after `make(folder)` has run to its end once, in whichever process came first.

    `make` may leave checkpoints in `folder` and be called again after a kill; it is done when `record.json`, its
    return value, stands there. It is called again where one of the `files` it left has been removed.
    """

    def done() -> bool:
        return all((folder / name).exists() for name in ("record.json", *files))

    training = folder / "training"
    if not done() and not _makes.get():
        raise FileNotFoundError(folder)
    if not done() or (_makes.get() and training.exists()):  # which a kill behind record.json leaves
        with locked(folder):
            if not done():
                sweep(folder)
                sweep(training)
                write_json(folder / "record.json", make(folder))
            shutil.rmtree(training, ignore_errors=True)
    return folder
