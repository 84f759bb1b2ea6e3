"""Following: what people have said in one round, kept up with a ledger by reading only its new rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ssal.labelling.answers import Answer
from ssal.labelling.chain import ENTRY, RENAMED, SAID, UNDONE, Chain
from ssal.labelling.ledger import GIVEN, Said, said_of
from ssal.labelling.naming import Names
from ssal.labelling.settle import settled_of


class Following:
    """The answers of one round as the ledger has them; its other rows, which may be many, are read once or never."""

    def __init__(self, chain: Chain, round_number: int) -> None:
        """Read what stands."""
        self.round = round_number
        self.said: dict[str, list[Said]] = {}
        """Every answer that was not taken back, by image id, in the order in which they came."""
        self.settled: dict[str, Answer | None] = {}
        """What the answers to an image come to, by its id; None where people disagree."""
        self.taken_at = 0
        """The last row by which the run took this round's answers; 0 before it does."""
        self._chain = chain
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._renamed: list[dict[str, Any]] = []
        self._position = chain.last()
        self._take(row for row in chain.rows(of_round=round_number) if row["position"] <= self._position)

    def catch_up(self) -> None:
        """Read what was written since the last look, whoever wrote it."""
        if rows := self._chain.rows(after=self._position):
            self._position = rows[-1]["position"]
            self._take(rows)

    @property
    def finished(self) -> bool:
        """Say whether the run has taken this round's answers: later ones correct them."""
        return self.taken_at > 0

    @property
    def renamings(self) -> int:
        """Return how often classes were renamed."""
        return len(self._renamed)

    def called_now(self, label: str, position: int) -> str:
        """Return what a class is called now that was called `label` when the ledger ended at `position`."""
        return Names(self._renamed).of(label, position) or label

    def _take(self, rows: Iterable[dict[str, Any]]) -> None:
        changed: set[str] = set()
        for row in rows:
            if row["event"] == RENAMED:
                self._renamed.append(row)
                changed.update(self._rows)
            elif row["event"] == ENTRY:
                if row["round"] == self.round and row["strategy"] != GIVEN:
                    self.taken_at = row["position"]
            elif (row["event"] == SAID and row["round"] == self.round) or (
                row["event"] == UNDONE and row["id"] in self._rows
            ):
                self._rows.setdefault(row["id"], []).append(row)
                changed.add(row["id"])
        for id in changed:
            self.said[id] = said_of([*self._rows[id], *self._renamed])
            self.settled.pop(id, None)
            self.settled.update((place[0], answer) for place, answer in settled_of(self.said[id]).items())
