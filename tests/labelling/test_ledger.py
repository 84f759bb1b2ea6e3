"""The ledger: append-only, whole rounds, nothing acknowledged is lost."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from ssal.errors import BadInput
from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE, SKIPPED, Answer
from ssal.labelling.chain import Chain
from ssal.labelling.ledger import AUDIT, GIVEN, Entry, Ledger, Said


def entry(id: str, label: str | None, round_number: int = 0, strategy: str = "margin") -> Entry:
    return Entry(id, label, "oracle", round_number, strategy, 0.5, kind=LABEL if label else NONE)


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


@pytest.mark.parametrize("statement", ["DELETE FROM ledger", "UPDATE ledger SET label = 'x'"])
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


def said(id: str, answer: str | None, who: str = "ann", round_number: int = 0, **more: bool) -> Said:
    """A class, or the kind of an answer without one; None is skipped."""
    kind = answer if answer in (NONE, CANNOT_TELL) else LABEL if answer else SKIPPED
    return Said(Answer(id, kind, answer if kind == LABEL else None, who), round_number, "page", **more)


def test_what_people_say_stands_until_they_say_otherwise(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    first, second, third = ledger.say([said("a", "cat"), said("b", None), said("c", CANNOT_TELL)])
    assert [one.position for one in ledger.said()] == [first, second, third] == [1, 2, 3]
    ledger.say([said("a", "dog")])
    assert [now and (now.kind, now.label) for now in ledger.settled().values()] == [
        (LABEL, "dog"), (SKIPPED, None), (CANNOT_TELL, None),
    ]  # fmt: skip
    assert ledger.undo(4, "ann").answer.label == "dog"
    assert ledger.settled()["a", 0] == ledger.said()[0].answer and ledger.said()[0].answer.label == "cat"
    with pytest.raises(BadInput, match="no answer stands at position 4"):
        ledger.undo(4, "ann")
    assert ledger.entries() == [] and ledger.bought() == 0, "a round is not finished by what is said"
    assert [row["event"] for row in ledger.chain.rows()] == ["said"] * 4 + ["undone"]


def test_people_who_differ_are_settled_by_a_third_look(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.say([said("a", "cat"), said("a", None, "ben"), said("b", "cat"), said("b", "dog", "ben")])
    assert ledger.settled()["a", 0] == ledger.said()[0].answer, "who skips leaves it to the others"
    assert ledger.settled()["b", 0] is None
    ledger.say([said("b", "dog", "eve", decides=True)])
    assert (now := ledger.settled()["b", 0]) and (now.label, now.who) == ("dog", "eve")
    ledger.say([said("b", "cat", "ann", decides=True)])
    assert (now := ledger.settled()["b", 0]) and now.label == "cat", "the last third look counts"


def test_a_later_answer_corrects_an_entry_wherever_labels_are_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("a", "cat"), entry("b", "dog")])
    ledger.append([entry("c", "cat", 1)])
    ledger.say([said("a", "dog", "ben"), said("b", NONE, "ben", 0)])
    assert ledger.labels() == {"a": "dog", "c": "cat"} == ledger.before(5).labels()
    assert ledger.before(1).labels() == {"a": "dog"} and ledger.of_no_class() == {"b"}
    assert [(e.who, e.strategy) for e in ledger.entries()] == [
        ("ben", "margin"),
        ("ben", "margin"),
        ("oracle", "margin"),
    ]
    assert ledger.bought() == 3
    ledger.undo(ledger.said()[0].position, "ben")
    assert ledger.labels() == {"a": "cat", "c": "cat"}


def test_what_a_round_has_taken_is_neither_skipped_nor_taken_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.say([said("a", "cat", "ann")])
    ledger.append([entry("a", "cat")])
    with pytest.raises(BadInput, match="round 0 has taken the answer at position 1 already; `ssal ledger correct`"):
        ledger.undo(1, "ann")
    ledger.say([Said(Answer("a", SKIPPED, None, "ann"), 0, "page")])
    assert ledger.labels() == {"a": "cat"} and ledger.answered() == {"a"}, "nor is it asked for a second time"
    ledger.say([said("a", "dog", "ben", decides=True)])
    assert ledger.labels() == {"a": "dog"}
    ledger.undo(4, "ben")
    assert ledger.labels() == {"a": "cat"}


def test_a_class_is_called_otherwise_from_then_on(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("a", "cat"), entry("b", "dog")])
    ledger.say([said("c", "cat", round_number=1)])
    ledger.say([said("a", "cat"), said("a", "cat", who="eve")])
    assert ledger.rename("cat", "tiger", "ann") == 2, "images: what was said of one, and taken, is one"
    ledger.append([entry("d", "cat", 1)])  # a new class of the old name
    assert ledger.labels() == {"a": "tiger", "b": "dog", "d": "cat"} and ledger.said()[0].answer.label == "tiger"
    assert ledger.class_numbers(["cat", "dog", "tiger"]) == {"tiger": 0, "dog": 1, "cat": 2}
    with pytest.raises(BadInput, match="no label is called 'tigre'; did you mean 'tiger'"):
        ledger.rename("tigre", "lion", "ann")


def test_the_audit_slice_and_skipped_images_are_no_labels(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    skipped = Entry("c", None, "ann", 0, "margin", kind=SKIPPED)
    none = Entry("d", None, "ann", 0, AUDIT, kind=NONE)
    ledger.append([entry("a", "cat"), entry("b", "dog", strategy=AUDIT), skipped, none])
    assert ledger.labels() == {"a": "cat"} and ledger.audited() == {"b": "dog"} and ledger.of_no_class() == set()
    assert ledger.class_numbers(["cat", "dog"]) == {"cat": 0, "dog": 1} and ledger.numbered(["cat", "dog"]) == {"a": 0}
    assert ledger.bought() == 4 and ledger.answered() == {"a", "b", "d"}, "what was skipped may be asked for again"
    ledger.append([entry("c", "dog", 1)])
    assert ledger.labels() == {"a": "cat", "c": "dog"}


def test_a_change_behind_its_back_is_found(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("a", "cat"), entry("b", "dog")])
    ledger.say([said("b", "cat")])
    assert ledger.chain.damages() == []
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE ledger SET label = 'dog' WHERE position = 1")
    assert ledger.chain.damages() == ["position 1 was changed, or a row before it"]
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("DROP TRIGGER no_delete")
        connection.execute("DELETE FROM ledger WHERE position = 2")
        connection.execute("UPDATE ledger SET label = 'cat' WHERE position = 1")
    assert ledger.chain.damages() == ["position 2 is missing"]


OLD = """
CREATE TABLE labels (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, label TEXT NOT NULL,
    who TEXT NOT NULL, at TEXT NOT NULL, round INTEGER NOT NULL, strategy TEXT NOT NULL, score REAL) STRICT;
