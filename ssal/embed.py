"""Encoders on their own: train them, or write their features for use elsewhere."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import torch

from ssal.artefacts import write_text, writing
from ssal.cells import images_of
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import pretrain
from ssal.recipe import Recipe


def encoders_of(recipe: Recipe, checkpoints: Path) -> dict[str, tuple[Encoder, Images]]:
    """Return the recipe's encoders by `arm seed s`, each trained once; arms that share one are named together.

    Raises BadInput where no arm has a pretext or ready weights.
    """
    named: dict[str, tuple[list[str], Encoder, Images]] = {}
    for arm in recipe.arms.values():
        images = images_of(arm, checkpoints)
        for seed in arm.seeds:
            encoder = pretrain(images, checkpoints, **arm.encoder(seed))
            if encoder.ready:
                named.setdefault(encoder.fingerprint, ([], encoder, images))[0].append(f"{arm.name} seed {seed}")
    if not named:
        raise BadInput(f"{recipe.path}: no arm trains an encoder; type pretext.method=simclr, or backbone.weights=FILE")
    return {", ".join(names): (encoder, images) for names, encoder, images in named.values()}


def write_embeddings(recipe: Recipe, checkpoints: Path, out: Path) -> list[Path]:
    """Write each encoder's features as `<fingerprint>.npy` with a CSV of id, path, label and split beside it.

    The pair is what `data: {source: embeddings, path: …}` reads; a label column that was hidden in the benchmark is
    hidden again there.
    """
    written = []
    for encoder, images in encoders_of(recipe, checkpoints).values():
        features = encoder.features(images)
        known = {**images.hidden, **images.given, **dict(zip(images.test.ids, images.test_labels, strict=True))}
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["id", "path", "label", "split"])
        for part, images_of_part in (("train", images.pool), ("test", images.test)):
            for id, path in zip(images_of_part.ids, images_of_part.paths, strict=True):
                table.writerow([id, path, known.get(id, ""), part])
        rows = [features["pool"], features["test"].reshape(-1, features["pool"].shape[1])]
        target = out / f"{encoder.fingerprint}.npy"
        with writing(target) as temporary, temporary.open("wb") as file:
            np.save(file, torch.cat(rows).numpy())
        write_text(target.with_suffix(".csv"), text.getvalue())
        written.append(target)
    return written
