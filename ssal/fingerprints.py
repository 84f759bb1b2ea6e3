"""Fingerprints: short names that follow from facts, files or code."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any


def fingerprint(*facts: Any) -> str:
    """Return 16 hex digits that follow from `facts`, any JSON values."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_fingerprint(path: Path) -> str:
    """Return a fingerprint of a file's content, or of its absence."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else "absent"


def source_fingerprint(*files: Path) -> str:
    """Return a fingerprint of what the code in `files` does: comments, docstrings and layout do not count."""
    return fingerprint(*(_meaning(file.read_text(encoding="utf-8")) for file in sorted(files)))


@lru_cache(maxsize=256)
def _meaning(code: str) -> str:
    """Return the syntax tree of `code` without docstrings, as text; parsing is slow and every round asks for it."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
