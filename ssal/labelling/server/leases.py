"""Leases: which image is on whose screen, so that two people are not shown the same one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

SECONDS = 120.0
"""How long an image stays with somebody whose page says nothing more."""


class Leases:
    """Who holds which images, in memory alone: whatever is lost with it, an answer is taken from anybody."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing held."""
        self._now = now
        self._held: dict[int, tuple[str, float]] = {}

    def free(self, number: int, who: str) -> bool:
        """Say whether the image may be shown to `who`."""
        holder, until = self._held.get(number, (who, 0.0))
        return holder == who or until <= self._now()

    def take(self, numbers: Iterable[int], who: str) -> None:
        """Give `who` these images and no others, from now on."""
        self._held = {number: held for number, held in self._held.items() if held[0] != who}
        self._held.update((number, (who, self._now() + SECONDS)) for number in numbers)
