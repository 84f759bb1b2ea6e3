"""Survey: what a folder or .tar of images holds, seen from headers and a sample, before a run decodes anything."""

from __future__ import annotations

import io
import logging
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from PIL import Image

from ssal.data.decode import FORMATS, Unreadable, decode, upright_size
from ssal.data.folder import folder
from ssal.data.listing import Listing, content_id
from ssal.data.split import Divided, Merged, divide, merge
from ssal.errors import BadInput, counted
from ssal.errors import listing as some

log = logging.getLogger("ssal")

HEAD = 2**16
"""Bytes of a file that are read first: nearly every header ends before that."""
SAMPLE, SAMPLE_PIXELS = 400, 4e8
"""How many images are decoded at most, fewer where they are large: a sample takes seconds, not minutes."""
SAMPLE_SIZE = 32
GREY, BLANK = 2.0, 2.0
"""Levels of 255: channels of a grey picture differ by less (JPEG rounds), pixels of a blank one spread by less."""
TEST_FRACTION = 0.2
"""Share of the labelled images that is kept for testing where the folder has no test part: the recipes' default."""
WORKERS = 4


@dataclass(frozen=True)
class Survey:
    """What was seen; an image is a distinct one unless the words say files."""

    path: str
    unreadable: tuple[tuple[str, str], ...]
    """(path, reason) of files with a header that says nothing, or that stand in the sample and are damaged."""
    sizes: Counter[tuple[int, int]]
    """(width, height), upright -> readable files."""
    sampled: int
    grey: int
    """Of the sampled images."""
    blank: tuple[str, ...]
    """Paths of sampled images that are almost of one colour."""
    merged: Merged
    """Distinct images, their copies, and images under two labels."""
    sides: Divided
    """Images to learn from and images for testing."""
    own_test_part: bool
    notes: tuple[str, ...]
    """What the folder's reader left aside."""

    @property
    def side(self) -> int:
        """The median of the shorter sides, in pixels."""
        return int(median(min(size) for size in self.sizes.elements()))

    @property
    def long(self) -> int:
        """How many files are longer than 3:2, so that the centre square leaves over a third of them out."""
        return sum(count for size, count in self.sizes.items() if max(size) > 1.5 * min(size))

    @property
    def classes(self) -> Counter[str]:
        """Class folder -> how many images it labels, those for testing among them."""
        return Counter(entry.label for entry in self.merged.entries if entry.label is not None)

    @property
    def labelled(self) -> int:
        """How many images to learn from have a label."""
        return sum(entry.label is not None for entry in self.sides.pool)

    @property
    def waiting(self) -> int:
        """How many images have no label and can be asked for."""
        return len(self.sides.pool) - self.labelled

    def lines(self) -> list[str]:
        """Return what was seen in a few lines."""
        widths, heights = zip(*self.sizes, strict=True)
        low, high = min(self.sizes, key=_area), max(self.sizes, key=_area)
        shapes = f"{low[0]}×{low[1]}" + (f" to {high[0]}×{high[1]}" if low != high else "")
        several = f", median shorter side {self.side}" if len({*widths, *heights}) > 1 else ""
        colours = "grey" if self.grey == self.sampled else f"{self.sampled - self.grey} of {self.sampled} in colour"
        colours = "in colour" if not self.grey else colours
        told = [f"{counted(len(self.merged.entries), 'image')} of {shapes} pixels (width × height{several}), {colours}"]
        copies = len(self.merged.duplicates) + len(self.merged.also_in_test)
        named = [f"{path} ({reason})" for path, reason in self.unreadable]
        told += [f"{counted(copies, 'exact copy', 'exact copies')}, counted once"] * bool(copies)
        told += [f"{counted(len(named), 'file')} cannot be read: {some(named, 3)}"] * bool(named)
        pairs = [f"{first} and {second}" for first, second in self.merged.conflicts]
        told += [f"images under two labels ({len(pairs)}): {some(pairs, 3)}"] * bool(pairs)
        blank = f"{len(self.blank)} of {self.sampled} looked at are almost of one colour: {some(self.blank, 3)}"
        told += [blank] * bool(self.blank)
        counts = [f"{name} ({count})" for name, count in sorted(self.classes.items())]
        told.append(f"class folders: {some(counts, 10)}" if counts else "no class folders")
        parts = f"{counted(self.waiting, 'image')} without a label, {self.labelled} with one"
        told.append(parts + (f", {len(self.sides.test)} kept for testing" if self.sides.test else ""))
        return told + [f"note: {note}" for note in self.notes]


