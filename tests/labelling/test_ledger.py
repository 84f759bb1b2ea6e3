"""The ledger: append-only, whole rounds, nothing acknowledged is lost."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssal.errors import BadInput
from ssal.labelling.ledger import GIVEN, Entry, Ledger


def entry(id: str, label: str | None, round_number: int = 0, strategy: str = "margin") -> Entry:
    return Entry(id, label, "oracle", round_number, strategy, 0.5)


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("b", "dog"), entry("a", "cat")])
    ledger.append([entry("c", "cat", 1)])
    assert ledger.labels() == {"b": "dog", "a": "cat", "c": "cat"}
    assert [e.id for e in ledger.asked_in(1)] == ["c"]
    assert all(e.at for e in ledger.entries())


def test_given_labels_cost_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("a", "cat", strategy=GIVEN), entry("b", "dog")])
    assert ledger.bought() == 1
    assert [e.id for e in ledger.asked_in(0)] == ["b"]


def test_a_second_label_refuses_the_whole_round(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("a", "cat")])
    with pytest.raises(BadInput, match="nothing was written"):
        ledger.append([entry("b", "dog", 1), entry("a", "dog", 1)])
    assert ledger.labels() == {"a": "cat"}


@pytest.mark.parametrize("statement", ["DELETE FROM labels", "UPDATE labels SET label = 'x'"])
def test_nothing_is_taken_back(tmp_path: Path, statement: str) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("a", "cat")])
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), sqlite3.connect(ledger.path) as connection:
        connection.execute(statement)


def test_class_numbers_follow_first_labels_not_names(tmp_path: Path) -> None:
    first, second = Ledger(tmp_path / "1.sqlite"), Ledger(tmp_path / "2.sqlite")
    first.append([entry("a", "dog"), entry("b", "cat"), entry("c", "dog")])
    second.append([entry("a", "aardvark"), entry("b", "zebra"), entry("c", "aardvark")])
    assert first.class_numbers(["ant", "cat", "dog"]) == {"dog": 0, "cat": 1, "ant": 2}
    assert list(first.numbered(["ant", "cat", "dog"]).values()) == [0, 1, 0]
    assert first.numbered(["ant", "cat", "dog"]) == second.numbered(["aardvark", "bee", "zebra"])


def test_an_answer_without_a_label_costs_and_teaches_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("a", "dog"), entry("b", None), entry("c", "cat", 1), entry("d", None, 1)])
    assert ledger.labels() == {"a": "dog", "c": "cat"} and ledger.numbered(["cat", "dog"]) == {"a": 0, "c": 1}
    assert ledger.class_numbers(["ant", "cat", "dog"]) == {"dog": 0, "cat": 1, "ant": 2}
    assert ledger.bought() == 4 and ledger.answered() == {"a", "b", "c", "d"}
    assert ledger.before(1).answered() == {"a", "b"} and ledger.before(1).labels() == {"a": "dog"}
    assert [one.label for one in ledger.entries()] == ["dog", None, "cat", None]
    with pytest.raises(BadInput, match="nothing was written"):
        ledger.append([entry("b", "dog", 2)])


WRITER = """
import sys
from pathlib import Path
from ssal.labelling.ledger import Entry, Ledger
ledger = Ledger(Path(sys.argv[1]))
start = len(ledger.entries())
for number in range(start // 5, 10_000):
    ledger.append(Entry(f"{number}-{i}", "cat", "oracle", number, "margin", 0.1) for i in range(5))
    print(number, flush=True)
"""


def test_kill_loses_no_acknowledged_round(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    acknowledged = -1
    for attempt in range(8):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        acknowledged = int(process.stdout.readline())
        time.sleep(0.003 * attempt)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")
        process.wait()
        acknowledged = max([acknowledged, *(int(line) for line in rest[:-1] if line)])
        entries = Ledger(path).entries()
        assert len(entries) % 5 == 0, "a round is in the ledger whole or not at all"
        assert max(e.round for e in entries) >= acknowledged
    assert acknowledged > 0
