"""A question that a run has prepared for people: a folder of question.json and images that were encoded anew."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ssal.errors import BadInput, counted, listing, nearest
from ssal.labelling.ledger import Ledger
from ssal.names import recipe_name, typed

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*\.webp$")]
Name = Annotated[str, Field(min_length=1)]
FILE = "question.json"
MOST_BYTES = 32 * 2**20
"""No image of at most 1,600 pixels a side is larger."""


class Part(BaseModel):
    """Strict: nothing is taken for what it is not, and nothing that has no meaning is let by."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Neighbour(Part):
    """An image with a label that is similar to one that is asked about."""

    file: FileName
    label: Name
    id: str = ""


class Shown(Part):
    """One image that is asked about."""

    id: Name
    path: str
    """For people to read; never opened."""
    file: FileName
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    suggestions: tuple[tuple[Name, Annotated[float, Field(ge=0, le=1)]], ...] = ()
    """Classes with the model's probability, likeliest first; empty without a model."""
    why: str = ""
    """Why this image is asked about."""
    neighbours: tuple[Neighbour, ...] = ()
    people: int = Field(1, ge=1, le=2)
    """How many people are each asked about it."""


class Question(Part):
    """The images of one round that wait for people's answers."""

    round: int = Field(ge=0)
    classes: tuple[Name, ...] = Field(min_length=1)
    chosen_by: str
    images: tuple[Shown, ...] = Field(min_length=1)
    position: int = Field(0, ge=0)
    """The ledger's last row when this was written: classes that were renamed later stand here under their old names."""

    @model_validator(mode="after")
    def _agree(self) -> Question:
        """Hold the parts together."""
        ids = [image.id for image in self.images]
        if len(set(ids)) < len(ids) or len(set(self.classes)) < len(self.classes):
            raise ValueError("an id or a class stands there twice")
        return self

    def called(self, now: Callable[[str], str]) -> Question:
        """Return the same question with every class by what it is called `now`; of two that became one, the first."""

        def shown(image: Shown) -> Shown:
            suggestions: dict[str, float] = {}
            for name, share in image.suggestions:
                suggestions.setdefault(now(name), share)
            near = tuple(one.model_copy(update={"label": now(one.label)}) for one in image.neighbours)
            return image.model_copy(update={"suggestions": tuple(suggestions.items()), "neighbours": near})

        classes = tuple(dict.fromkeys(map(now, self.classes)))
        return self.model_copy(update={"classes": classes, "images": tuple(map(shown, self.images))})


def read_question(folder: Path) -> tuple[Question, str]:
    """Return the question in `folder` and a key that follows from its images and their numbers.

    Raises BadInput where question.json is not whole, or a file that it names is not an image of its own.
    """
    path = folder / FILE
    try:
        question = Question.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        told = _told(error) if isinstance(error, ValidationError) else str(error)
        raise BadInput(f"{path}: {told}; remove {folder} and run the recipe again, which makes it anew") from error
    named = {image.file for image in question.images} | {n.file for image in question.images for n in image.neighbours}
    missing = sorted(name for name in named if (folder / name).is_symlink() or not (folder / name).is_file())
    if missing:
        told = f"{counted(len(missing), 'image is', 'images are')} not there ({listing(missing)})"
        raise BadInput(f"{folder}: {told}; remove {folder} and run the recipe again, which makes it anew")
    key = json.dumps([str(folder), *([image.id, image.file] for image in question.images)])
    return question, hashlib.sha256(key.encode()).hexdigest()[:16]


def read_image(path: Path) -> bytes:
    """Return the bytes of an image that a question names; raises OSError for what is no plain file of its size."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        found = file.read(MOST_BYTES + 1)
    if len(found) > MOST_BYTES:
        raise OSError(f"{path}: larger than {MOST_BYTES >> 20} MiB")
    return found


@dataclass(frozen=True)
class Cell:
    """One arm with one seed, whose run may wait for people."""

    folder: Path
    arm: str
    seed: int

    @property
    def ledger(self) -> Path:
        """Where its answers are kept."""
        return self.folder / "ledger.sqlite"

    def questions(self) -> dict[int, Path]:
        """Return the folder of every question that was ever prepared, by its round."""
        return {int(path.parent.parent.name[6:]): path.parent for path in self.folder.glob(QUESTION) if _counted(path)}

    def question(self) -> Path | None:
        """Return the folder of the question that waits for answers, the first that no run has taken, or None."""
        found = self.questions()
        taken = Ledger(self.ledger).rounds_taken() if found else set()
        return next((found[number] for number in sorted(found) if number not in taken), None)


QUESTION = f"round_*/question/{FILE}"


def find_cell(
    recipe: Path, checkpoints: Path, arm: str = "", seed: int | None = None, overrides: Sequence[str] = ()
) -> Cell:
    """Return the first cell of a recipe that waits for people, of those with that arm and seed.

    Recipe and `overrides` are read for the name alone: what checks them whole imports torch. Raises BadInput where none
    waits.
    """
    folder = checkpoints / recipe_name(recipe, overrides)
    cells = [
        Cell(path, path.parent.name, int(path.name[5:]))
        for path in folder.glob("*/seed_*")
        if path.name[5:].isdecimal() and any(path.glob(QUESTION))
    ]
    asked = sorted(
        (cell for cell in cells if arm in ("", cell.arm) and seed in (None, cell.seed)),
        key=lambda cell: (cell.arm, cell.seed),
    )
    for cell in asked:
        if cell.question():
            return cell
    others = [f"--arm {cell.arm} --seed {cell.seed}" for cell in cells if cell not in asked and cell.question()]
    if others:
        hint = nearest(arm, {cell.arm for cell in cells}) if arm else ""
        raise BadInput(f"{folder}: nothing waits for that arm and seed{hint}; type one of: {listing(others)}")
    raise BadInput(
        f"{folder}: no image waits for an answer; type `ssal run {typed(recipe, overrides, checkpoints)}`, which asks "
        "when it needs people. `ssal ledger correct` corrects what was answered before"
    )


def _counted(path: Path) -> bool:
    return path.parent.parent.name[6:].isdecimal()


def _told(error: ValidationError) -> str:
    problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    return listing(problems, 5)