def look(path: str) -> Survey:
    """Return what the images at `path` are: headers of all, contents where copies are possible, pixels of a sample.

    Raises BadInput where there is none, none can be read, or a file cannot be opened.
    """
    listing: Listing = folder(path=path)
    root, numbers = Path(path).expanduser(), range(len(listing.items))
    log.info("looking at %d image files in %s", len(numbers), path)
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="survey") as threads:
        headers = list(threads.map(lambda number: _header(listing, root, number), numbers))
        reasons = {number: header.reason for number, header in enumerate(headers) if header.reason}
        ids = [f"alone {number}" for number in numbers]
        hashed = _worth_hashing(listing, headers)
        ids_found = threads.map(lambda number: content_id(listing.read(number)), hashed)
        for number, id in zip(hashed, ids_found, strict=True):
            ids[number] = id
        sample = _sample([number for number in numbers if number not in reasons], ids, headers)
        looks = list(threads.map(lambda number: _pixels(listing, number), sample))
    damaged = {ids[number]: seen for number, seen in zip(sample, looks, strict=True) if isinstance(seen, str)}
    reasons |= {number: damaged[ids[number]] for number in numbers if ids[number] in damaged}
    if len(reasons) == len(ids):
        why = some((f"{listing.items[number].path} ({reason})" for number, reason in reasons.items()), 3)
        raise BadInput(
            f"{path}: none of the {len(ids)} images can be read; are they damaged, or of another kind? {why}"
        )
    merged = merge(listing.items, ["" if n in reasons else ids[n] for n in numbers], skip_conflicts=True)
    fine = [(number, seen) for number, seen in zip(sample, looks, strict=True) if not isinstance(seen, str)]
    return Survey(
        path=path,
        unreadable=tuple((listing.items[number].path, reasons[number]) for number in sorted(reasons)),
        sizes=Counter(header.size for number, header in enumerate(headers) if number not in reasons),
        sampled=len(fine),
        grey=sum(grey for _, (grey, _) in fine),
        blank=tuple(listing.items[number].path for number, (_, blank) in fine if blank),
        merged=merged,
        sides=divide(merged.entries, test_fraction=TEST_FRACTION, group_by=None),
        own_test_part=any(entry.part == "test" for entry in merged.entries),
        notes=listing.notes,
    )


class _Header(NamedTuple):
    length: int
    size: tuple[int, int]
    reason: str = ""


def _header(listing: Listing, root: Path, number: int) -> _Header:
    try:
        content, length = _beginning(listing, root, number)
        try:
            return _Header(length, _size(content))
        except Unreadable:
            if len(content) == length:
                raise
            return _Header(length, _size(_whole(listing, number)))  # a header longer than that, or a TIFF
    except Unreadable as error:
        return _Header(0, (0, 0), str(error))
    except FileNotFoundError:  # a link to nothing
        return _Header(0, (0, 0), "there is no such file")
    except OSError as error:
        path = listing.items[number].path
        raise BadInput(f"data: {path} cannot be read ({error.strerror}); open it, or move it away") from error


def _beginning(listing: Listing, root: Path, number: int) -> tuple[bytes, int]:
    """Return the first bytes of a file and its length."""
    try:
        with (root / listing.items[number].path).open("rb") as file:
            return file.read(HEAD), os.fstat(file.fileno()).st_size
    except OSError:  # it lies in a tar, or its name is no text, or the reader will say what is wrong with it
        content = _whole(listing, number)
        return content, len(content)


def _whole(listing: Listing, number: int) -> bytes:
    content = listing.read(number)
    assert isinstance(content, bytes)
    return content


def _size(content: bytes) -> tuple[int, int]:
    """Return (width, height), upright. Raises Unreadable."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.format == "PNG" and "exif" not in image.info:  # Pillow would decode it all to look for more
                return image.size
    except Exception:  # said by upright_size, in the words of a run
        pass
    height, width = upright_size(content)
    return width, height


def _worth_hashing(listing: Listing, headers: Sequence[_Header]) -> list[int]:
    """Return the items whose content must be known: another is as long, or a hash of it tells pool from test."""
    lengths = Counter(header.length for header in headers if not header.reason)
    split = all(item.part != "test" for item in listing.items)
    return [
        number
        for number, (item, header) in enumerate(zip(listing.items, headers, strict=True))
        if not header.reason and (lengths[header.length] > 1 or (split and item.label is not None))
    ]


def _sample(readable: list[int], ids: Sequence[str], headers: Sequence[_Header]) -> list[int]:
    """Return distinct images spread evenly over the listing, as many as seconds allow."""
    first: dict[str, int] = {}
    distinct = [number for number in readable if first.setdefault(ids[number], number) == number]
    if not distinct:
        return []
    mean = sum(_area(headers[number].size) for number in distinct) / len(distinct)
    most = max(1, min(SAMPLE, len(distinct), int(SAMPLE_PIXELS / max(1.0, mean))))
    return [distinct[place * len(distinct) // most] for place in range(most)]


def _pixels(listing: Listing, number: int) -> tuple[bool, bool] | str:
    """Return whether an image is grey and whether it is blank, or why it cannot be decoded."""
    try:
        pixels = decode(listing.read(number), SAMPLE_SIZE).astype(float)
    except Unreadable as error:
        return str(error)
    return bool((pixels.max(0) - pixels.min(0)).mean() < GREY), bool(pixels.std(axis=(1, 2)).max() < BLANK)


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
