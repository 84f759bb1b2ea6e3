"""What a model says of a folder's or a tar's images, as CSV: decoded when their turn comes, a few batches at a time."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from ssal import registry
from ssal.artefacts import writing
from ssal.data.decode import Unreadable, decode
from ssal.data.listing import Listing
from ssal.deployment.classifier import Loaded, load
from ssal.errors import BadInput
from ssal.neighbours import full_precision
from ssal.spreadsheet import line

log = logging.getLogger("ssal")
BATCH, BATCH_BYTES = 256, 2**26
"""Images that are scored together, fewer where they are so large that their pixels would take more than 64 MiB."""
AHEAD, WORKERS = 2, 4
"""Batches that are decoded while one is scored, and the threads that do it."""
COLUMNS = ("label", "confidence")
"""Of the likeliest class; those of the second end in _2."""
LONGEST_HEADER = 2**20
"""Bytes of the first line that are read of a file which may be replaced."""
EVERY = 10.0
"""Seconds between two lines on how far it is, where no terminal shows a bar."""


class Predicted(NamedTuple):
    """How many images were listed, and the path of and reason for each that could not be read."""

    images: int
    unreadable: list[tuple[str, str]]


class Batch(NamedTuple):
    """Consecutive items of a listing."""

    items: range
    readable: list[int]
    pixels: Tensor
    """Of the readable ones, uint8 (n,3,H,W)."""
    reasons: dict[int, str]
    """Of the others."""


def predict(model: Path, images: Path, to: Path, top: int) -> Predicted:
    """Write `to`: path, label, confidence, and label_2, confidence_2 … for the `top` likeliest classes of each image.

    Rows are in the order of the paths. A file that cannot be read has a row with an empty label. Nothing stands at
    `to` before all is predicted. Raises BadInput where there is no model, no image, or none that can be read, and
    where `to` is there and no table of predictions.
    """
    _check_table(to)
    loaded, listing = load(model), _listing(images)
    names = loaded.config["classes"]
    top = min(top, len(names))
    with writing(to) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        unreadable = _write(file, loaded, listing, names, top)
        if len(unreadable) == len(listing.items):
            path, reason = unreadable[0]
            raise BadInput(f"{images}: none of the {len(unreadable)} images can be read (first: {path}: {reason})")
    return Predicted(len(listing.items), unreadable)


def _header(top: int) -> str:
    """Return the first line of a table of predictions."""
    return line(["path", *(f"{word}{'' if n == 1 else f'_{n}'}" for n in range(1, top + 1) for word in COLUMNS)])


def _check_table(to: Path) -> None:
    """Raise BadInput where something is at `to` that is no table of predictions."""
    if not os.path.lexists(to):
        return
    if not to.is_file():  # to open a pipe would wait for who writes into it
        got = "a folder" if to.is_dir() else "what is no file"
    else:
        try:
            with to.open("rb") as file:
                first = file.readline(LONGEST_HEADER).decode()
            if first.rstrip("\r\n") + "\n" == _header(max(1, first.count(",") // len(COLUMNS))):
                return
            got = f"a file that begins with {first.strip()[:60]!r}" if first.strip() else "a file without a header"
        except UnicodeDecodeError:
            got = "a file that is no text"
        except OSError as error:
            got = f"a file that cannot be read ({error.strerror})"
    raise BadInput(
        f"--to: {to}: expected a file that is not there yet, or a table of predictions, which is replaced (it begins "
        f"with path,{','.join(COLUMNS)}); got {got}; name another file with --to"
    )


def _write(file: IO[str], loaded: Loaded, listing: Listing, names: list[str], top: int) -> list[tuple[str, str]]:
    """Write the rows; return path and reason of what cannot be read."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classifier, unreadable = loaded.classifier.to(device), []
    file.write(_header(top))
    with _progress(len(listing.items)) as advance, torch.inference_mode(), full_precision():
        for batch in batches(listing, loaded.shape):
            confidences, classes = [], []
            if batch.readable:
                confidences, classes = (x.tolist() for x in classifier(batch.pixels.to(device)).topk(top, dim=1))
            row_of = dict(zip(batch.readable, zip(classes, confidences, strict=True), strict=True))
            for number in batch.items:
                said = zip(*row_of[number], strict=True) if number in row_of else ()
                found = [value for name, share in said for value in (names[name], f"{share:.6f}")]
                file.write(line([listing.items[number].path, *(found or [""] * 2 * top)]))
            unreadable += [(listing.items[number].path, reason) for number, reason in batch.reasons.items()]
            advance(len(batch.items))
    return unreadable


def _listing(images: Path) -> Listing:
    """Return the images of a folder or tar by path; tell what is left aside."""
    try:
        found: Listing = registry.find("dataset", "folder").call(path=str(images))
    except BadInput as error:
        raise BadInput(str(error).removeprefix("data.path: ")) from error
    for note in found.notes:
        log.info("note: %s", note)
    return found


def batches(listing: Listing, shape: tuple[int, ...]) -> Iterator[Batch]:
    """Yield all items in order, decoded as for training; AHEAD batches are in memory beside the one that is out."""
    _, height, width = shape
    size = height if height == width else None
    count = max(1, min(BATCH, BATCH_BYTES // (3 * height * width)))
    parts = deque(range(first, min(first + count, len(listing.items))) for first in range(0, len(listing.items), count))

    def decoded(number: int) -> NDArray[np.uint8] | str:
        try:
            array = decode(listing.read(number), size)
        except Unreadable as error:
            return str(error)
        except OSError as error:
            return error.strerror or type(error).__name__
        if array.shape != shape:
            return f"{array.shape[1]} × {array.shape[2]} pixels, and the model takes {height} × {width} alone"
        return array

    waiting: deque[tuple[range, list[Future[NDArray[np.uint8] | str]]]] = deque()
    threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="decode")
    try:
        while parts or waiting:
            while parts and len(waiting) <= AHEAD:
                items = parts.popleft()
                waiting.append((items, [threads.submit(decoded, number) for number in items]))
            items, futures = waiting.popleft()
            found = {number: future.result() for number, future in zip(items, futures, strict=True)}
            arrays = {number: array for number, array in found.items() if not isinstance(array, str)}
            pixels = np.stack(list(arrays.values())) if arrays else np.empty((0, *shape), np.uint8)
            reasons = {number: reason for number, reason in found.items() if isinstance(reason, str)}
            yield Batch(items, list(arrays), torch.from_numpy(pixels), reasons)
    finally:
        threads.shutdown(cancel_futures=True)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that takes how many more images are done: a bar on a terminal, now and then a line elsewhere."""
    if sys.stderr.isatty() and log.isEnabledFor(logging.INFO):
        columns = (TextColumn("predict"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("predict", total=total)
            yield lambda more: bar.update(task, advance=more)
        return
    began, done, told = time.monotonic(), 0, time.monotonic()

    def advance(more: int) -> None:
        nonlocal done, told
        done += more
        if done == total or time.monotonic() - told >= EVERY:
            told = time.monotonic()
            log.info("predicted %d of %d images (%.0f a second)", done, total, done / max(1e-9, told - began))

    yield advance
