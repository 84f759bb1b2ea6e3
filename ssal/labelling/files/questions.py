"""Question: one image that people are asked about, as every file that leaves ssal shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """An image that waits for an answer, and what the model thinks of it, where that is to be seen."""

    id: str
    path: str
    suggested: str | None = None
    """Class name; None where there is no model yet, or where nobody is to be led."""
    confidence: float | None = None
    """Probability of `suggested`, between 0 and 1."""


def shown_path(path: str) -> str:
    """Return `path` as it can be written: bytes of a file name that are no UTF-8 stand as `\\udc..`."""
    return path.encode("utf-8", "backslashreplace").decode()
