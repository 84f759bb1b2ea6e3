"""An append-only SQLite table whose every row holds a digest of all before it: nothing changes unseen."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ssal.artefacts import disk_errors, make_folder, writing
from ssal.errors import BadInput
from ssal.labelling.table import begin, digest, insert, last, number_in, renumber

ENTRY, SAID, UNDONE, RENAMED = ("entry", "said", "undone", "renamed")
"""What a row of the ledger is: an image of a finished round; one answer of one person; one taken back; a class that is
called otherwise from now on."""


class Replaced(BadInput):
    """The ledger's file is gone, or another lies in its place."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: the ledger that was opened is gone, or another one lies in its place, as after ssal run "
            "--overwrite or where a backup was put back; nothing was written. Run the same command again"
        )


class Chain:
    """The table in the file at `path`; every append is one transaction that is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        """Open the file, or start one; bring an earlier one up to date."""
        self.path = path
        make_folder(path.parent)
        new = not (path.exists() and path.stat().st_size)  # where no other process may switch to WAL meanwhile
        with self._held(fcntl.LOCK_EX if new else fcntl.LOCK_SH), self._connected() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            begin(connection)
            self.number = number_in(connection)
            """Drawn when the file was begun or written as a backup; a plain copy has the same one."""
            self._seen = last(connection)
            """Position and digest of the last row when it was last looked at, which can neither go nor change."""

    @property
    def replaced(self) -> bool:
        """Say whether the file is gone, or another lies in its place, since it was opened.

        One that has all rows that were seen here is told by its number alone: as a plain copy that goes further it is
        as good as the same file.
        """
        if not self.path.exists():
            return True
        try:
            with self._open():
                return False
        except Replaced:
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
        """Give a connection; raises Replaced where the file is another by now, BadInput where it does not serve."""
        with self._held(fcntl.LOCK_SH):
            if not self.path.exists():  # SQLite would begin one
                raise Replaced(self.path)
            with self._connected() as connection:
                if not self._stands(connection):
                    raise Replaced(self.path)
                yield connection
                self._seen = last(connection)

    def _stands(self, connection: sqlite3.Connection) -> bool:
        """Say whether the file is the one that was opened.

        Its number on the disk does not tell: the next file often gets it again, and who copies over a file keeps it.
        """
        if number_in(connection) != self.number:
            return False
        seen = "SELECT 1 FROM ledger WHERE position = ? AND digest = ?"
        return self._seen is None or connection.execute(seen, self._seen).fetchone() is not None

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Give a connection; raises BadInput, with what SQLite says, where the file or its disk do not serve."""
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None, timeout=60)) as connection:
                connection.row_factory = sqlite3.Row
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

    def append(self, rows: Iterable[Mapping[str, Any]]) -> list[int]:
        """Write rows, of COLUMNS, all or none, and return their positions. Raises BadInput for a second entry."""
        rows = list(rows)
        with self._open() as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                positions = insert(connection, rows)
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
            found = last(connection)
        return found[0] if found else 0

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
                    renumber(copy)
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
