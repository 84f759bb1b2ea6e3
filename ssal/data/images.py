"""ImageSet: images in the order of their content hashes, behind which labels and paths stay hidden."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ssal.data.lazy import LazyPixels
from ssal.errors import BadInput, counted, listing, nearest


class ImageSet:
    """Images (or embeddings) by row; row i has id `ids[i]`, and the ids are sorted.

    `pixels` holds one uint8 (3, H, W) or float32 (D,) entry per `places` value; row i is `pixels[places[i]]`.
    """

    def __init__(
        self, ids: Iterable[str], paths: Iterable[str], pixels: Tensor | LazyPixels, places: Tensor | None = None
    ) -> None:
        self.ids = tuple(ids)
        self.paths = tuple(paths)
        """For people only: they carry class names and never reach a method."""
        self.shape: tuple[int, ...] = tuple(pixels.shape[1:] if isinstance(pixels, Tensor) else pixels.shape)
        self._pixels, self._places = pixels, places
        if list(self.ids) != sorted(set(self.ids)):
            raise ValueError("ids must be sorted and differ from each other")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    @property
    def resident(self) -> bool:
        """Whether all pixels are at hand as one tensor."""
        return isinstance(self._pixels, Tensor)

    @property
    def device(self) -> torch.device:
        """Where `fetch` returns its tensors."""
        return self._pixels.device if isinstance(self._pixels, Tensor) else torch.device("cpu")

    def fetch(self, rows: Tensor) -> Tensor:
        """Return the images of `rows`, long (n,): uint8 (n, 3, H, W), or float32 (n, D) embeddings."""
        if isinstance(self._pixels, Tensor):
            return self._pixels.index_select(0, self._placed(rows.to(self._pixels.device)))
        return self._pixels.gather(self._pixels.submit(self._placed(rows.cpu()).tolist()))

    def stream(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield `fetch(rows)` for each of `batches`; lazy images are decoded two batches ahead."""
        if isinstance(self._pixels, Tensor):
            yield from map(self.fetch, batches)
            return
        waiting: deque[list[Any]] = deque()
        try:
            for rows in batches:
                waiting.append(self._pixels.submit(self._placed(rows.cpu()).tolist()))
                if len(waiting) > 2:
                    yield self._pixels.gather(waiting.popleft())
            while waiting:
                yield self._pixels.gather(waiting.popleft())
        finally:
            for piece in (piece for pieces in waiting for piece in pieces):
                piece.cancel()

    def to(self, device: torch.device | str) -> ImageSet:
        """Return the same set with resident pixels on `device`; a lazy set is returned as it is."""
        wanted = torch.device(device)
        if not isinstance(self._pixels, Tensor) or (wanted.type, wanted.index or 0) == (
            self._pixels.device.type,
            self._pixels.device.index or 0,
        ):
            return self
        own = self._pixels if self._places is None else self._pixels.index_select(0, self._places)
        return ImageSet(self.ids, self.paths, own.to(device))

    def row(self, id: str) -> int:
        """Return the row of `id`. Raises BadInput where no image has it."""
        if id not in self._rows:
            raise BadInput(f"no image has the id {id!r}{nearest(id, self.ids)}")
        return self._rows[id]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.ids)}

    def _placed(self, rows: Tensor) -> Tensor:
        return rows if self._places is None else self._places.index_select(0, rows)


@dataclass(frozen=True)
class Images:
    """What a run holds: a pool to learn from, a test set that chooses nothing, and labels kept apart from both.

    A name in `hidden` that is none of `classes` is of an image out of class: it may be asked for, and has no label.
    """

    pool: ImageSet
    test: ImageSet
    """May be empty: then evaluation is skipped."""
    classes: tuple[str, ...]
    """Names in the order people see them; the numbers that training uses come from the ledger, by first label."""
    mean: Tensor
    std: Tensor
    """Per channel, of the pool's pixels / 255 (per feature for embeddings)."""
    hidden: dict[str, str] = field(repr=False)
    """Pool id -> class name, read only by labelling/oracle.py; empty when labels are given."""
    given: dict[str, str] = field(repr=False)
    """Pool id -> class name that the project starts with; empty when labels are hidden."""
    test_labels: tuple[str, ...] = field(repr=False)
    """Class name of each test row; read only by evaluation."""
    fingerprint: str
    """Follows from the ids of pool and test and from the size: from no label and no path."""
    flip: bool
    """Whether a mirrored image keeps its class."""
    report: dict[str, Any] = field(repr=False)

    @cached_property
    def askable(self) -> frozenset[str]:
        """Pool ids that somebody can label: in a benchmark those with a hidden label, in a project every one."""
        return frozenset(self.hidden or self.pool.ids) - frozenset(self.given)

    def to(self, device: torch.device | str) -> Images:
        """Return the same with resident pixels on `device`."""
        return replace(self, pool=self.pool.to(device), test=self.test.to(device))

    def summary(self) -> list[str]:
        """Return what the run prints about its data, one line each."""
        report = self.report
        counts = f"images: {len(self.pool)} in the pool, {len(self.test)} for testing, {_shape(self.pool.shape)}"
        names = listing(self.classes, 10) if self.classes else "none named yet; type data.classes=[…]"
        known = len(self.hidden) or len(self.given)
        labels = f"labels: {'hidden until asked for' if self.hidden else 'given'}: {known} of {len(self.pool)}"
        lines = [counts, f"classes: {len(self.classes)} ({names})", labels, f"split: {report['split']}"]
        lines.append(f"pixels: {report['mode']}")
        for key, (what, why) in _SAYS.items():
            if report[key]:
                shown = listing((entry if isinstance(entry, str) else _pair(entry) for entry in report[key]), 3)
                lines.append(f"{counted(len(report[key]), what)}{why}: {shown}")
        return lines + [f"note: {note}" for note in report["notes"]]


_SAYS = {
    "duplicates": ("exact duplicate", ", kept once"),
    "also_in_test": ("pool image", " left out because the test set has the same"),
    "group_in_test": ("pool image", " left out because the test set has others of the group"),
    "conflicts": ("image", " left out for standing under two labels"),
    "test_without_label": ("test image", " left out for want of a label"),
    "unreadable": ("unreadable image", " left out"),
}
"""Lists of the report -> how the summary names one of them, and what became of it."""


def _pair(entry: Any) -> str:
    first, second = entry
    return f"{first} ({second})"


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[2]} pixels" if len(shape) == 3 else f"embeddings of {shape[0]} values"
