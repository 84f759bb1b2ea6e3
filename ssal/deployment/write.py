"""A round's learner to a folder that needs no run: weights, config, ONNX graph and model card, checked before."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import ssal
from ssal import loop
from ssal.artefacts import disk_errors, make_folder, write_json, write_tensors, write_text
from ssal.cells import cells_named
from ssal.data.images import ImageSet
from ssal.deployment import graph
from ssal.deployment.card import card
from ssal.deployment.classifier import (
    CARD,
    CONFIG,
    ONNX,
    WEIGHTS,
    Classifier,
    build,
    described,
    is_model,
    tensors_of,
)
from ssal.errors import BadInput, listing
from ssal.export.place import check_outside
from ssal.fingerprints import file_fingerprint, fingerprint
from ssal.neighbours import full_precision
from ssal.outlook import outlook
from ssal.recipe import Recipe
from ssal.standing import Standing, standing

log = logging.getLogger("ssal")
COMPARED = 64
"""Images of the pool, and of the test set, on which what is written must answer as the learner did."""
ROUNDED = 0.25
"""As graph.TOLERANCE, where the run computed in half precision: its own numbers are rounded, the model's are not."""
UNFINISHED = ".model.unfinished"


class Written(NamedTuple):
    """A model's folder, its files, and what to tell of it."""

    folder: Path
    files: list[Path]
    notes: list[str]


def export_model(
    recipe: Recipe,
    checkpoints: Path,
    to: Path,
    arm: str = "",
    seed: int | None = None,
    number: int | None = None,
    **options: Any,
) -> Written:
    """Write the learner of a run that stands, and what its audit found, with `write_model`, which takes `options`.

    The arm is the treatment or the first, the seed the first, round `number` the last with a learner, unless given.
    Raises BadInput where there is none, or where `to` lies among the images.
    """
    cell = cells_named(recipe, checkpoints, arm or recipe.first_arm, seed)[0]
    check_outside(to, cell.arm.data["options"])
    stand = standing(recipe, cell, checkpoints, number)
    audits = {learned.round: learned.accuracy for learned in outlook(cell).curve}
    found = audits.get(stand.number)
    audit = found and {"accuracy": found.mean, "low": found.low, "high": found.high, "images": found.n}
    return write_model(recipe, stand, to, audit=audit, **options)


def write_model(
    recipe: Recipe, stand: Standing, to: Path, *, audit: Mapping[str, Any] | None = None, onnx: bool = True
) -> Written:
    """Write model.safetensors, config.json, README.md and, where its packages are installed, model.onnx into `to`.

    `audit` are `accuracy`, `low`, `high` and `images` of a running audit, for the card. Other files in the folder
    stay; those of an earlier model are replaced once all new ones stand and agree with the run's learner. Raises
    BadInput where the learner is no function of one image alone, or something disagrees; nothing is written then.
    """
    tensors, config = tensors_of(stand), _config(recipe, stand, audit)
    absent = graph.told_missing() if onnx else ""
    work, made = to / UNFINISHED, not os.path.lexists(to)
    _check_free(to)
    shutil.rmtree(work, ignore_errors=True)  # of a process that was killed
    try:
        make_folder(work)
        write_tensors(work / WEIGHTS, tensors)
        classifier = build(config, work / WEIGHTS)
        pixels = _check_learner(classifier, stand)
        if onnx and not absent:
            log.info("write %s and compare it on %d images", ONNX, len(pixels))
            facts = {name: config[name] for name in ("classes", "ssal", "recipe", "recipe_fingerprint")}
            graph.write_onnx(work / ONNX, classifier, pixels.shape[1:], facts)
            graph.check_onnx(work / ONNX, classifier, pixels)
        config["files"] = {path.name: file_fingerprint(path) for path in sorted(work.iterdir())}
        write_text(work / CARD, card(recipe, stand, config, len(pixels)))
        write_json(work / CONFIG, config)
        return Written(to, _published(work, to), [absent] if absent else [])
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if made and os.path.isdir(to) and not any(to.iterdir()):
            to.rmdir()


def _check_free(to: Path) -> None:
    """Raise BadInput where `to` is no folder, or a file that would be replaced there is no model's."""
    if os.path.lexists(to) and not to.is_dir():
        raise BadInput(f"--to: {to}: expected a folder, or a place for one; got what is no folder; name another place")
    there = [name for name in (CARD, CONFIG, ONNX, WEIGHTS) if os.path.lexists(to / name)]
    if there and not (is_model(to) or (to / UNFINISHED).exists()):
        raise BadInput(
            f"{to}: {listing(there)} would be replaced and belongs to no model of ssal's; name another folder"
        )


def _config(recipe: Recipe, stand: Standing, audit: Mapping[str, Any] | None) -> dict[str, Any]:
    entries, arm = stand.ledger.entries(), stand.cell.arm
    found = {
        **described(stand),
        "input": f"{graph.INPUT}: uint8 (N, 3, H, W), RGB, the centre square resized to image_size (bicubic)",
        "output": f"{graph.OUTPUT}: float32 (N, classes), columns in the order of classes",
        "opset": graph.OPSET,
        "labels": len(stand.ledger.labels()),
        "answers": len(entries),
        "last_answer": max(entry.at for entry in entries),
        "round": stand.number,
        "arm": arm.name,
        "seed": stand.cell.seed,
        "recipe": recipe.name,
        "recipe_fingerprint": fingerprint(recipe.resolved()),
        "learner_folder": stand.learner.folder.name,
        "precision": arm.trainer["precision"],
        "ssal": ssal.__version__,
    }
    return {**found, "audit": dict(audit)} if audit else found


def _rows(images: ImageSet) -> Tensor:
    """Return up to COMPARED rows, evenly spread."""
    return torch.linspace(0, max(0, len(images) - 1), min(len(images), COMPARED)).long()


def _check_learner(classifier: Classifier, stand: Standing) -> Tensor:
    """Return pixels (n,3,H,W) of the run on which the classifier says what the learner does; raise BadInput if not."""
    learner, precision = stand.learner, stand.cell.arm.trainer["precision"]
    allowed = graph.TOLERANCE if precision == "32-true" else ROUNDED
    parts, found = [], []
    for seen, images in ((learner.images.pool, stand.images.pool), (learner.images.test, stand.images.test)):
        rows = _rows(images)
        if len(rows):
            parts.append(images.fetch(rows).cpu())
            found.append(loop.predict(learner.learner, [seen.fetch(rows)], learner.trainer)["logits"].softmax(dim=1))
    pixels = torch.cat(parts)
    with torch.inference_mode(), full_precision():
        apart = float((classifier(pixels) - torch.cat(found)).abs().max())
    if not apart <= allowed:
        raise BadInput(
            f"{learner.folder}: the classifier built from these weights and the run's learner differ by {apart:.1g} on "
            f"{len(pixels)} images, more than {allowed}; nothing was written. A learner of your own must predict "
            "with its averaged encoder and head alone; type learner.method with one of ssal's, or report this"
        )
    return pixels


def _published(work: Path, to: Path) -> list[Path]:
    """Move the files of `work` into `to`, config.json, which names the others, last; return their new paths."""
    names = sorted((path.name for path in work.iterdir()), key=lambda name: (name == CONFIG, name))
    with disk_errors(to):
        if ONNX not in names:
            (to / ONNX).unlink(missing_ok=True)  # of an earlier model
        for name in names:
            (work / name).replace(to / name)
    return [to / name for name in names]
