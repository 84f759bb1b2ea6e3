"""What classes are called: a class may be renamed after files with its name were written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ssal.labelling.chain import RENAMED


class Names:
    """What classes are called now that were renamed since."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take rows of a ledger."""
        self._renamed = [(row["position"], row["about"], row["label"]) for row in rows if row["event"] == RENAMED]

    def renamed(self) -> dict[str, str]:
        """Return what classes are called now by the names that were taken from them, the last taking of each."""
        return {old: str(self.of(old, since - 1)) for since, old, _ in self._renamed}

    def of(self, label: str | None, position: int) -> str | None:
        """Return what a label is called now that stands in the row at `position`."""
        for since, old, new in self._renamed:
            if position < since and label == old:
                label = new
        return label
