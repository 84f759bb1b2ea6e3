"""What the tests of files of answers share: images that were asked for, classes, and what people answered."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE, SKIPPED, Answer
from ssal.labelling.files.questions import Question
from ssal.labelling.files.reading import Read

CLASSES = ["cats", "Dogs", "naïve bird", "horse, wild", 'the "other"']
CONTENTS = {hashlib.sha256(data).hexdigest()[:16]: data for number in range(12) if (data := b"image %d" % number)}
ASKED = {id: f"train/unlabelled/picture {number}.png" for number, id in enumerate(CONTENTS)}
IDS = list(ASKED)
MEANINGS = [*((LABEL, name) for name in CLASSES), (NONE, None), (CANNOT_TELL, None), (SKIPPED, None)]
QUESTIONS = [Question(id, path) for id, path in ASKED.items()]
SAID = {id: MEANINGS[number % len(MEANINGS)] for number, id in enumerate(IDS[:10])}
"""(kind, label) by id: what people answered of ten images; they left two."""


def said(read: Read) -> dict[str, tuple[str, str | None]]:
    """Return what was read, in short; fails where there is a problem."""
    assert read.problems == []
    return meant(read.answers)


def meant(answers: dict[str, Answer]) -> dict[str, tuple[str, str | None]]:
    assert all(id == answer.id for id, answer in answers.items())
    return {id: (answer.kind, answer.label) for id, answer in answers.items()}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
