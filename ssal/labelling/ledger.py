"""The ledger: everything that was answered, by whom, when, in which round and why. The only truth about labels."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ssal.errors import BadInput, nearest
from ssal.labelling.answers import LABEL, NONE, SKIPPED, Answer
from ssal.labelling.chain import ENTRY, RENAMED, SAID, UNDONE, Chain
from ssal.labelling.naming import Names
from ssal.labelling.settle import settled_of

GIVEN = "given"
"""The strategy's name for labels that the project started with; they cost no budget."""
AUDIT = "audit"
"""The strategy's name for images drawn at random to measure accuracy, which no learner trains on."""


@dataclass(frozen=True)
class Entry:
    """One image that a finished round asked for, and what was answered in the end."""

    id: str
    label: str | None
    who: str
    round: int
    strategy: str
    score: float | None = None
    at: str = ""
    kind: str = LABEL
    """One of answers.KINDS; all but `label` come without one."""
    seconds: float | None = None
    """How long somebody looked at the image."""


@dataclass(frozen=True)
class Said:
    """One answer of one person, as it came; a round's entry says what several of them come to."""

    answer: Answer
    round: int
    via: str
    """How it came: page, csv, folders, label_studio or correction."""
    decides: bool = False
    """Whether it was a third look, which settles what others disagree on, or corrects what a round has taken."""
    position: int = field(default=0, compare=False)
    """Its row of the ledger, from 1; 0 before it is written."""


