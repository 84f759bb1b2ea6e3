"""Place: where the question that waits is, and the earlier ones beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from starlette.exceptions import HTTPException

from ssal.errors import BadInput
from ssal.labelling.server.desk import Desk
from ssal.labelling.server.earlier import Earlier
from ssal.labelling.server.question import FILE, Cell, read_question

LOOK_AGAIN = 1.0
"""Seconds between two looks for the next question."""


class StartedAnew(BadInput):
    """The project whose page this is was started anew, and asks nothing yet."""


class Place:
    """Where the current question's desk is; it moves on when the run has prepared another question."""

    def __init__(self, cell: Cell, now: Callable[[], float] = time.monotonic) -> None:
        """Open the question that waits; raises BadInput where it is damaged or none waits."""
        self._cell, self._now, self._looked = cell, now, now()
        self._lock = threading.Lock()
        self._ledgers = 0  # that others were put in the place of: a plain copy has the number of the one before
        self.earlier = Earlier(cell, self._ledgers)
        folder = cell.question()
        if folder is None:
            raise BadInput(f"{cell.folder}: no image waits for an answer")
        self._open(folder)

    def _open(self, folder: Path) -> None:
        self._written = _written(folder)
        question, self._key = read_question(folder)
        self._desk = Desk(question, f"{self._key}-{self._ledgers}", folder, self._cell.ledger)

    def _renew(self, folder: Path) -> None:
        """Take what the run has written anew; of the same images people go on where they are."""
        self._written = _written(folder)
        question, key = read_question(folder)
        if key == self._key:
            self._desk.renew(question)
        else:
            self._open(folder)

    def _begin_anew(self) -> None:
        """Open what is asked with another ledger; raises StartedAnew where nothing is asked yet."""
        ledger = self._cell.ledger
        begun = ledger.exists() and ledger.stat().st_size  # a copy is empty at first, and is not begun here
        folder = self._cell.question() if begun else None
        if folder is None:
            told = "was started anew, or its ledger is about to be put back; what it asks comes here by itself"
            raise StartedAnew(f"{self._cell.folder} {told}")
        self._ledgers += 1
        self.earlier = Earlier(self._cell, self._ledgers)
        self._open(folder)

    def current(self) -> Desk:
        """Return the desk of the question that waits, or of the last one that did; raises StartedAnew."""
        with self._lock:
            if self._desk.replaced:
                self._begin_anew()
            elif self._now() - self._looked >= LOOK_AGAIN:
                self._looked = self._now()
                if self._desk.finished() and (folder := self._cell.question()):
                    self._open(folder)
                elif _written(self._desk.folder) not in (0, self._written):
                    self._renew(self._desk.folder)
            return self._desk

    def desk(self, key: str, earlier: str | None = None) -> Desk:
        """Return the desk of the question `key` or, where that is the one that waits, of an `earlier` one.

        Raises HTTPException where another is asked by now.
        """
        try:
            desk = self.current()
        except StartedAnew as error:
            raise HTTPException(409, f"{error}; nothing was written") from error
        if key != desk.key:
            raise HTTPException(409, "other images are asked about by now, or in another ledger; nothing was written")
        return desk if earlier is None else self._before(earlier)

    def _before(self, key: str) -> Desk:
        desk = self.earlier.desks().get(key)
        if desk is None:
            raise HTTPException(404, "no such question; nothing was written")
        return desk

    def rounds_before(self) -> int:
        """Return how many finished rounds have a question; it opens none of them, so that the page begins at once."""
        desk = self.current()
        return sum(number < desk.question.round for number in self._cell.questions()) + desk.finished()

    def pictures(self, key: str) -> Desk:
        """Return the desk whose images are shown under `key`; raises HTTPException where there is none."""
        desk = self.current()
        return desk if key == desk.key else self._before(key)


def _written(folder: Path) -> int:
    """Return when a question was written; 0 where it is gone, and what is in memory goes on."""
    path = folder / FILE
    return path.stat().st_mtime_ns if path.exists() else 0
