"""What every arm asked for, read once from the ledgers, and how sure its last learners are of the test images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ssal.artefacts import read_json, read_tensors
from ssal.cells import Cell, cells_of, images_of
from ssal.data.images import Images
from ssal.evaluation.metrics import Bins, by_confidence
from ssal.labelling.answers import SHOWN as SHOWN_AS
from ssal.labelling.ledger import GIVEN, Entry, Ledger, numbers_of
from ssal.project import of_others
from ssal.recipe import Recipe
from ssal.report.report import SHOWN, data_uri
from ssal.round import round_number

KEPT = "test.safetensors"
"""What a learner says of the test images, in its folder; written by ssal.learner.trained."""


@dataclass
class Asked:
    """What the arms of a recipe have asked for so far, by their whole names."""

    gallery: dict[str, list[tuple[int, list[dict[str, Any]], int]]] = field(default_factory=dict)
    """Arm -> (round, its first pictures, how many it asked for) of the first seed."""
    mix: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Arm -> labels per class and round, summed over seeds."""
    bought: dict[str, dict[int, list[frozenset[str]]]] = field(default_factory=dict)
    """Arm -> seed -> ids bought in each round, without those that the project started with."""
    askable: dict[str, int] = field(default_factory=dict)
    """Arm -> images of its pool that can be asked for."""
    sureness: dict[str, dict[int, tuple[int, Bins]]] = field(default_factory=dict)
    """Arm -> seed -> label count of its last learner, and the test images by that learner's confidence."""
    notes: list[str] = field(default_factory=list)
    """What the runs say of their data."""


def asked(recipe: Recipe, checkpoints: Path) -> Asked:
    """Read the ledger of every cell that has one."""
    found = Asked()
    for cell in cells_of(recipe, checkpoints):
        if not (cell.folder / "ledger.sqlite").exists() or of_others(cell.folder):
            continue
        images, arm = images_of(cell.arm, checkpoints), cell.arm.name
        found.notes += [line for line in images.summary() if line not in found.notes]
        entries = Ledger(cell.folder / "ledger.sqlite").entries()
        if not entries:
            continue
        last = max(entry.round for entry in entries)
        rounds = [[entry for entry in entries if entry.round == number] for number in range(last + 1)]
        _count(found.mix.setdefault(arm, []), rounds, images)
        found.bought.setdefault(arm, {})[cell.seed] = [
            frozenset(entry.id for entry in asked_for if entry.strategy != GIVEN) for asked_for in rounds
        ]
        found.askable[arm] = len(images.askable)
        if bins := _sureness(cell, entries, images, checkpoints):
            found.sureness.setdefault(arm, {})[cell.seed] = bins
        if cell.seed == recipe.seeds[0] and len(images.pool.shape) == 3:
            found.gallery[arm] = [
                (number, _pictures(images, asked_for), len(asked_for)) for number, asked_for in enumerate(rounds)
            ]
    return found


def _count(mix: list[dict[str, Any]], rounds: list[list[Entry]], images: Images) -> None:
    """Add one run's labels per class and round to those of its arm."""
    for number, entries in enumerate(rounds):
        if number >= len(mix):
            mix.append({"round": number, "counts": dict.fromkeys(images.classes, 0)})
        counts = mix[number]["counts"]
        for entry in entries:
            label = entry.label or SHOWN_AS[entry.kind]
            counts[label] = counts.get(label, 0) + 1


def _sureness(cell: Cell, entries: list[Entry], images: Images, checkpoints: Path) -> tuple[int, Bins] | None:
    """Return the label count of the last learner that was measured, and what it kept of the test images, in bins."""
    measured = max(cell.folder.glob("round_*/metrics.json"), key=lambda path: round_number(path.parent), default=None)
    facts = read_json(measured) if measured and len(images.test) else {}
    kept = checkpoints / "learners" / facts.get("learner_folder", "") / KEPT
    if not kept.is_file():
        return None
    known = [
        entry.label for entry in entries if entry.label and (entry.round < facts["round"] or entry.strategy == GIVEN)
    ]
    numbers = numbers_of(known, images.classes)
    truth = torch.tensor([numbers[name] for name in images.test_labels])
    return facts["labels"], by_confidence(read_tensors(kept)["probabilities"].double(), truth)


def _pictures(images: Images, entries: list[Entry]) -> list[dict[str, Any]]:
    """Return the first of them that are still there."""
    there = [entry for entry in entries if entry.id in images.pool]
    return [
        {
            "id": entry.id,
            "label": entry.label or SHOWN_AS[entry.kind],
            "score": entry.score,
            "data_uri": picture(images, entry.id),
        }
        for entry in there[:SHOWN]
    ]


def picture(images: Images, id: str) -> str:
    """Return one image of the pool as the report shows it."""
    return data_uri(images.pool.fetch(torch.tensor([images.pool.row(id)]))[0].cpu())
