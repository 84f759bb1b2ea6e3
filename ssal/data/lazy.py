"""Pixels of sets that do not fit in memory: decoded by threads when they are asked for."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssal.data.decode import Unreadable, decode
from ssal.data.listing import Listing
from ssal.errors import BadInput


class LazyPixels:
    """The pixels of a listing, uint8 (3, H, W) each, by item number."""

    def __init__(self, listing: Listing, size: int | None, shape: tuple[int, ...], workers: int) -> None:
        self._listing, self._size, self.shape = listing, size, shape
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def submit(self, places: list[int]) -> list[Future[list[NDArray[np.uint8]]]]:
        """Begin to decode these items; one piece of work per thread."""
        share = -(-len(places) // self.workers) or 1
        pieces = [places[start : start + share] for start in range(0, len(places), share)]
        return [self._threads.submit(self._decode, piece) for piece in pieces]

    def gather(self, pieces: list[Future[list[NDArray[np.uint8]]]]) -> Tensor:
        """Return uint8 (n, 3, H, W) when all that `submit` began is done."""
        arrays = [array for piece in pieces for array in piece.result()]
        return torch.from_numpy(np.stack(arrays)) if arrays else torch.empty((0, *self.shape), dtype=torch.uint8)

    def _decode(self, places: list[int]) -> list[NDArray[np.uint8]]:
        return [self._one(place) for place in places]

    def _one(self, place: int) -> NDArray[np.uint8]:
        try:
            array = decode(self._listing.read(place), self._size)
            if array.shape != self.shape:
                raise Unreadable(f"its size is now {array.shape[1]}×{array.shape[2]}")
            return array
        except (Unreadable, OSError) as error:
            path = self._listing.items[place].path
            raise BadInput(f"{path}: could be read when the run began, but not any more: {error}") from error
