"""What was answered so far: in finished rounds and in the one that people are at, after all corrections."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ssal.acquisition.chosen import CHOSEN, Choice, read_chosen
from ssal.labelling.answers import SKIPPED
from ssal.labelling.ledger import GIVEN, Entry, Ledger
from ssal.round import round_number

LEDGER = "ledger.sqlite"


class Answered(NamedTuple):
    """Where the answers of a run stand."""

    entries: list[Entry]
    """One per image, in the order in which they were first asked for."""
    differ: list[str]
    """Ids of images on which people differ; a third look decides."""


def answered(folder: Path) -> Answered:
    """Return what is settled of every image that the run in `folder` asked about; nothing where it has no ledger.

    Of an image that was skipped and asked for again the later answer counts.
    """
    if not (folder / LEDGER).exists():
        return Answered([], [])
    ledger = Ledger(folder / LEDGER)
    found: dict[str, Entry] = {}
    for entry in ledger.entries():
        _add(found, entry)
    differ, settled = [], ledger.settled()
    for number, choices in open_rounds(folder, ledger).items():
        for choice in choices:
            answer = settled.get((choice.id, number))
            if answer is not None:
                _add(
                    found,
                    Entry(
                        choice.id, answer.label, answer.who, number, choice.strategy, choice.score, answer.at,
                        answer.kind, answer.seconds,
                    ),
                )  # fmt: skip
            elif (choice.id, number) in settled:
                differ.append(choice.id)
    return Answered(list(found.values()), differ)


def _add(found: dict[str, Entry], entry: Entry) -> None:
    """Let an entry stand for its image, unless it only skips what was answered."""
    if entry.kind != SKIPPED or found.get(entry.id, entry).kind == SKIPPED:
        found[entry.id] = entry


def open_rounds(folder: Path, ledger: Ledger) -> dict[int, list[Choice]]:
    """Return what is asked in the rounds that have no entry yet, by number."""
    chosen = {round_number(path.parent): path for path in folder.glob(f"round_*/{CHOSEN}")}
    return {number: read_chosen(chosen[number]) for number in sorted(chosen) if not ledger.asked_in(number)}


def asked_about(folder: Path) -> set[str]:
    """Return the ids of all images that the run in `folder` asked about, those that wait or are gone among them."""
    if not (folder / LEDGER).exists():
        return set()
    ledger = Ledger(folder / LEDGER)
    waiting = {choice.id for choices in open_rounds(folder, ledger).values() for choice in choices}
    return waiting | {entry.id for entry in ledger.entries() if entry.strategy != GIVEN}
