"""Stage 2: encoder, few labels and the pool to a classifier. Trained once per fingerprint."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ssal import registry
from ssal.artefacts import once, read_tensors, write_tensors
from ssal.backbones import Identity
from ssal.data import batches
from ssal.data.images import Images
from ssal.data.views import Views
from ssal.fingerprints import fingerprint, source_fingerprint
from ssal.labelling.ledger import Ledger
from ssal.learner.base import Learner
from ssal.learner.trained import Trained
from ssal.pretext.encoder import SHARED_FILES, Encoder
from ssal.streams import stream

log = logging.getLogger("ssal")
WEIGHTS = "learner.safetensors"


def sources(method: str) -> list[Path]:
    """Return the files whose code a learner depends on, its encoder's left aside."""
    return [*registry.files("learner", method), *SHARED_FILES]


def train(
    encoder: Encoder,
    images: Images,
    ledger: Ledger,
    round_number: int,
    checkpoints: Path,
    seed: int,
    trainer: dict[str, Any],
    *,
    method: str,
    options: dict[str, Any],
    companions: dict[str, dict[str, Any]] | None = None,
    aside: Collection[str] = (),
) -> Trained | None:
    """Return the learner trained on the ledger's labels; None while there are none.

    Arms with the same encoder, labels, options, companions and seed share the training: the folder's name follows from
    them. `companions` are signal sources whose heads are trained with the learner, and their options. Images set
    `aside` for the audit and those of none of the classes are not learned from, not even without a label.
    """
    answered = ledger.numbered(images.classes)
    if not answered:
        return None
    filed = registry.find("learner", method)
    numbers = ledger.class_numbers(images.classes)
    chosen: dict[str, Any] = {"method": method, "options": options, "companions": companions or {}}
    apart = ledger.not_trained_on().union(aside).difference(answered)
    heads = {name: registry.find("signal", name) for name in chosen["companions"]}
    before = None
    if {**filed.options, **options}.get("warm_start") and round_number:
        earlier = ledger.before(round_number - 1)
        before = train(encoder, images, earlier, round_number - 1, checkpoints, seed, trainer, **chosen, aside=aside)
    facts = {
        **chosen,
        "encoder": encoder.fingerprint,
        "images": images.fingerprint,
        "labels": sorted(answered.items()),
        **({"not_trained_on": sorted(apart)} if apart else {}),
        "classes": len(numbers),
        "seed": seed,
        "round": round_number,
        "precision": trainer.get("precision"),
        "compile": trainer.get("compile", False),
        "starts_from": before.folder.name if before else None,
        "source": source_fingerprint(*sources(method), *(head.file for head in heads.values())),
    }
    folder = checkpoints / "learners" / fingerprint(facts)
    seen = encoder.embedded(images) if filed.traits.get("frozen") else images
    names = (seed, "round", round_number, "train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(*names, "head"))
        network = Identity(seen.pool.shape[0]) if len(seen.pool.shape) == 1 else encoder.build()
        learner: Learner = filed.call(network, Views.of(seen), len(numbers), **options)
        for name, head in heads.items():
            torch.manual_seed(stream(*names, "companion", name))
            learner.accompany(name, head.traits["companion"], chosen["companions"][name])

    rows = torch.tensor([images.pool.row(id) for id in sorted(answered)])
    labels = torch.tensor([answered[id] for id in sorted(answered)])
    unlabelled_rows = torch.tensor([row for row, id in enumerate(images.pool.ids) if id not in apart])
    learner.see(seen.pool, rows, labels, unlabelled_rows)

    def make(folder: Path) -> dict[str, Any]:
        began = time.perf_counter()
        if before:
            learner.start_from(before.learner)
        log.info("train %s on %d labels: %d steps", method, len(rows), learner.steps)
        draw = partial(
            batches.labelled_and_unlabelled, seen.pool, labelled_rows=rows, labels=labels, names=names,
            labelled_size=learner.batch_size or len(rows), unlabelled_size=learner.unlabelled_batch_size,
            unlabelled_rows=unlabelled_rows, class_balanced=learner.class_balanced,
        )  # fmt: skip
        curve = learner.fit(draw, folder, names, trainer)
        seconds = time.perf_counter() - began
        write_tensors(folder / WEIGHTS, learner.average.state_dict())
        counts = {"labels": len(rows), "not_trained_on": len(apart)}
        return {**facts, **counts, "train_seconds": seconds, "loss": curve, **learner.facts()}

    once(folder, make, WEIGHTS)
    learner.average.load_state_dict(read_tensors(folder / WEIGHTS))
    return Trained(learner, seen, folder, trainer)
