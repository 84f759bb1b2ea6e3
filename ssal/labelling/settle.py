"""What the answers of several people to one image come to, and which images a round still waits for."""

from __future__ import annotations

import getpass
import hashlib
import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ssal.errors import counted
from ssal.labelling.answers import SKIPPED, Answer
from ssal.labelling.files.words import plain

if TYPE_CHECKING:
    from ssal.labelling.ledger import Said


@lru_cache(maxsize=1024)  # a round has few names and many answers
def person(who: str) -> str:
    """Return who somebody is, by their name: whatever its case and spaces it is one person's."""
    return plain(who)


def this_user() -> str:
    """Return the name of the user of this machine; in a container there may be none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the former before Python 3.13
        return f"user {os.getuid()}"


def looks(answers: Iterable[Answer]) -> dict[str, Answer]:
    """Return what everybody who answered said last, by person; those who skipped have not answered."""
    last = {person(answer.who): answer for answer in answers}
    return {who: answer for who, answer in last.items() if answer.kind != SKIPPED}


def settle(answers: Sequence[Answer]) -> Answer | None:
    """Return what `answers` to one image, in the order they came, come to; None where there is none, or no agreement.

    Of each person the last answer counts. Who skipped an image leaves it to the others. Answers that differ are settled
    by a third look, which stands alone here.
    """
    looked = list(looks(answers).values()) or list(answers)[-1:]
    if len({(answer.kind, answer.label) for answer in looked}) != 1:
        return None
    return looked[-1]


def settled_of(said: Iterable[Said]) -> dict[tuple[str, int], Answer | None]:
    """Return what answers come to, by id and round; None where people disagree."""
    of: dict[tuple[str, int], list[Said]] = {}
    for one in said:
        of.setdefault((one.answer.id, one.round), []).append(one)
    decided = {place: [one for one in all_of if one.decides][-1:] or all_of for place, all_of in of.items()}
    return {place: settle([one.answer for one in counting]) for place, counting in decided.items()}


class ThirdLooks:
    """Tells which answers of a file are third looks, which settle what people differ on."""

    def __init__(self, said: Sequence[Said], ever: Iterable[Said], number: int) -> None:
        """Know what stands as `said`, and what was `ever` said, taken back or not; of all rounds, `number` counts."""
        self.aside: list[Answer] = []
        """What was asked about and is no third look."""
        self._open = {id for (id, of), settled in settled_of(said).items() if of == number and settled is None}
        self._open |= {one.answer.id for one in said if one.round == number and one.decides}
        self._before = {_of_whom(one.answer) for one in ever if one.round == number}

    def counts(self, answer: Answer) -> bool:
        """Say whether an answer is of an image on which people differ, or that had a third look, and says something.

        Skipping says nothing, nor does repeating what the same person has said of the image. Who is not named may
        repeat: nobody knows who that is.
        """
        repeated = bool(answer.who) and _of_whom(answer) in self._before
        if answer.id in self._open and answer.kind != SKIPPED and not repeated:
            return True
        self.aside.append(answer)
        return False


def _of_whom(answer: Answer) -> tuple[str, str, str, str | None]:
    return answer.id, person(answer.who), answer.kind, answer.label


def shared_by_two(ids: Iterable[str], share: float) -> set[str]:
    """Return the share of `ids` that two people are each asked about: the first ones by a hash, whatever the order.

    The ids are all that a round has chosen, those that are gone since among them, so that none joins or leaves.
    """
    ordered = sorted(ids, key=lambda id: hashlib.sha256(id.encode()).digest())
    return set(ordered[: round(share * len(ordered))])


def lacking(answers: Sequence[Answer], people: int) -> int:
    """Return how many more of the `people` who are asked about an image have to answer it.

    Skipping is no answer; but what all of them have skipped is left as skipped.
    """
    return max(0, people - (len(looks(answers)) or len({person(answer.who) for answer in answers})))


@dataclass(frozen=True)
class Outcome:
    """What the answers to a round's images come to so far."""

    answers: dict[str, Answer]
    """Of the images whose answers are complete, by id."""
    waiting: list[str]
    """The images that are there and still lack answers; those of the two lists below are among them."""
    differ: list[str]
    """Where people disagree."""
    second: list[str]
    """Where one of two people has looked."""

    @property
    def unanswered(self) -> list[str]:
        """Where nobody has looked."""
        looked = {*self.differ, *self.second}
        return [id for id in self.waiting if id not in looked]

    def words(self) -> str:
        """Return how many images wait, and for what; to be said only where some do."""
        wait_for = {
            "for labels": len(self.unanswered),
            "for a third look (people differ)": len(self.differ),
            "for a second person (where there is none: labelling.asked_of_two=0)": len(self.second),
        }
        parts = {what: count for what, count in wait_for.items() if count}
        told = counted(len(self.waiting), "image waits", "images wait")
        if len(parts) == 1:
            return f"{told} {next(iter(parts))}"
        return f"{told}: {', '.join(f'{count} {what}' for what, count in parts.items())}"

    def ways(self) -> list[str]:
        """Return how files, which the page can always stand in for, bring what somebody's look has not settled."""
        return [
            *(["take a third look from a file with ssal answers --decides"] if self.differ else ()),
            *(["take a second person's file with ssal answers --who NAME"] if self.second else ()),
        ]


def outcome(ids: Iterable[str], there: Container[str], said: Iterable[Said], number: int, share: float) -> Outcome:
    """Return what people `said` of the images `ids` of round `number`, a `share` of which two people answer.

    Images that are no longer `there` are not waited for.
    """
    ids = list(ids)
    two = shared_by_two(ids, share)
    of: dict[str, list[Said]] = {}
    for one in said:
        if one.round == number:
            of.setdefault(one.answer.id, []).append(one)
    settled = {id: answer for (id, _), answer in settled_of(one for all_of in of.values() for one in all_of).items()}
    lack = {id: lacking([one.answer for one in of.get(id, ())], 1 + (id in two)) for id in ids}
    answers = {id: answer for id in ids if not lack[id] and (answer := settled.get(id))}
    waiting = [id for id in ids if id in there and id not in answers]
    return Outcome(
        answers,
        waiting,
        differ=[id for id in waiting if id in settled and settled[id] is None],
        second=[id for id in waiting if lack[id] == 1 and id in two],
    )