INSERT INTO labels (id, label, who, at, round, strategy, score) VALUES
    ('a', 'cat', 'folder', '2026-01-01T00:00:00+00:00', 0, 'given', NULL),
    ('b', '', 'inbox', '2026-01-02T00:00:00+00:00', 1, 'margin', 0.25);
"""


def test_a_ledger_of_the_first_version_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(OLD)
    assert Ledger(path).entries() == Ledger(path).entries() == [
        Entry("a", "cat", "folder", 0, GIVEN, None, "2026-01-01T00:00:00+00:00"),
        Entry("b", None, "inbox", 1, "margin", 0.25, "2026-01-02T00:00:00+00:00", kind=NONE),
    ]  # fmt: skip
    Ledger(path).append([entry("c", "dog", 2)])
    assert Ledger(path).labels() == {"a": "cat", "c": "dog"} and Ledger(path).chain.damages() == []


WRITER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
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


def test_a_ledger_that_is_set_aside_keeps_every_answer_that_was_acknowledged(tmp_path: Path) -> None:
    """Who writes meanwhile is refused from then on, and touches neither the one that is kept nor the next."""
    path = tmp_path / "ledger.sqlite"

    def write(who: str, ledger: Ledger, acknowledged: list[str], refusals: list[str]) -> None:
        for number in range(10_000):
            try:
                ledger.say([Said(Answer(f"{who} {number}", LABEL, "cat", who), 0, "page")])
            except BadInput as error:
                refusals.append(str(error))
                break
            acknowledged.append(f"{who} {number}")
            time.sleep(0.002)  # people pause

    for attempt in range(20):
        acknowledged, refusals = list[str](), list[str]()
        threads = [
            threading.Thread(target=write, args=(who, Ledger(path), acknowledged, refusals)) for who in ("ann", "ben")
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.002 * attempt)
        kept = tmp_path / f"ledger.replaced_{attempt}.sqlite"
        Ledger(path).set_aside(kept)
        following = Ledger(path)
        following.append([entry("g", "dog", 0)])
        for thread in threads:
            thread.join()
        assert len(refusals) == 2 and all("nothing was written" in one for one in refusals)
        assert sorted(one.answer.id for one in Ledger(kept).said()) == sorted(acknowledged)
        assert Ledger(kept).chain.damages() == following.chain.damages() == [] == following.said()
        assert following.labels() == {"g": "dog"}
        following.set_aside(tmp_path / "following.sqlite")


def rows_without_wal(path: Path) -> int:
    """Return how many rows stand in the file itself, whatever lies beside it."""
    alone = path.with_name("alone")
    alone.mkdir()
    shutil.copy(path, alone / path.name)
    return len(Ledger(alone / path.name).chain.rows())


def test_a_backup_has_what_the_write_ahead_log_alone_holds_and_is_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("a", "cat")])
    with closing(sqlite3.connect(ledger.path)) as other:
        other.execute("SELECT count(*) FROM ledger").fetchone()  # somebody else, so that nothing is checkpointed
        ledger.say([said("b", "dog")])
        ledger.append([entry("b", "dog", 1)])
        before = ledger.chain.rows()
        assert rows_without_wal(ledger.path) < len(before)
        assert ledger.chain.backup(tmp_path / "kept" / "backup.sqlite") == 3
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["backup.sqlite"]
    ledger.append([entry("c", "cat", 2)])
    for path in tmp_path.glob("ledger.sqlite*"):
        path.unlink()
    shutil.copy(tmp_path / "kept" / "backup.sqlite", ledger.path)
    ledger = Ledger(ledger.path)
    assert ledger.chain.rows() == before and not ledger.chain.damages()
    ledger.append([entry("c", "dog", 2)])
    assert ledger.labels() == {"a": "cat", "b": "dog", "c": "dog"}


def put_back(copy: Path, ledger: Path) -> None:
    """Copy a file over the ledger: so it keeps its number on the disk, as one often gets again that was removed."""
    assert not ledger.with_name(f"{ledger.name}-wal").exists()
    shutil.copyfile(copy, ledger)


def copied(ledger: Ledger, to: Path) -> None:
    shutil.copyfile(ledger.path, to)


def backed_up(ledger: Ledger, to: Path) -> None:
    ledger.chain.backup(to)


@pytest.mark.parametrize("keep", [copied, backed_up])
@pytest.mark.parametrize("known", [0, 2])
def test_an_earlier_ledger_that_is_put_back_is_another_one(
    tmp_path: Path, known: int, keep: Callable[[Ledger, Path], None]
) -> None:
    ledger, copy = Ledger(tmp_path / "ledger.sqlite"), tmp_path / "copy.sqlite"
    ledger.append([entry(str(number), "cat") for number in range(known)])
    keep(ledger, copy)
    ledger.say([said("b", "dog")])
    assert not ledger.chain.replaced
    put_back(copy, ledger.path)
    assert ledger.chain.replaced
    for refused in (ledger.chain.last, lambda: ledger.say([said("c", "dog")])):
        with pytest.raises(BadInput, match="another one lies in its place.*nothing was written"):
            refused()
    again = Ledger(ledger.path)
    assert again.said() == [] and len(again.entries()) == known and not again.chain.replaced
    again.say([said("c", "cat")])
    assert ledger.chain.replaced, "it has as many rows, and others"
    assert [one.answer.id for one in again.said()] == ["c"] and not again.chain.damages()


@pytest.mark.parametrize("known", [0, 2])
def test_a_backup_that_goes_further_is_another_ledger(tmp_path: Path, known: int) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry(str(number), "cat") for number in range(known)])
    shutil.copyfile(ledger.path, tmp_path / "short.sqlite")
    opened = Ledger(ledger.path)
    ledger.say([said("b", "dog")])
    ledger.chain.backup(tmp_path / "copy.sqlite")
    put_back(tmp_path / "short.sqlite", ledger.path)
    assert ledger.chain.replaced and not opened.chain.replaced, "all stands that this one has seen"
    put_back(tmp_path / "copy.sqlite", ledger.path)
    assert ledger.chain.replaced and opened.chain.replaced


def test_of_two_ledgers_without_a_row_each_is_known(tmp_path: Path) -> None:
    first, second = Ledger(tmp_path / "ledger.sqlite"), Ledger(tmp_path / "second.sqlite")
    assert first.chain.number != second.chain.number and Ledger(first.path).chain.number == first.chain.number
    put_back(second.path, first.path)
    assert first.chain.replaced and not second.chain.replaced
    put_back(Path(os.devnull), second.path)  # as somebody is about to copy one there
    assert second.chain.replaced and second.path.stat().st_size == 0, "nothing is written there"


def test_a_ledger_without_a_number_gets_one_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).append([entry("a", "cat")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id=0")
    ledger = Ledger(path)
    assert ledger.chain.number == Ledger(path).chain.number > 0
    assert ledger.labels() == {"a": "cat"} and ledger.chain.damages() == []


def raises(chain: Chain) -> list[str]:
    """Fail as a disk does while a copy is checked, with all that SQLite keeps beside it."""
    for end in ("wal", "shm"):
        chain.path.with_name(f"{chain.path.name}-{end}").touch()
    raise BadInput("the disk is full")


def test_a_backup_replaces_nothing_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([entry("a", "cat"), entry("b", "dog")])
    before = sorted(path.name for path in tmp_path.iterdir())
    for there in (ledger.path, tmp_path):
        with pytest.raises(BadInput, match="is there already"):
            ledger.chain.backup(there)
    with pytest.raises(BadInput, match="it cannot be written"):
        ledger.chain.backup(ledger.path / "backup.sqlite")
    with closing(sqlite3.connect(ledger.path)) as connection, connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE ledger SET label = 'dog' WHERE id = 'a'")
    with pytest.raises(BadInput, match="position 1 was changed.*nothing was written"):
        ledger.chain.backup(tmp_path / "backup.sqlite")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    monkeypatch.setattr(Chain, "damages", raises)
    with pytest.raises(BadInput, match="the disk is full"):
        ledger.chain.backup(tmp_path / "backup.sqlite")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_several_may_begin_one_ledger(tmp_path: Path) -> None:
    """SQLite waits for nobody where two switch a new file to its write-ahead log at once."""
    for attempt in range(60):
        together = Barrier(6)

        def number(path: Path, together: Barrier = together) -> int:
            together.wait()
            return Ledger(path).chain.number

        with ThreadPoolExecutor(6) as threads:
            assert len(set(threads.map(number, [tmp_path / f"{attempt}.sqlite"] * 6))) == 1
