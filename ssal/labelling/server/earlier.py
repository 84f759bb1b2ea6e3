"""Earlier: what finished rounds were told, found by words and opened again to be corrected."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

from ssal.errors import BadInput
from ssal.labelling.answers import SHOWN
from ssal.labelling.files.words import plain
from ssal.labelling.server.desk import Desk
from ssal.labelling.server.question import Cell, read_question

MOST = 60
"""So many images are listed; words find the others."""
_ROUND = re.compile(r"\bround (\d+)\b")


class Earlier:
    """The desks of a cell's finished rounds, by the keys of their questions; safe to call from several threads."""

    def __init__(self, cell: Cell, ledgers: int) -> None:
        """Read nothing yet: who only answers has no need of it. `ledgers` is part of every key."""
        self._cell, self._ledgers = cell, ledgers
        self._desks: dict[Path, Desk] = {}
        self._lock = threading.Lock()

    def desks(self) -> dict[str, Desk]:
        """Return the desk of every finished round whose pictures are there; a damaged one is left out."""
        with self._lock:
            for folder in self._cell.questions().values():
                if folder not in self._desks:
                    try:
                        question, key = read_question(folder)
                    except BadInput:
                        continue
                    self._desks[folder] = Desk(question, f"{key}-{self._ledgers}", folder, self._cell.ledger)
            return {desk.key: desk for desk in self._desks.values() if desk.finished()}

    def find(self, words: str) -> dict[str, Any]:
        """Return the images that have all `words` about them, what was said last first, and how many there are.

        Words are looked for in the class, the path and the name of who answered; `round 2` is all of that round.
        """
        wanted = _ROUND.sub(r"round_\1", plain(words)).split()
        found = []
        for key, desk in self.desks().items():
            number = desk.question.round
            for position, at, answer in desk.taken():
                image = desk.question.images[at]
                text = plain(f"{answer.label or SHOWN[answer.kind]} {image.path} {answer.who}")
                if all(word in text or word == f"round_{number}" for word in wanted):
                    told = {"key": key, "number": at, "round": number, "path": image.path}
                    told |= {"who": answer.who, "kind": answer.kind, "label": answer.label}
                    found.append((position, told))
        found.sort(key=lambda one: -one[0])
        return {"found": len(found), "images": [told for _, told in found[:MOST]]}
