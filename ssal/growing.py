"""A project whose folder changes: images join or go while it runs, and its encoder stays."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from ssal.answered import open_rounds
from ssal.artefacts import read_json, write_json
from ssal.data.images import Images
from ssal.errors import counted, listing
from ssal.labelling.answers import LABEL, Answer
from ssal.labelling.ledger import GIVEN, Entry, Ledger, Said

log = logging.getLogger("ssal")
FOLDER = "folder"
"""Who gives a label by where an image lies, and by what way."""
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


def take_given(images: Images, ledger: Ledger, folder: Path) -> None:
    """Write labels that the folder gives into the ledger, of images that have none there; tell of those that differ.

    Who moves an image that waits into the folder of a class has answered; so has who moves one that was skipped, or of
    which nobody could tell. Of a label that was changed by moving a file the ledger keeps the first.
    """
    entries = {entry.id: entry.label for entry in ledger.entries()}
    waiting = {choice.id: number for number, choices in open_rounds(folder, ledger).items() for choice in choices}
    asked = {entry.id: entry.round for entry in ledger.entries() if entry.label is None} | waiting
    told = {(one.answer.id, one.round) for one in ledger.said(undone=True) if one.via == FOLDER}
    ledger.say(
        Said(Answer(id, LABEL, images.given[id], FOLDER), number, FOLDER, decides=id not in waiting)
        for id, number in sorted(asked.items())
        if id in images.given and (id, number) not in told
    )
    new = (id for id in sorted(images.given) if id not in entries and id not in waiting)
    ledger.append(Entry(id, images.given[id], FOLDER, 0, GIVEN) for id in new)
    differ = [id for id, label in images.given.items() if id in entries and entries[id] not in (None, label)]
    if differ:
        paths = listing(images.pool.paths[images.pool.row(id)] for id in differ)
        how_many = counted(len(differ), "image stands", "images stand")
        log.warning("%s in another class folder than the ledger says, which holds: %s", how_many, paths)
