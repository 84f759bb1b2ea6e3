"""Decode once: what every image of a listing is and, where they fit in memory, all pixels, kept on disk for later runs.

Several processes may ask at the same time: the first decodes, the others wait, and all of them map the same file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssal.artefacts import once, read_json, reading, writing
from ssal.data import decode as decoding
from ssal.data.decode import Unreadable, decode, upright_size
from ssal.data.lazy import LazyPixels
from ssal.data.listing import Listing, content_id
from ssal.errors import BadInput, counted
from ssal.errors import listing as some
from ssal.fingerprints import fingerprint, source_fingerprint

log = logging.getLogger("ssal")

FACTS = np.dtype([("id", "S16"), ("place", np.int64), ("sums", np.uint64, 3), ("squares", np.uint64, 3)])
"""Of each item: its id, the item whose pixels it shares (-1: unreadable), sums of its pixels and of their squares."""


@dataclass(frozen=True)
class Contents:
    """What `examine` found; all arrays have one entry per item of the listing."""

    ids: list[str]
    places: NDArray[np.int64]
    """Row of `pixels` with the item's pixels, -1 where it cannot be read."""
    sums: NDArray[np.uint64]
    squares: NDArray[np.uint64]
    pixels: Tensor | LazyPixels
    unreadable: list[tuple[str, str]]


def examine(checkpoints: Path, listing: Listing, *, size: int | None, limit_gib: float, workers: int) -> Contents:
    """Return ids, pixels and what cannot be read, decoding only what no earlier run has left under `checkpoints`.

    Raises BadInput where nothing can be read, or sizes differ and no `size` is given.
    """
    shape = (3, size, size) if size is not None else _first_shape(listing)
    resident = len(listing.items) * int(np.prod(shape)) <= limit_gib * 2**30
    code = source_fingerprint(Path(__file__), Path(decoding.__file__))
    folder = checkpoints / "data" / fingerprint("decoded", code, listing.stamp, size, resident)
    files = ("facts.npy", "pixels.npy") if resident else ("facts.npy",)
    once(folder, lambda folder: _decode_all(folder, listing, size, shape, resident, workers), *files)
    with reading(folder / "facts.npy"):
        facts = np.load(folder / "facts.npy")
    pixels: Tensor | LazyPixels
    if resident:
        # Copy-on-write: processes share the pages, and torch gets memory it may call writable.
        with reading(folder / "pixels.npy"):
            pixels = torch.from_numpy(np.load(folder / "pixels.npy", mmap_mode="c"))
    else:
        pixels = LazyPixels(listing, size, shape, workers)
    unreadable = [(path, reason) for path, reason in read_json(folder / "record.json")["unreadable"]]
    ids = [id.decode() for id in facts["id"].tolist()]
    return Contents(ids, facts["place"], facts["sums"], facts["squares"], pixels, unreadable)


def _first_shape(listing: Listing) -> tuple[int, ...]:
    reasons = {}
    for number in range(len(listing.items)):
        try:
            return (3, *upright_size(listing.read(number)))
        except (Unreadable, OSError) as error:
            reasons[number] = str(error)
    raise BadInput(_nothing(listing, reasons))


def _nothing(listing: Listing, reasons: dict[int, str]) -> str:
    why = some((f"{listing.items[number].path} ({reason})" for number, reason in reasons.items()), 3)
    return f"data: none of the {len(reasons)} images can be read; are they damaged, or of another kind? {why}"


def _decode_all(
    folder: Path, listing: Listing, size: int | None, shape: tuple[int, ...], resident: bool, workers: int
) -> dict[str, Any]:
    """Read, hash and decode every item; leave facts.npy and, when resident, pixels.npy; return the record."""
    log.info("decoding %d images once, into %s", len(listing.items), folder)
    if not resident:
        facts, unreadable = _pass(listing, size, shape, workers, lambda place, array: None)
    else:
        with writing(folder / "pixels.npy") as path, path.open("wb") as file:
            start = _header(file, (len(listing.items), *shape))
            each = int(np.prod(shape))
            # Plain writes, because a full disk is an error there, and a killed process where the file is mapped.
            write = lambda place, array: _write(file.fileno(), array, start + place * each)  # noqa: E731
            facts, unreadable = _pass(listing, size, shape, workers, write)
            os.truncate(file.fileno(), start + len(listing.items) * each)
    with writing(folder / "facts.npy") as path, path.open("wb") as file:
        np.save(file, facts)
    return {"images": len(facts), "shape": list(shape), "size": size, "resident": resident, "unreadable": unreadable}


def _header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    file.flush()
    return file.tell()


def _write(descriptor: int, array: NDArray[np.uint8], offset: int) -> None:
    data = array.tobytes()
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def _pass(
    listing: Listing,
    size: int | None,
    shape: tuple[int, ...],
    workers: int,
    keep: Callable[[int, NDArray[np.uint8]], None],
) -> tuple[NDArray[Any], list[tuple[str, str]]]:
    """Hand the pixels of every distinct item to `keep`; return the facts and (path, reason) of what is unreadable."""
    facts = np.zeros(len(listing.items), FACTS)
    reasons: dict[int, str] = {}
    first: dict[str, int] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    several = threading.Event()

    def look(number: int) -> None:
        facts[number]["place"] = -1
        try:
            content = listing.read(number)
            id = content_id(content)
            facts[number]["id"] = id
            facts[number]["place"] = shared = first.setdefault(id, number)
            if shared != number:
                return
            if several.is_set():
                sizes[upright_size(content)] += 1
                return
            array = decode(content, size)
        except Unreadable as error:
            reasons[number] = str(error)
            return
        except FileNotFoundError:  # a link to nothing
            reasons[number] = "there is no such file"
            return
        except OSError as error:  # no property of the image, so nothing to remember
            path = listing.items[number].path
            raise BadInput(
                f"data: {path} cannot be read ({error.strerror}); run again when it can, or move it away"
            ) from error
        sizes[array.shape[1], array.shape[2]] += 1
        if array.shape != shape:
            several.set()
            return
        wide = array.reshape(3, -1).astype(np.uint64)
        facts[number]["sums"], facts[number]["squares"] = wide.sum(1), (wide * wide).sum(1)
        keep(number, array)

    def look_at_all(numbers: range) -> None:
        for number in numbers:
            look(number)

    pieces = [range(len(facts))[start : start + 64] for start in range(0, len(facts), 64)]
    threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for _ in threads.map(look_at_all, pieces):
            pass
    finally:
        threads.shutdown(cancel_futures=True)
    if several.is_set():
        raise BadInput(_several_sizes(sizes))
    # A copy of an unreadable file is unreadable too, whichever of the two was met first.
    for number, place in enumerate(facts["place"].tolist()):
        if place in reasons and place != number:
            reasons[number] = reasons[place]
    for number in reasons:
        facts[number]["id"], facts[number]["place"] = "", -1
    if len(reasons) == len(facts):
        raise BadInput(_nothing(listing, dict(sorted(reasons.items()))))
    return facts, [(listing.items[number].path, reasons[number]) for number in sorted(reasons)]


def _several_sizes(sizes: Counter[tuple[int, int]]) -> str:
    seen = some(f"{height}×{width} ({counted(count, 'image')})" for (height, width), count in sizes.most_common())
    shorter = min(min(pair) for pair in sizes)
    return f"data.size: the images differ in size: {seen} (height×width); type data.size={min(shorter, 224)}"
