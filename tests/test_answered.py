"""What was answered so far: one entry per image, of finished rounds and of the one that people are at."""

from __future__ import annotations

from pathlib import Path

from ssal.acquisition.chosen import CHOSEN, Choice, write_chosen
from ssal.answered import Answered, answered
from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE, SKIPPED, Answer
from ssal.labelling.ledger import AUDIT, GIVEN, Entry, Ledger, Said


def chosen(folder: Path, number: int, ids: str) -> None:
    (folder / f"round_{number}").mkdir()
    choices = [Choice(id, rank, None, AUDIT if id == "z" else "margin") for rank, id in enumerate(ids, start=1)]
    write_chosen(folder / f"round_{number}" / CHOSEN, choices)


def said(id: str, label: str | None, who: str, number: int = 1, kind: str = LABEL, decides: bool = False) -> Said:
    return Said(Answer(id, kind, label, who, 2.5, "2026-01-02T03:04:05+00:00"), number, "page", decides)


def test_without_a_ledger_there_is_none_and_none_is_made(tmp_path: Path) -> None:
    assert answered(tmp_path) == Answered([], []) and not list(tmp_path.iterdir())


def test_the_round_that_people_are_at_counts_as_far_as_it_is_settled(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    chosen(tmp_path, 0, "ab")
    ledger.append([Entry("a", "cat", "ann", 0, "margin", at="1"), Entry("b", None, "ann", 0, "margin", kind=SKIPPED)])
    chosen(tmp_path, 1, "bcdez")
    ledger.say([said("b", "dog", "ben"), said("c", None, "ben", kind=NONE), said("d", "cat", "ann")])
    ledger.say([said("d", "dog", "ben"), said("z", None, "ann", kind=CANNOT_TELL), said("not asked", "cat", "ann")])
    entries, differ = answered(tmp_path)
    assert [(e.id, e.kind, e.label, e.who, e.round, e.strategy) for e in entries] == [
        ("a", LABEL, "cat", "ann", 0, "margin"),
        ("b", LABEL, "dog", "ben", 1, "margin"),
        ("c", NONE, None, "ben", 1, "margin"),
        ("z", CANNOT_TELL, None, "ann", 1, AUDIT),
    ]
    assert differ == ["d"] and (entries[1].seconds, entries[1].at) == (2.5, "2026-01-02T03:04:05+00:00")
    ledger.say([said("d", "dog", "eve", decides=True)])
    ledger.undo(next(one.position for one in ledger.said() if one.answer.id == "c"), "ben")
    ledger.rename("dog", "wolf", "ann")
    entries, differ = answered(tmp_path)
    assert {e.id: (e.label, e.who) for e in entries} == {
        "a": ("cat", "ann"), "b": ("wolf", "ben"), "d": ("wolf", "eve"), "z": (None, "ann"),
    } and differ == []  # fmt: skip


def test_skipping_an_image_again_takes_no_answer_away(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([Entry("a", None, "ann", 0, "margin", kind=SKIPPED)])
    ledger.append([Entry("a", None, "ben", 1, "margin", kind=SKIPPED)])
    assert [(e.kind, e.who) for e in answered(tmp_path).entries] == [(SKIPPED, "ben")]
    ledger.say([said("a", "cat", "eve", 0)])  # a late answer to what was asked first
    assert [(e.label, e.who, e.seconds) for e in answered(tmp_path).entries] == [("cat", "eve", 2.5)]


def test_what_the_project_began_with_is_there_and_may_be_corrected(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([Entry("a", "cat", "folder", 0, GIVEN), Entry("b", "dog", "folder", 0, GIVEN)])
    chosen(tmp_path, 0, "cd")
    ledger.say([said("c", "cat", "ann", 0), said("b", "cat", "ben", 0)])
    entries, _ = answered(tmp_path)
    assert [(e.id, e.label, e.who, e.strategy) for e in entries] == [
        ("a", "cat", "folder", GIVEN), ("b", "cat", "ben", GIVEN), ("c", "cat", "ann", "margin"),
    ]  # fmt: skip
