"""Which labels a person should look at again: those that similar images' labels disagree with, ranked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ssal.answered import LEDGER, answered
from ssal.artefacts import write_text
from ssal.cells import Cell, cells_named, images_of
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.labelling.ledger import Entry
from ssal.learner.label_quality import label_disagreement
from ssal.pretext.encoder import Encoder
from ssal.recipe import Recipe
from ssal.spreadsheet import read_table, table_text
from ssal.standing import encoder_of

log = logging.getLogger("ssal")
AUDIT = "audit.csv"
COLUMNS = ("rank", "id", "path", "label", "propagated", "disagreement")


@dataclass(frozen=True)
class Suspect:
    """A label beside what the labels of similar images say."""

    id: str
    path: str
    label: str
    propagated: str
    """Class that reaches the image, its own label left out; empty where none does."""
    disagreement: float | None
    """1 - share of its own label among all that reach it; None where none does, or it is the only one of its class."""

    @property
    def differs(self) -> bool:
        """Whether similar images say something else."""
        return self.propagated not in ("", self.label)


def audit(recipe: Recipe, checkpoints: Path, arm: str = "", seed: int | None = None) -> tuple[Path, list[Suspect]]:
    """Write audit.csv beside results.csv, every label of the run, the most doubtful first; return both.

    The labels are all that were answered, those of the audit slice and of the round that people are at among them, or
    those of `data.labels: given` before a first run. The graph is of one arm's encoder: the first arm that has one, and
    the first seed, unless named. Raises BadInput.
    """
    cell = _cell(recipe, checkpoints, arm, seed)
    images = images_of(cell.arm, checkpoints)
    known = labels_of(answered(cell.folder).entries) if (cell.folder / LEDGER).exists() else images.given
    check_classes(recipe, {id: label for id, label in known.items() if id in images.pool})
    images, encoder = encoder_of(cell, cell.arm, images, checkpoints)
    suspects = suspects_of(recipe, cell, images, encoder, known)
    target = checkpoints / recipe.name / AUDIT
    write_text(target, suspects_text(suspects))
    return target, suspects


def labels_of(entries: Sequence[Entry]) -> dict[str, str]:
    """Return class name by id of the images that have a class."""
    return {entry.id: entry.label for entry in entries if entry.label is not None}


def check_classes(recipe: Recipe, known: Mapping[str, str]) -> None:
    """Raise BadInput where labels are of fewer classes than can be compared."""
    if len(set(known.values())) < 2:
        raise BadInput(
            f"{recipe.path}: an audit compares labels of at least two classes, and this run has {len(known)} labels of "
            f"{len(set(known.values()))} classes; label more images, or type data.labels=given to audit a folder's own"
        )


def suspects_of(
    recipe: Recipe, cell: Cell, images: Images, encoder: Encoder, known: Mapping[str, str]
) -> list[Suspect]:
    """Return every label in `known` by image id, the most doubtful first; those of images that are gone are left aside.

    Raises BadInput where there is no encoder, or there are too few classes.
    """
    known = {id: label for id, label in known.items() if id in images.pool}
    check_classes(recipe, known)
    if not encoder.ready:
        raise BadInput(f"{recipe.path}: arm {cell.arm.name!r} has no encoder; type pretext.method=simclr")
    log.info("%d labels, answered by %s", len(known), cell.arm.labelling_note())
    names = sorted(set(known.values()))
    ids = sorted(known)
    rows = torch.tensor([images.pool.row(id) for id in ids])
    labels = torch.tensor([names.index(known[id]) for id in ids])
    found = label_disagreement(encoder.features(images)["pool"], rows, labels)
    suspects = []
    for place in found.order.tolist():
        number, path = int(found.propagated[place]), images.pool.paths[int(rows[place])]
        propagated = names[number] if number >= 0 else ""
        score = float(found.scores[place]) if number >= 0 else None
        suspects.append(Suspect(ids[place], path, known[ids[place]], propagated, score))
    return suspects


def suspects_text(suspects: Sequence[Suspect]) -> str:
    """Return suspects as CSV, ranked as they stand."""
    rows = (
        (rank, s.id, s.path, s.label, s.propagated, "" if s.disagreement is None else f"{s.disagreement:.6f}")
        for rank, s in enumerate(suspects, start=1)
    )
    return table_text(COLUMNS, rows)


def read_audit(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of `folder`/audit.csv whose label differs from what reaches the image; empty without the file."""
    if not (folder / AUDIT).exists():
        return []
    return [row for row in read_table(folder / AUDIT) if row["propagated"] not in ("", row["label"])]


def _cell(recipe: Recipe, checkpoints: Path, arm: str, seed: int | None) -> Cell:
    wanted = cells_named(recipe, checkpoints, arm, seed)
    ready = [cell for cell in wanted if cell.arm.pretext_method != "none" or cell.arm.backbone["weights"]]
    return (ready or wanted)[0]
