"""A question folder as a run prepares it, with drawn digits as images."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from ssal.labelling.ledger import Entry, Ledger
from ssal.labelling.settle import shared_by_two

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAME = "signs"


def cell_of(checkpoints: Path, arm: str = "margin", seed: int = 0) -> Path:
    return checkpoints / NAME / arm / f"seed_{seed}"


def recipe_in(folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(f"name: {NAME}\nseeds: [0]\n")
    return path


def write_question(
    cell: Path,
    number: int = 0,
    images: int = 12,
    side: int = 64,
    classes: tuple[str, ...] = DIGITS,
    suggests: bool = True,
    asked_of_two: float = 0.0,
    begin: int = 0,
) -> Path:
    """Write a question of `images` digits from number `begin` on; return its folder. A `path` holds the true digit."""
    folder = cell / f"round_{number}" / "question"
    folder.mkdir(parents=True)
    Ledger(cell / "ledger.sqlite")
    shown = []
    for at in range(images):
        row = begin + at
        save(folder / f"{at:04}.webp", row, side)
        digit, other = classes[row % 10 % len(classes)], classes[(row + 1) % 10 % len(classes)]
        one: dict[str, Any] = {"id": hashlib.sha256(f"{begin + at}".encode()).hexdigest()[:16]}
        one |= {"path": f"photos/{digit}_{begin + at:05}.png", "file": f"{at:04}.webp", "width": side, "height": side}
        one |= {"suggestions": [], "why": "", "neighbours": []}
        if suggests:
            one |= {"suggestions": [[digit, 0.41 + at % 5 / 10], [other, 0.1]], "why": f"unsure: {digit} or {other}"}
            for near in range(2):
                save(folder / f"n_{at:04}_{near}.webp", row + 10 * near + 10, 32)
                one["neighbours"].append({"id": "", "file": f"n_{at:04}_{near}.webp", "label": digit})
        shown.append(one)
    two = shared_by_two([one["id"] for one in shown], asked_of_two)
    for one in shown:
        one["people"] = 1 + (one["id"] in two)
    question = {"round": number, "position": 0, "classes": list(classes), "images": shown}
    write_json(folder, question | {"chosen_by": "margin; one in ten is drawn at random to measure accuracy"})
    return folder


def save(path: Path, row: int, side: int) -> None:
    """Draw the last digit of `row`, turned by an angle of its own."""
    drawn = Image.new("L", (side, side), 245)
    ImageDraw.Draw(drawn).text((side / 2, side / 2), str(row % 10), 20, ImageFont.load_default(0.7 * side), anchor="mm")
    drawn.rotate(row * 37 % 31 - 15, fillcolor=245).save(path, "WEBP")


def write_json(folder: Path, question: dict[str, Any]) -> None:
    (folder / "question.json").write_text(json.dumps(question))


def read_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "question.json").read_text())


def finish(cell: Path, number: int) -> None:
    """Do what a run does with answers that are complete: write the round's entries."""
    ledger = Ledger(cell / "ledger.sqlite")
    ledger.append(
        Entry(id, answer.label, answer.who, number, "margin", kind=answer.kind)
        for (id, at), answer in ledger.settled().items()
        if answer and at == number
    )