def numbers_of(labels: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """Return the number of every class, in the order of its first label; those never seen follow by name."""
    order = list(dict.fromkeys(labels))
    order += sorted(set(classes) - set(order))
    return {name: number for number, name in enumerate(order)}


class Ledger:
    """An append-only file: a round's entries are all in it, or none; an acknowledged answer survives a kill."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at `path`, or start one."""
        self.path = path
        self.end: int | None = None
        self.pool: Container[str] | None = None
        self.chain = Chain(path)

    def before(self, round_number: int) -> Ledger:
        """Return the same ledger as it stood when `round_number` began: without the entries of that round and later.

        Corrections and new names count in every round: a wrong label is wrong for all of them.
        """
        view = copy(self)
        view.end = round_number if self.end is None else min(round_number, self.end)
        return view

    def among(self, pool: Container[str]) -> Ledger:
        """Return the same ledger whose labels are of images in `pool` alone; what was bought stays bought."""
        view = copy(self)
        view.pool = pool
        return view

    def append(self, entries: Iterable[Entry]) -> None:
        """Write one round's entries in one transaction. Raises BadInput where one of its images has one already."""
        self.chain.append(
            {
                "event": ENTRY, "id": e.id, "kind": e.kind, "label": e.label, "who": e.who, "at": e.at or _now(),
                "seconds": e.seconds, "round": e.round, "strategy": e.strategy, "score": e.score,
            }
            for e in entries
        )  # fmt: skip

    def say(self, said: Iterable[Said]) -> list[int]:
        """Write answers of people in one transaction, and return their positions."""
        return self.chain.append(
            {
                "event": SAID, "id": s.answer.id, "kind": s.answer.kind, "label": s.answer.label, "who": s.answer.who,
                "at": s.answer.at or _now(), "seconds": s.answer.seconds, "round": s.round, "via": s.via,
                "decides": int(s.decides),
            }
            for s in said
        )  # fmt: skip

    def undo(self, position: int, who: str) -> Said:
        """Take back the answer at `position` and return it.

        Raises BadInput where no answer stands there, or a finished round has taken it.
        """
        rows = self.chain.rows()
        found = next((one for one in said_of(rows) if one.position == position), None)
        if found is None:
            raise BadInput(f"{self.path}: no answer stands at position {position}; `ssal ledger log` lists them")
        place = (found.answer.id, found.round)
        if any(row["event"] == ENTRY and (row["id"], row["round"]) == place for row in rows[position:]):
            raise BadInput(
                f"{self.path}: round {found.round} has taken the answer at position {position} already; `ssal ledger "
                "correct` replaces it, and with 'cannot tell' the image is not trained on"
            )
        self.take_back([found], who)
        return found

    def take_back(self, said: Iterable[Said], who: str) -> None:
        """Take back answers that stand, in one transaction."""
        self.chain.append(
            {"event": UNDONE, "id": s.answer.id, "who": who, "at": _now(), "about": str(s.position)} for s in said
        )

    def rename(self, old: str, new: str, who: str) -> int:
        """Call the class `old` `new` in all that was answered so far; return of how many images that is.

        Two classes become one where `new` is one already. Raises BadInput where no label is called `old`.
        """
        called = {(entry.id, entry.label) for entry in self.entries()}
        called |= {(one.answer.id, one.answer.label) for one in self.said()}
        images = sum(label == old for _, label in called)
        if old == new:
            raise BadInput(f"{self.path}: expected two different names, got {old!r} twice")
        if not images:
            known = sorted({name for _, name in called if name is not None})
            raise BadInput(f"{self.path}: no label is called {old!r}{nearest(old, known)} (labels: {', '.join(known)})")
        self.chain.append([{"event": RENAMED, "label": new, "who": who, "at": _now(), "about": old}])
        return images

    def set_aside(self, path: Path) -> None:
        """Move the ledger to `path`, with all that a killed process has left in its write-ahead log."""
        self.chain.set_aside(path)

    def said(self, undone: bool = False) -> list[Said]:
        """Return every answer of people in the order in which they came; with `undone` those taken back as well."""
        return said_of(self.chain.rows(), undone)

    def settled(self) -> dict[tuple[str, int], Answer | None]:
        """Return what the answers to every image come to, by id and round; None where people disagree."""
        return settled_of(self.said())

    def entries(self) -> list[Entry]:
        """Return every entry in the order it was written, as answers that came later have corrected it."""
        rows = self.chain.rows()
        names, later = Names(rows), settled_of(said_of(rows))
        entries = []
        for row in rows:
            if row["event"] != ENTRY:
                continue
            label = names.of(row["label"], row["position"])
            entry = Entry(
                row["id"], label, row["who"], row["round"], row["strategy"], row["score"], row["at"], row["kind"],
                row["seconds"],
            )  # fmt: skip
            now = later.get((entry.id, entry.round))
            if now is not None and now.kind != SKIPPED and (now.kind, now.label) != (entry.kind, entry.label):
                entry = replace(entry, label=now.label, kind=now.kind, who=now.who, at=now.at, seconds=now.seconds)
            entries.append(entry)
        return [e for e in entries if self.end is None or e.round < self.end or e.strategy == GIVEN]

    def columns(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return the facts of a file with a column per class: the `classes` as numbered, and when one was `renamed`."""
        renamed = max((row["position"] for row in self.chain.rows() if row["event"] == RENAMED), default=0)
        return {"classes": list(self.class_numbers(classes)), "renamed": renamed}

    def called_now(self, facts: Mapping[str, Any]) -> list[str]:
        """Return what the classes in such facts are called now."""
        now = Names(self.chain.rows())
        return [now.of(name, facts.get("renamed", 0)) or name for name in facts["classes"]]

    def _there(self) -> Iterator[Entry]:
        return (entry for entry in self.entries() if self.pool is None or entry.id in self.pool)

    def labels(self) -> dict[str, str]:
        """Return class name by image id, in the order the labels came; images of none of the classes have none.

        This is all that training and signals see of the answers: those of the audit slice are not among them.
        """
        return {e.id: e.label for e in self._there() if e.label is not None and e.strategy != AUDIT}

    def audited(self) -> dict[str, str]:
        """Return class name by id of the images that were drawn at random to measure accuracy, and have a class."""
        return {e.id: e.label for e in self._there() if e.label is not None and e.strategy == AUDIT}

    def of_no_class(self) -> set[str]:
        """Return the ids of images that were found to be of none of the classes, those of the audit slice left out."""
        return {e.id for e in self._there() if e.kind == NONE and e.strategy != AUDIT}

    def not_trained_on(self) -> set[str]:
        """Return the ids of answered images that no learner sees in training at all: of no class, or audited."""
        return {e.id for e in self._there() if e.kind == NONE or e.strategy == AUDIT}

    def answered(self) -> set[str]:
        """Return the ids of all images that need not be asked for again, those of none of the classes among them."""
        return {e.id for e in self.entries() if e.kind != SKIPPED}

    def bought(self) -> int:
        """Return how many answers were asked for, whatever they are; what the project started with costs nothing."""
        return sum(entry.strategy != GIVEN for entry in self.entries())

    def asked_in(self, round_number: int) -> list[Entry]:
        """Return the entries of one round."""
        return [e for e in self.entries() if e.round == round_number and e.strategy != GIVEN]

    def rounds_taken(self) -> set[int]:
        """Return the rounds that have entries; labels that the project started with are of none."""
        return self.chain.rounds_taken(apart_from=GIVEN)

    def class_numbers(self, classes: Sequence[str]) -> dict[str, int]:
        """Return the number of every class, in the order of first label; those never seen follow by name.

        Numbers thus follow from what was asked, and class names, which are folder names, move nothing.
        """
        return numbers_of(self.labels().values(), classes)

    def numbered(self, classes: Sequence[str]) -> dict[str, int]:
        """Return class number by image id."""
        numbers = self.class_numbers(classes)
        return {id: numbers[label] for id, label in self.labels().items()}


def said_of(rows: Sequence[dict[str, Any]], undone: bool = False) -> list[Said]:
    """Return the answers in rows of the ledger, under the names that classes have now; `undone` as in Ledger.said."""
    names = Names(rows)
    gone = set() if undone else {int(row["about"]) for row in rows if row["event"] == UNDONE}
    return [
        Said(
            Answer(
                row["id"], row["kind"], names.of(row["label"], row["position"]), row["who"], row["seconds"], row["at"]
            ),
            row["round"],
            row["via"],
            bool(row["decides"]),
            row["position"],
        )
        for row in rows
        if row["event"] == SAID and row["position"] not in gone
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
