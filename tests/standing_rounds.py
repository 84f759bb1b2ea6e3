"""A round as it stands, with a learner of features or one of images, for tests that ask every strategy at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tiny_runs import NAMES, recipe, small, small_signals
from torch import Tensor

from ssal.artefacts import write_tensors
from ssal.cells import cells_of
from ssal.data.images import Images, ImageSet
from ssal.labelling.ledger import Entry, Ledger
from ssal.learner.train import train
from ssal.pretext.pretrain import pretrain
from ssal.recipe import Arm
from ssal.standing import Standing

LEARNERS = ("linear_probe", "fixmatch")
"""One that sees the encoder's features, and one that sees images, has dropout and trains the companion head."""


def sections(learner: str, **of_fitted: Any) -> dict[str, Any]:
    """Return a recipe's sections in which a learner serves all strategies that it can.

    `of_fitted` are options of all sources that are fitted by steps.
    """
    images = learner != "linear_probe"
    signals = {name: {**options, **of_fitted} for name, options in small_signals().items()}
    return {
        "learner": small("learner", learner) | ({"dropout": 0.5} if images else {}),
        "signals": signals | ({"loss_prediction": {}} if images else {}),
        "pretext": small("pretext", "simclr"),
        "trainer": {"accelerator": "cpu", "precision": "32-true"},
    }


def noise(count: int) -> Tensor:
    """Return `count` pictures of noise."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)


def pool_of(pixels: Tensor) -> Images:
    """Return a data set of four classes without test images."""
    pool = ImageSet([f"{row:016x}" for row in range(len(pixels))], [""] * len(pixels), pixels)
    hidden = {id: NAMES[row % 4] for row, id in enumerate(pool.ids)}
    half = torch.full((3,), 0.5)
    tag = f"{len(pixels)} pictures of {int(pixels.sum())}"
    return Images(
        pool, ImageSet((), (), pixels[:0]), tuple(sorted(NAMES)), half, half / 2, hidden, {}, (), tag, False, {}
    )


def standing_round(
    folder: Path, learner: str, images: Images, labelled: Iterable[int], previous: bool = True, **of_fitted: Any
) -> Standing:
    """Return round 1 with a trained learner and, unless `previous` is false, what one of round 0 would have left."""
    (cell,) = cells_of(recipe(folder / "tiny.yaml", **sections(learner, **of_fitted)), folder)
    arm: Arm = cell.arm
    ledger = Ledger(folder / "ledger.sqlite")
    ids = [images.pool.ids[row] for row in labelled]
    ledger.append(Entry(id, images.hidden[id], "oracle", 0, "random") for id in ids)
    encoder = pretrain(images, folder, **arm.encoder(0))
    learned = train(
        *(encoder, images, ledger, 1, folder, 0, arm.trainer),
        method=arm.learner_method,
        options=arm.learner,
        companions=arm.companions,
    )
    assert learned
    before = folder / "before.safetensors"
    said = torch.rand(len(images.pool), 4, generator=torch.Generator().manual_seed(1)).softmax(dim=1)
    write_tensors(before, {"probabilities": said}, classes=list(ledger.class_numbers(images.classes)))
    return Standing(cell, 1, images, ledger, encoder, learned, before if previous else None)
