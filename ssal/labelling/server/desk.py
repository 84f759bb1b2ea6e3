"""Desk: what is asked of whom next, and what was answered; the one place that writes into the ledger for the page."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssal.labelling.answers import SKIPPED, Answer
from ssal.labelling.following import Following
from ssal.labelling.ledger import Ledger, Said
from ssal.labelling.server.leases import Leases
from ssal.labelling.server.question import Question, Shown
from ssal.labelling.settle import lacking, looks, person

HAND = 4
"""The image that is shown and the next three, which the page fetches ahead."""
GRID = 60
"""Most images side by side."""
RECENT = 12
"""How many of a person's last answers the page lists."""
PACE = 20
"""From how many of a person's last answers the pace is taken."""
FRESH, PASSED_ON, MY_SKIPPED = range(3)
"""Not yet looked at; skipped by others; skipped by who asks. Images are offered in this order."""
VIA = "page"


class Desk:
    """One question, its answers so far, and who is at which image; safe to call from several threads."""

    def __init__(self, question: Question, key: str, folder: Path, ledger: Path) -> None:
        """Read what was answered before; `key` is that of the question."""
        self.folder = folder
        self._ledger = Ledger(ledger)
        self.key = f"{key}-{self._ledger.chain.number:x}"
        """What a page calls this question by; with another ledger the same question has another."""
        self._following = Following(self._ledger.chain, question.round)
        self._leases = Leases()
        self._numbers = {image.id: number for number, image in enumerate(question.images)}
        self._lock = threading.Lock()
        self.renew(question)

    def renew(self, question: Question) -> None:
        """Take what the run has written anew of the same images: other classes, or how many people are asked."""
        with self._lock:
            self._written, self._renamings = question, -1
            self._two = [number for number, image in enumerate(question.images) if image.people == 2]
            self._catch_up()

    def _catch_up(self) -> None:
        """Read what was written since the last look; classes are called as they are called now."""
        self._following.catch_up()
        if self._renamings != self._following.renamings:
            self._renamings = self._following.renamings
            self.question = self._written.called(self._called_now)

    def _called_now(self, label: str) -> str:
        return self._following.called_now(label, self._written.position)

    def class_of(self, label: str | None) -> str | None:
        """Return the class that a page means, which may know it by an earlier name; None where it is none."""
        with self._lock:
            self._catch_up()
            known = self.question.classes
            found = label if label is None or label in known else self._called_now(label)
            return found if found in known else None

    def look(self, who: str, look: str, label: str | None = None, number: int | None = None) -> dict[str, Any]:
        """Return images for `who` to look at, which nobody else is then shown for a while, and how far all is.

        `look` is queue, skipped, third (what people disagree on), grid (all that the model takes for `label`; those
        without a suggestion where it is None) or again (the image `number`, answered or not).
        """
        with self._lock:
            self._catch_up()
            free = [n for n in range(len(self.question.images)) if self._leases.free(n, person(who))]
            shown = {*free, *self._two}  # both may be at it at once
            stages = {n: stage for n in shown if (stage := self._stage(who, n)) is not None}
            queue = sorted((n for n in stages if stages[n] != MY_SKIPPED), key=lambda n: (stages[n], n))
            if look == "again" and number is not None:
                hand = [number]
            elif look == "third":
                hand = [n for n in free if self._differ(n)][:HAND]
            elif look == "grid":
                hand = [n for n in queue if suggested(self.question.images[n]) == label][:GRID]
            elif look == "skipped":
                skipped = {n: one.position for n in stages if stages[n] == MY_SKIPPED and (one := self._mine(who, n))}
                hand = sorted(skipped, key=skipped.__getitem__)[:HAND]
            else:
                hand = queue[:HAND]
            self._leases.take(hand, person(who))
            return {
                "images": [self._view(n, who, everybody=look == "third") for n in hand],
                "progress": self._progress(who, len(queue)),
                "groups": self._groups(queue),
                "recent": self._recent(who),
                "classes": self.question.classes,
            }

    def answer(self, who: str, answers: Mapping[int, Answer], decides: bool = False) -> list[int]:
        """Write answers by image number, all or none, and return their positions; they are on disk by then.

        What a page says twice, because it did not hear back, is written once. Raises BadInput where the ledger cannot
        be written; then nothing was.
        """
        with self._lock:
            self._catch_up()
            standing = {number: self._mine(who, number) for number in answers}
            positions = {
                number: one.position
                for number, a in answers.items()
                if (one := standing[number])
                and (one.answer.kind, one.answer.label, one.answer.seconds) == (a.kind, a.label, a.seconds)
                and one.decides == self._settles(who, number, decides)
            }
            new = {
                number: Said(a, self.question.round, VIA, self._settles(who, number, decides))
                for number, a in answers.items()
                if number not in positions
            }
            if new:
                positions.update(zip(new, self._ledger.say(new.values()), strict=True))
            return list(positions.values())

    def undo(self, who: str, positions: Sequence[int] | None) -> list[dict[str, Any]]:
        """Take back those of the person's own answers that stand there, or the last one, and return what they were.

        What the run has taken stays, and can be answered again.
        """
        with self._lock:
            self._catch_up()
            own = {one.position: one for one in self._by(who) if one.position > self._following.taken_at}
            wanted = sorted(own)[-1:] if positions is None else [p for p in positions if p in own]
            taken = [own[position] for position in wanted]
            if taken:
                self._ledger.take_back(taken, who)
            return [self._told(one) | {"number": self._numbers[one.answer.id]} for one in taken]

    def taken(self) -> list[tuple[int, int, Answer]]:
        """Return (position of its last answer, image's number, what stands) of every image that people answered."""
        with self._lock:
            self._catch_up()
            settled = {id: answer for id, answer in self._following.settled.items() if id in self._numbers}
            return [
                (self._following.said[id][-1].position, self._numbers[id], answer)
                for id, answer in settled.items()
                if answer and answer.kind != SKIPPED
            ]

    @property
    def replaced(self) -> bool:
        """Say whether another ledger lies in its place: the project was started anew, or a backup put back."""
        return self._ledger.chain.replaced

    def finished(self) -> bool:
        """Say whether the run has taken the answers."""
        with self._lock:
            self._catch_up()
            return self._following.finished

    def _said(self, number: int) -> list[Said]:
        return self._following.said.get(self.question.images[number].id, [])

    def _settles(self, who: str, number: int, decides: bool) -> bool:
        """Say whether an answer settles what an image is.

        So does a third look at what people differ on, an answer in place of one's own third look, and a correction of
        what the run has taken.
        """
        mine = self._mine(who, number)
        return (decides and (self._following.finished or self._differ(number))) or bool(mine and mine.decides)

    def _by(self, who: str) -> list[Said]:
        """Return all that `who` said, in the order in which it came."""
        me = person(who)
        found = [one for said in self._following.said.values() for one in said if person(one.answer.who) == me]
        return sorted((one for one in found if one.answer.id in self._numbers), key=lambda one: one.position)

    def _mine(self, who: str, number: int) -> Said | None:
        me = person(who)
        return next((one for one in reversed(self._said(number)) if person(one.answer.who) == me), None)

    def _differ(self, number: int) -> bool:
        id = self.question.images[number].id
        return id in self._following.settled and self._following.settled[id] is None

    def _answers(self, number: int) -> list[Answer]:
        return [one.answer for one in self._said(number)]

    def _stage(self, who: str, number: int) -> int | None:
        """Return when an image is offered to `who`; None where it is not."""
        if not self._said(number):
            return FRESH
        people = {person(one.who) for one in self._answers(number)}
        lookers = looks(self._answers(number)).keys()
        if person(who) in lookers or len(lookers) >= self.question.images[number].people:
            return None
        return MY_SKIPPED if person(who) in people else PASSED_ON if people - lookers else FRESH

    def _view(self, number: int, who: str, everybody: bool) -> dict[str, Any]:
        image = self.question.images[number]
        return image.model_dump(exclude={"file", "neighbours"}) | {
            "number": number,
            "neighbours": [{"file": one.file, "label": one.label} for one in image.neighbours],
            "said": [
                self._told(one) for one in self._said(number) if everybody or person(one.answer.who) == person(who)
            ],
        }

    def _told(self, one: Said) -> dict[str, Any]:
        return {"who": one.answer.who, "kind": one.answer.kind, "label": one.answer.label}

    def _progress(self, who: str, left: int) -> dict[str, Any]:
        settled = [
            self._following.settled[image.id] for image in self.question.images if image.id in self._following.settled
        ]
        kinds = [answer.kind for answer in settled if answer]
        lacks = [lacking(self._answers(number), 2) for number in self._two]
        mine = self._by(who)
        measured = [one.answer.seconds for one in mine if one.answer.seconds is not None]
        return {
            "images": len(self.question.images),
            "answered": len(kinds) - kinds.count(SKIPPED),
            "skipped": kinds.count(SKIPPED),
            "differ": settled.count(None),
            "second": lacks.count(1),
            "left": left,
            "mine": len({one.answer.id for one in mine if one.answer.kind != SKIPPED}),
            "my_skipped": sum(
                self._stage(who, self._numbers[id]) == MY_SKIPPED for id in {one.answer.id for one in mine}
            ),
            "pace": sum(measured[-PACE:]) / len(measured[-PACE:]) if measured else None,
            "minutes": sum(measured) / 60,
            "done": len(settled) == len(self.question.images) and None not in settled and not any(lacks),
            "taken": self._following.finished,
        }

    def _groups(self, queue: Iterable[int]) -> list[dict[str, Any]]:
        """Return how many waiting images the model takes for each class; None counts those it says nothing of."""
        labels = [suggested(self.question.images[number]) for number in queue]
        order: list[str | None] = [*self.question.classes, None]
        return [{"label": label, "images": labels.count(label)} for label in order if label in labels]

    def _recent(self, who: str) -> list[dict[str, Any]]:
        last = {one.answer.id: one for one in self._by(who)}
        ordered = sorted(last.values(), key=lambda one: -one.position)[:RECENT]
        return [self._told(one) | {"number": self._numbers[one.answer.id]} for one in ordered]


def suggested(image: Shown) -> str | None:
    """Return the class that the model takes an image for; None where it says nothing."""
    return image.suggestions[0][0] if image.suggestions else None
