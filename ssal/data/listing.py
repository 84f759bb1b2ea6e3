"""What a data source returns: a list of images with lazily readable content and what is known of their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Content = bytes | NDArray[np.uint8]
"""The bytes of an image file, or an array: height × width grey or height × width × 3."""

UNLABELLED = ("unlabelled", "unlabeled")
"""Class folders of these names hold images without a label."""


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a source."""

    path: str
    """For people, and for `group_by`."""
    label: str | None = None
    part: Literal["train", "test"] | None = None
    """None: the source does not say."""
    line: int = 0
    """Line of the manifest it stands on, 0 where there is none."""


@dataclass(frozen=True)
class Listing:
    """What a source holds; nothing is decoded yet."""

    items: Sequence[Item]
    read: Callable[[int], Content]
    """Item number -> content; safe to call from several threads."""
    stamp: str
    """Changes when any content may have changed, without reading all of it where that is avoidable."""
    notes: tuple[str, ...] = ()
    """What was left aside, for the summary."""
    problems: tuple[tuple[int, str], ...] = ()
    """(line, what is wrong with it) of a manifest; reported together."""
    manifest: str = ""
    features: NDArray[np.float32] | None = None
    """Embeddings instead of images: one float32 row per item."""
    ids: tuple[str, ...] | None = None
    """Ids that came with the embeddings."""


def content_id(content: Content | NDArray[np.float32]) -> str:
    """Return the id of one image: 16 hex digits of the SHA-256 of its file, or of its dtype, shape and values."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()[:16]
    array = np.ascontiguousarray(content)
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(array.data)
    return digest.hexdigest()[:16]
