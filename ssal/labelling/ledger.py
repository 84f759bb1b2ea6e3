"""The ledger: every label that was given, by whom, when, in which round and why. The only truth about labels."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ssal.artefacts import make_folder
from ssal.errors import BadInput

GIVEN = "given"
"""The strategy's name for labels that the project started with; they cost no budget."""
NO_CLASS = "none of the classes"
"""What an answer without a label is called wherever answers are shown."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS labels (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    who TEXT NOT NULL,
    at TEXT NOT NULL,
    round INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    score REAL
) STRICT;
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON labels
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON labels
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True)
class Entry:
    """One answered image."""

    id: str
    label: str | None
    """None: the image is of none of the classes; an empty text in the file, which no class is called."""
    who: str
    round: int
    strategy: str
    score: float | None = None
    at: str = ""


def numbers_of(labels: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """Return the number of every class, in the order of its first label; those never seen follow by name."""
    order = list(dict.fromkeys(labels))
    order += sorted(set(classes) - set(order))
    return {name: number for number, name in enumerate(order)}


class Ledger:
    """An append-only SQLite file: a round's labels are all in it, or none; an acknowledged label survives a kill."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at `path`, or start one."""
        self.path = path
        self.end: int | None = None
        make_folder(path.parent)
        with self._open() as connection:
            connection.executescript(_SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Give a connection; raises BadInput, with what SQLite says, where the file or its disk do not serve."""
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None, timeout=60)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                yield connection
        except sqlite3.IntegrityError:
            raise
        except sqlite3.OperationalError as error:
            raise BadInput(
                f"{self.path}: {error}; labels that were written before are unchanged, nothing new was written. "
                "Free some space, or see to the file's permissions, and run the same command again"
            ) from error

        except sqlite3.DatabaseError as error:
            raise BadInput(
                f"{self.path}: {error}; the file is damaged, and nothing was written. Put a copy of it back, or move "
                f"{self.path.parent} away and start again"
            ) from error

    def before(self, round_number: int) -> Ledger:
        """Return the same ledger as it stood when `round_number` began: without the answers of that round and later."""
        view = copy(self)
        view.end = round_number if self.end is None else min(round_number, self.end)
        return view

    def append(self, entries: Iterable[Entry]) -> None:
        """Write one round's labels in one transaction. Raises BadInput where an image has a label already."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(e.id, e.label or "", e.who, e.at or now, e.round, e.strategy, e.score) for e in entries]
        with self._open() as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "INSERT INTO labels (id, label, who, at, round, strategy, score) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
                )
                connection.execute("COMMIT")
            except sqlite3.IntegrityError as error:
                raise BadInput(
                    f"{self.path}: an image of this round has a label already; nothing was written"
                ) from error

    def set_aside(self, path: Path) -> None:
        """Move the ledger to `path`, with all that a killed process has left in its write-ahead log."""
        with self._open() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.path.rename(path)

    def entries(self) -> list[Entry]:
        """Return every entry in the order it was written."""
        with self._open() as connection:
            rows = connection.execute("SELECT id, label, who, round, strategy, score, at FROM labels ORDER BY position")
            entries = [Entry(id, label or None, *rest) for id, label, *rest in rows]
        return [e for e in entries if self.end is None or e.round < self.end or e.strategy == GIVEN]

    def labels(self) -> dict[str, str]:
        """Return class name by image id, in the order the labels came; images of none of the classes have none.

        This is all that training and signals see of the answers.
        """
        return {entry.id: entry.label for entry in self.entries() if entry.label is not None}

    def answered(self) -> set[str]:
        """Return the ids of all images that need not be asked for again, those of none of the classes among them."""
        return {entry.id for entry in self.entries()}

    def bought(self) -> int:
        """Return how many answers were asked for, whatever they are; what the project started with costs nothing."""
        return sum(entry.strategy != GIVEN for entry in self.entries())

    def asked_in(self, round_number: int) -> list[Entry]:
        """Return the entries of one round."""
        return [e for e in self.entries() if e.round == round_number and e.strategy != GIVEN]

    def class_numbers(self, classes: Sequence[str]) -> dict[str, int]:
        """Return the number of every class, in the order of first label; those never seen follow by name.

        Numbers thus follow from what was asked, and class names, which are folder names, move nothing.
        """
        return numbers_of(self.labels().values(), classes)

    def numbered(self, classes: Sequence[str]) -> dict[str, int]:
        """Return class number by image id."""
        numbers = self.class_numbers(classes)
        return {id: numbers[label] for id, label in self.labels().items()}
