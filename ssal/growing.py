"""A project whose folder changes: images join or go while it runs, and its encoder stays."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from ssal.artefacts import read_json, write_json
from ssal.data.images import Images
from ssal.errors import listing
from ssal.labelling.ledger import GIVEN, Entry, Ledger

log = logging.getLogger("ssal")
BEGAN_WITH = "began_with.json"
"""The images, by fingerprint and ids, and the pixel statistics that a project's encoder was trained on."""


def as_begun(images: Images, folder: Path, new_encoder: bool = False) -> tuple[Images, str]:
    """Return the images with the pixel statistics that the project began with, and what their fingerprint was then.

    The first call, and one for a `new_encoder`, writes down what is there now; later ones tell what has changed.
    """
    file = folder / BEGAN_WITH
    if new_encoder or not file.exists():
        mean, std = images.mean.tolist(), images.std.tolist()
        write_json(file, {"images": images.fingerprint, "mean": mean, "std": std, "ids": list(images.pool.ids)})
    began = read_json(file)
    if began["images"] != images.fingerprint:
        before, now = set(began["ids"]), set(images.pool.ids)
        log.info(
            "images have changed since the encoder was trained: %d joined, %d are gone; it is kept, --new-encoder "
            "trains another",
            len(now - before),
            len(before - now),
        )
    return replace(images, mean=torch.tensor(began["mean"]), std=torch.tensor(began["std"])), began["images"]


def take_given(images: Images, ledger: Ledger) -> None:
    """Write labels that the folder gives into the ledger, of images that have no entry yet; tell of those that differ.

    Of a label that was changed by moving a file the ledger keeps the first.
    """
    entries = {entry.id: entry.label for entry in ledger.entries()}
    ledger.append(Entry(id, images.given[id], "folder", 0, GIVEN) for id in sorted(images.given) if id not in entries)
    differ = [id for id, label in images.given.items() if id in entries and entries[id] not in (None, label)]
    if differ:
        paths = listing(images.pool.paths[images.pool.row(id)] for id in differ)
        log.warning("%d images stand in another class folder than the ledger says, which holds: %s", len(differ), paths)
