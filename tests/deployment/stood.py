"""Rounds with a tiny learner of real digits, to write models from."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from tiny_runs import pictures, recipe, small, write_pictures
from torch import Tensor

from ssal import loop
from ssal.cells import cells_of
from ssal.data.images import Images
from ssal.evaluation.measure import measure
from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE
from ssal.labelling.ledger import Entry, Ledger
from ssal.learner.train import train
from ssal.pretext.pretrain import pretrain
from ssal.recipe import Recipe
from ssal.standing import Standing

EXACT = {"accelerator": "cpu", "precision": "32-true"}
WITHOUT = 2
"""Answers that name no class."""


@cache
def digits() -> Images:
    """Return 60 pictures of four digits to learn from and 24 for testing."""
    root = Path(mkdtemp(prefix="ssal_stood_"))
    return pictures(write_pictures(root / "pictures"), root)


def stood(folder: Path, learner: str, images: Images | None = None, **options: Any) -> tuple[Recipe, Standing]:
    """Return a recipe, and its first round with a learner of 32 answers: given ones, an oracle's and a person's."""
    images = images or digits()
    path = folder / "tiny.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    loaded = recipe(path, learner=small("learner", learner, **options) | options, trainer=EXACT)
    (cell,) = cells_of(loaded, folder)
    ledger = Ledger(cell.folder / "ledger.sqlite")
    rows = torch.linspace(0, len(images.pool) - 1, 32).long().tolist()
    ids = [images.pool.ids[row] for row in rows]
    how = [("folder", "given")] * 4 + [("oracle", "random")] * 20 + [("Ada", "margin")] * 8
    ledger.append(
        Entry(
            id,
            images.hidden[id] if place < len(ids) - WITHOUT else None,
            who,
            0,
            strategy,
            at=f"2026-01-{place + 1:02d}",
            kind=LABEL if place < len(ids) - WITHOUT else (NONE, CANNOT_TELL)[place % 2],
        )
        for place, (id, (who, strategy)) in enumerate(zip(ids, how, strict=True))
    )
    encoder = pretrain(images, folder, **cell.arm.encoder(0))
    learned = train(
        *(encoder, images, ledger, 0, folder, 0, cell.arm.trainer),
        method=cell.arm.learner_method,
        options=cell.arm.learner,
    )
    assert learned
    measure(learned, encoder, images, ledger, 0, (), {}, "cpu", cell.folder / "round_0")
    return loaded, Standing(cell, 0, images, ledger, encoder, learned, None)


def own_probabilities(stand: Standing) -> tuple[Tensor, Tensor]:
    """Return pixels of all test images and what the run's learner says of them."""
    rows = torch.arange(len(stand.images.test))
    said = loop.predict(stand.learner.learner, [stand.learner.images.test.fetch(rows)], stand.learner.trainer)
    return stand.images.test.fetch(rows), said["logits"].softmax(dim=1)
