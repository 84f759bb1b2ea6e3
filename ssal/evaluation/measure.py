"""What a round writes down about its learner: metrics, reference classifiers on the same labels, seconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssal import loop, tracking
from ssal.artefacts import write_json, write_tensors
from ssal.data.images import Images
from ssal.evaluation.metrics import evaluate
from ssal.evaluation.references import ACCURACY, NETWORK, REFERENCES
from ssal.labelling.answers import CANNOT_TELL, NONE
from ssal.labelling.ledger import Ledger
from ssal.learner.trained import Trained
from ssal.pretext.encoder import Encoder

AUDITED = "audit.safetensors"
"""What a round's learner says of the images set aside for the audit."""


def device_name(accelerator: str) -> str:
    """Return the name of the device that `accelerator` means on this machine, as in NVIDIA H200; CPU."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "Apple GPU" if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available() else "CPU"


def predict_audit(learner: Trained, images: Images, ids: Sequence[str], ledger: Ledger, folder: Path) -> None:
    """Leave the learner's probabilities of the images `ids`, with those ids and the class of every column."""
    rows = torch.tensor([images.pool.row(id) for id in ids])
    batches = learner.images.pool.stream(rows.split(500))
    logits = loop.predict(learner.learner, batches, learner.trainer)["logits"]
    facts = {"ids": ids, **ledger.columns(images.classes)}
    write_tensors(folder / AUDITED, {"probabilities": logits.softmax(dim=1)}, **facts)


def neighbour_accuracy(features: Tensor, labels: Tensor, neighbours: int = 10, temperature: float = 0.1) -> float:
    """Return leave-one-out accuracy of weighted cosine neighbours among labelled images (Wu et al., 2018).

    Votes weigh exp(similarity / temperature); at few labels `neighbours` is capped by what is there.
    """
    unit = torch.nn.functional.normalize(features.float(), dim=1)
    similarity = unit @ unit.T
    similarity.fill_diagonal_(-torch.inf)
    near, rows = similarity.topk(min(neighbours, len(labels) - 1), dim=1)
    votes = torch.zeros(len(labels), int(labels.max()) + 1)
    votes.scatter_add_(1, labels[rows], (near / temperature).exp())
    return float((votes.argmax(dim=1) == labels).float().mean())


def measure(
    learner: Trained | None,
    encoder: Encoder,
    images: Images,
    ledger: Ledger,
    number: int,
    references: Sequence[str],
    networks: Mapping[str, Trained],
    accelerator: str,
    folder: Path,
    aside: Collection[str] = (),
) -> None:
    """Write `metrics.json` of a round that trained a learner; references see the same labels and raw inputs.

    `networks` are other networks that learned from the same labels, by the names of their backbones. `labels` counts
    all answers, those that gave no label among them. What the learner says of the images set `aside` for the audit is
    kept beside it, since their labels may come later.
    """
    if learner is None:
        return
    record = learner.record
    numbered, answered = ledger.numbered(images.classes), ledger.answered()
    rows = torch.tensor([images.pool.row(id) for id in numbered])
    labels = torch.tensor(list(numbered.values()))
    facts: dict[str, Any] = {
        "round": number,
        "labels": len(answered),
        "learner_folder": learner.folder.name,
        "pretrain_seconds": encoder.record["seconds"],
        "train_seconds": record["train_seconds"],
        "device": device_name(accelerator),
        "threads": torch.get_num_threads(),
    }
    without = sum(entry.kind in (NONE, CANNOT_TELL) for entry in ledger.entries())
    if without:  # they cost as much as the others, so arms are compared at all that was bought
        facts["without_class"] = without
    if encoder.ready and len(rows) > 1:
        facts["encoder_neighbour_accuracy"] = neighbour_accuracy(encoder.features(images)["pool"][rows], labels)
    if len(images.test):
        order = ledger.class_numbers(images.classes)
        truth = torch.tensor([order[name] for name in images.test_labels])
        facts |= evaluate(learner.test_probabilities(), truth)
        everything = torch.arange(len(images.test))
        for name in references:
            predicted = REFERENCES[name](images.pool.fetch(rows).cpu(), labels, images.test.fetch(everything).cpu())
            facts[f"{name}{ACCURACY}"] = float((predicted == truth).double().mean())
        for name, other in networks.items():
            predicted = other.test_probabilities().argmax(dim=1)
            facts[f"{NETWORK}{name}{ACCURACY}"] = float((predicted == truth).double().mean())
    if aside:
        predict_audit(learner, images, sorted(aside), ledger, folder)
    write_json(folder / "metrics.json", facts)
    tracking.log(["labels"], facts, len(answered))
