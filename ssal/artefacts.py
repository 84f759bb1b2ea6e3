"""The run folder: fingerprints, atomic writes, locks. A file under its final name is whole, or it is not there."""

from __future__ import annotations

import ast
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ssal.errors import BadInput


def fingerprint(*facts: Any) -> str:
    """Return 16 hex digits that follow from `facts`, any JSON values."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_fingerprint(path: Path) -> str:
    """Return a fingerprint of a file's content, or of its absence."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else "absent"


def source_fingerprint(*files: Path) -> str:
    """Return a fingerprint of what the code in `files` does: comments, docstrings and layout do not count."""
    return fingerprint(*(_meaning(file.read_text()) for file in sorted(files)))


@lru_cache(maxsize=256)
def _meaning(code: str) -> str:
    """Return the syntax tree of `code` without docstrings, as text; parsing is slow and every round asks for it."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there whole when the block ends, remove it when it fails.

    Raises BadInput where the disk is full; what stood at `path` before is then untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BadInput(
                f"{path}: no space left while writing; what was there before is unchanged. "
                "Free some space and run the same command again"
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, all or nothing."""
    with writing(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON to `path`, all or nothing."""
    write_text(path, json.dumps(value, indent=1, sort_keys=False) + "\n")


def read_json(path: Path) -> Any:
    """Return what `write_json` left at `path`."""
    return json.loads(path.read_text())


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write named tensors as safetensors to `path`, all or nothing."""
    with writing(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return what `write_tensors` left at `path`."""
    return load_file(path)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; another that wants it waits. The kernel frees it when a process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def once(folder: Path, make: Callable[[Path], Any]) -> Path:
    """Return `folder` after `make(folder)` has run to its end once, in whichever process came first.

    `make` may leave checkpoints in `folder` and be called again after a kill; it is done when `record.json`, its
    return value, stands there.
    """
    if not (folder / "record.json").exists():
        with locked(folder):
            if not (folder / "record.json").exists():
                write_json(folder / "record.json", make(folder))
                shutil.rmtree(folder / "training", ignore_errors=True)
    return folder
