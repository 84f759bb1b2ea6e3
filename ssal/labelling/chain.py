"""An append-only SQLite table whose every row holds a digest of all before it: nothing changes unseen."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ssal.artefacts import disk_errors, make_folder, writing
from ssal.errors import BadInput

VERSION = 2
ENTRY, SAID, UNDONE, RENAMED = ("entry", "said", "undone", "renamed")
"""What a row of the ledger is: an image of a finished round; one answer of one person; one taken back; a class that is
called otherwise from now on."""
COLUMNS = (
    "event", "id", "kind", "label", "who", "at", "seconds", "round", "strategy", "score", "via", "decides", "about",
)  # fmt: skip
_SCHEMA = """
CREATE TABLE ledger (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    id TEXT,
    kind TEXT,
    label TEXT,
    who TEXT NOT NULL,
    at TEXT NOT NULL,
    seconds REAL,
    round INTEGER,
    strategy TEXT,
    score REAL,
    via TEXT,
    decides INTEGER,
    about TEXT,
    digest TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_answer ON ledger (id) WHERE event = 'entry' AND kind != 'skipped';
CREATE UNIQUE INDEX one_entry ON ledger (id, round) WHERE event = 'entry';
CREATE TRIGGER no_update BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""
_OLD = "SELECT 'entry', id, iif(label = '', 'none', 'label'), nullif(label, ''), who, at, NULL, round, strategy, score"
_OLD += ", NULL, NULL, NULL FROM labels ORDER BY position"
"""The rows of a ledger of version 1 as COLUMNS."""


class Chain:
    """The table in the file at `path`; every append is one transaction that is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        """Open the file, or start one; bring one of version 1 up to date."""
        self.path = path
        self._number: int | None = None
        make_folder(path.parent)
        with self._open() as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
                self._begin(connection)
            self._number = path.stat().st_ino

    @property
    def number(self) -> int:
        """Return the file's number on its disk: another file in its place has another one."""
        assert self._number is not None
        return self._number

    @property
    def replaced(self) -> bool:
        """Say whether the file is gone, or another lies in its place, since it was opened."""
        try:
            return self.path.stat().st_ino != self._number
        except FileNotFoundError:
            return True

    @property
    def _lock(self) -> Path:
        return self.path.with_name(f".{self.path.name}.lock")

    @contextmanager
    def _held(self, how: int) -> Iterator[None]:
        """Keep the file in its place while it is open (LOCK_SH), or from being opened while it is moved (LOCK_EX).

        SQLite removes the write-ahead log by its name when the last connection closes: that of a file that was moved
        meanwhile would take the log of the next file with it, and what was acknowledged there.
        """
        with disk_errors(self._lock):
            file = self._lock.open("w")
        with file:
            fcntl.flock(file, how)
            yield

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Give a connection; raises BadInput where the file is another by now, or it or its disk do not serve."""
        with self._held(fcntl.LOCK_SH):
            if self._number is not None and self.replaced:
                raise BadInput(
                    f"{self.path}: this ledger was moved away since it was opened, as ssal run --overwrite does; "
                    "nothing was written. Run the same command again"
                )
            with self._connected() as connection:
                yield connection

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Give a connection; raises BadInput, with what SQLite says, where the file or its disk do not serve."""
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None, timeout=60)) as connection:
                connection.row_factory = sqlite3.Row
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

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Make the table in one transaction; two processes may meet here."""
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            for statement in _statements(_SCHEMA):
                connection.execute(statement)
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone():
                _insert(
                    connection, (dict(zip(COLUMNS, row, strict=True)) for row in connection.execute(_OLD).fetchall())
                )
            connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")

    def append(self, rows: Iterable[Mapping[str, Any]]) -> list[int]:
        """Write rows, of COLUMNS, all or none, and return their positions. Raises BadInput for a second entry."""
        rows = list(rows)
        with self._open() as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                positions = _insert(connection, rows)
                connection.execute("COMMIT")
            except sqlite3.IntegrityError as error:
                raise BadInput(
                    f"{self.path}: an image of this round has a label already; nothing was written"
                ) from error
        return positions

    def rows(self, after: int = 0, of_round: int | None = None) -> list[dict[str, Any]]:
        """Return the rows behind the position `after`, in the order in which they were written.

        With `of_round` those of that round alone, and those that belong to none.
        """
        here = "position > ?" + " AND (round = ? OR round IS NULL)" * (of_round is not None)
        given = (after,) if of_round is None else (after, of_round)
        with self._open() as connection:
            found = connection.execute(f"SELECT * FROM ledger WHERE {here} ORDER BY position", given)
            return [dict(row) for row in found]

    def last(self) -> int:
        """Return the position of the last row; 0 where there is none."""
        with self._open() as connection:
            return int(connection.execute("SELECT coalesce(max(position), 0) FROM ledger").fetchone()[0])

    def rounds_taken(self, apart_from: str) -> set[int]:
        """Return the rounds that have an entry of another strategy than the one named."""
        asked = "SELECT DISTINCT round FROM ledger WHERE event = ? AND strategy IS NOT ?"
        with self._open() as connection:
            return {int(row[0]) for row in connection.execute(asked, (ENTRY, apart_from))}

    def damages(self) -> list[str]:
        """Return what is wrong with the file: what SQLite finds, and the first row that does not follow."""
        with self._open() as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        before, last = "", 0
        for row in self.rows():
            if row["position"] != last + 1:
                return [*found, f"position {last + 1} is missing"]
            if row["digest"] != digest(before, row):
                return [*found, f"position {row['position']} was changed, or a row before it"]
            before, last = row["digest"], row["position"]
        return found

    def backup(self, to: Path) -> int:
        """Write a copy to the file `to`, also while others write here, and return how many rows it has.

        In the place of this file it is the ledger. Raises BadInput, and leaves nothing, where something is there, or
        the copy does not stand as its rows were written.
        """
        if os.path.lexists(to):
            raise BadInput(f"{to}: something is there already; name a file that is not there yet")
        with self._open() as connection, writing(to) as temporary:
            try:
                with closing(sqlite3.connect(temporary)) as copy:
                    connection.backup(copy)
                written = Chain(temporary)
                damages, last = written.damages(), written.last()
            finally:
                for beside in (f".{temporary.name}.lock", *(f"{temporary.name}-{end}" for end in ("wal", "shm"))):
                    temporary.with_name(beside).unlink(missing_ok=True)
            if damages:
                raise BadInput(f"{self.path}: {'; '.join(damages)}; nothing was written to {to}")
        return last

    def set_aside(self, path: Path) -> None:
        """Move the file to `path`, with all that a killed process has left in its write-ahead log."""
        with self._held(fcntl.LOCK_EX):
            with self._connected() as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.path.rename(path)


def digest(before: str, row: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the digest before and a row's position and columns, as JSON."""
    values = [before, row["position"], *(row.get(name) for name in COLUMNS)]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()


def _insert(connection: sqlite3.Connection, rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Write rows at the end of the chain, inside of a transaction."""
    last = connection.execute("SELECT position, digest FROM ledger ORDER BY position DESC LIMIT 1").fetchone()
    position, before = (last["position"], last["digest"]) if last else (0, "")
    first = position + 1
    columns = ("position", *COLUMNS, "digest")
    places = ", ".join("?" * len(columns))
    for row in rows:
        position += 1
        row = {"position": position, **row}
        before = digest(before, row)
        values = [position, *(row.get(name) for name in COLUMNS), before]
        connection.execute(f"INSERT INTO ledger ({', '.join(columns)}) VALUES ({places})", values)
    return list(range(first, position + 1))


def _statements(script: str) -> list[str]:
    """Return a script's statements one by one: executescript would commit the transaction that it stands in."""
    found, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found
