"""A file of answers is taken whole or refused whole: what it says and every problem of it, collected to its end."""

from __future__ import annotations

import codecs
import logging
import os
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ssal.errors import BadInput, counted
from ssal.labelling.answers import SHOWN, SKIPPED, Answer
from ssal.labelling.files.asked import Asked
from ssal.labelling.files.questions import shown_path
from ssal.labelling.files.words import Unclear, Words, plain

log = logging.getLogger("ssal")

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""First bytes of a text -> its encoding. UTF-32 comes first, since its mark begins with that of UTF-16."""

LONGEST = 1000
"""Letters of a problem that are told: a damaged file may hold one cell of a megabyte."""


@dataclass
class Read:
    """What a file of answers says."""

    answers: dict[str, Answer]
    """By image id, in the order they were asked; only what is certain, and only of images that were asked for."""
    problems: list[str]
    """One line each: where, what was expected, what came, what to type."""
    notes: list[str] = field(default_factory=list)
    """What was mended on the way."""
    seconded: list[Answer] = field(default_factory=list)
    """Answers of other people who are named, the same ones but for images that two people are asked about."""


def accepted(read: Read, accept_valid: bool = False) -> dict[str, Answer]:
    """Return the answers of a file without problems, or with `accept_valid` those of the rest of it.

    Raises BadInput with all problems together otherwise: then nothing is taken.
    """
    for note in read.notes:
        log.warning("%s", note)
    if read.problems and not accept_valid:
        valid = (
            f", or take the {counted(len(read.answers), 'other answer')} with --accept-valid" if read.answers else ""
        )
        raise BadInput("\n".join([*read.problems, f"Nothing was taken. Mend what is listed and run again{valid}"]))
    for problem in read.problems:
        log.warning("%s; left out", problem)
    return read.answers


def decoded(data: bytes) -> str:
    """Return a text in UTF-8, or in what its byte-order mark says. Raises UnicodeDecodeError."""
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    return data.decode(encoding).removeprefix("\ufeff")


def content_of(path: Path) -> bytes:
    """Return the bytes of a file. Raises Unclear."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unclear(f"this file cannot be read ({os.strerror(error.errno or 0)}); name a file of answers") from error


class Reading:
    """Collects what one file says, and every problem of it, until all of it is known."""

    def __init__(
        self, file: Path, asked: Mapping[str, str], classes: Iterable[str], renamed: Mapping[str, str] | None = None
    ) -> None:
        """Begin with nothing heard. `renamed` gives the name that a class has now by those that it had."""
        self.file = file
        self.asked = Asked(asked)
        self.words = Words(classes, renamed)
        self.notes: list[str] = []
        self._said: list[tuple[int, str, Answer]] = []
        self._problems: list[tuple[int, str]] = []

    @contextmanager
    def at(self, line: int, where: str = "") -> Iterator[None]:
        """Note what is Unclear in the block as a problem of this line, or of the place `where`."""
        try:
            yield
        except Unclear as problem:
            text = " ".join(shown_path(f"{where or f'{self.file}:{line}'}: {problem}").splitlines())
            self._problems.append((line, text if len(text) <= LONGEST else f"{text[:LONGEST]} …"))

    def heard(self, answer: Answer, line: int, where: str = "") -> None:
        """Note one answer, and where it stands."""
        self._said.append((line, where, answer))

    def read(self, two: Container[str] = ()) -> Read:
        """Return all that is certain. Answers that contradict each other are a problem, and none of them is taken.

        Skipping says nothing of an image, so that it gives way to what others said of it. Of the images `two`, which
        two people are asked about, people who are named may differ.
        """
        answers: dict[str, Answer] = {}
        differing = set()
        for line, where, answer in self._said:
            first = answers.setdefault(answer.id, answer)
            if first.kind == SKIPPED:
                answers[answer.id] = answer
            elif answer.id in two and first.who and answer.who and plain(first.who) != plain(answer.who):
                continue
            elif answer.kind != SKIPPED and (first.kind, first.label) != (answer.kind, answer.label):
                differing.add(answer.id)
                with self.at(line, where):
                    raise Unclear(
                        f"image {answer.id} has two labels, {_by(first)} and {_by(answer)}; leave the right one alone"
                    )
        certain = {id: answers[id] for id in self.asked.ids if id in answers and id not in differing}
        others = {(a.id, plain(a.who)): a for _, _, a in self._said if a.id in certain and a.who}
        seconded = [
            answer
            for (id, who), answer in others.items()
            if who != plain(certain[id].who)
            and (
                (answer.kind, answer.label) == (certain[id].kind, certain[id].label)
                or (id in two and answer.kind != SKIPPED)
            )
        ]
        problems = [text for _, text in sorted(self._problems, key=lambda one: one[0])]
        earlier = [f"{self.file}: {old!r} is called {now!r} by now" for old, now in self.words.earlier.items()]
        return Read(certain, problems, [*self.notes, *earlier], seconded)


def _by(answer: Answer) -> str:
    return f"{answer.label or SHOWN[answer.kind]!r}" + (f" by {answer.who}" if answer.who else "")
