"""Table: what a ledger's file holds, how a row joins it, and the number by which a file is told from others."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

VERSION = 2
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


def begin(connection: sqlite3.Connection) -> None:
    """Make the table in one transaction, or bring an earlier one up to date; two processes may meet here."""
    if _version(connection) == VERSION and number_in(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    if _version(connection) < VERSION:
        for statement in _statements(_SCHEMA):
            connection.execute(statement)
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone():
            insert(connection, (dict(zip(COLUMNS, row, strict=True)) for row in connection.execute(_OLD).fetchall()))
        connection.execute(f"PRAGMA user_version={VERSION}")
    if not number_in(connection):
        renumber(connection)
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def number_in(connection: sqlite3.Connection) -> int:
    """Return the file's number, which stands in its header; 0 where it has none yet."""
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def renumber(connection: sqlite3.Connection) -> None:
    """Give the file a number that no other one has: it is drawn from 2³¹ - 1."""
    connection.execute(f"PRAGMA application_id={1 + secrets.randbelow(2**31 - 1)}")


def last(connection: sqlite3.Connection) -> tuple[int, str] | None:
    """Return position and digest of the last row; None where there is none."""
    found = connection.execute("SELECT position, digest FROM ledger ORDER BY position DESC LIMIT 1").fetchone()
    return tuple(found) if found else None


def digest(before: str, row: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the digest before and a row's position and columns, as JSON."""
    values = [before, row["position"], *(row.get(name) for name in COLUMNS)]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()


def insert(connection: sqlite3.Connection, rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Write rows at the end of the chain, inside of a transaction."""
    position, before = last(connection) or (0, "")
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
