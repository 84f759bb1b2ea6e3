"""Pseudo-labels: what a run's last classifier takes the images for that nobody has answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ssal import loop
from ssal.data import batches
from ssal.errors import counted
from ssal.evaluation.outlook import IMAGES_FROM
from ssal.export.calibration import Calibration, calibrate
from ssal.labelling.answers import SKIPPED
from ssal.labelling.ledger import AUDIT, Entry
from ssal.standing import Standing


class PseudoLabel(NamedTuple):
    """The likeliest class of one image, and its probability."""

    id: str
    path: str
    label: str
    confidence: float


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels, and what their confidence rests on."""

    rows: list[PseudoLabel]
    """In the order of ids."""
    round: int
    """Whose classifier it was."""
    labels: int
    """How many labels it was trained on."""
    own_temperature: float | None
    """What the learner divides its logits by, where it fitted that itself to labels it was trained on."""
    calibration: Calibration
    audited: bool
    """Whether the run has an audit slice at all."""

    def facts(self) -> dict[str, Any]:
        """Return what export.json says of the classifier and its confidence."""
        temperature, images, measured = self.calibration
        found: dict[str, Any] = {
            "round": self.round,
            "labels": self.labels,
            "own_temperature": self.own_temperature,
            "audit_temperature": temperature if measured else None,
            "audit_images": images,
        }
        if measured:
            found |= {
                "accuracy": measured.accuracy.mean,
                "accuracy_low": measured.accuracy.low,
                "accuracy_high": measured.accuracy.high,
                "mean_confidence": measured.confidence,
                "expected_calibration_error": measured.error,
                "expected_calibration_error_before": measured.error_before,
                "expected_calibration_error_by_chance": measured.error_by_chance,
            }
        return found

    def words(self) -> list[str]:
        """Say how the confidence came about, and how far it can be trusted."""
        temperature, images, measured = self.calibration
        own = "as the classifier gives it"
        if self.own_temperature is not None:
            own += f", with the temperature of {self.own_temperature:.2f} that it fitted to its own labels"
        if measured is None:
            have = counted(images, "image of the audit has", "images of the audit have")
            why = f"{have} a class, and that takes {IMAGES_FROM}"
            if not self.audited:
                why = "there is no audit; labelling.audit=0.1 asks for one"
            return [f"confidence: {own}; how far it can be trusted cannot be told: {why}"]
        right = measured.accuracy
        return [
            f"confidence: {own}, then calibrated on {images} audit images, which it was never trained on: "
            f"logits over a temperature of {temperature:.2f}",
            f"there {100 * right.mean:.0f} % are right (95 % interval {100 * right.low:.0f} to "
            f"{100 * right.high:.0f}), and the confidence is {100 * measured.confidence:.0f} % on average; expected "
            f"calibration error {measured.error:.3f}, {measured.error_before:.3f} before; chance alone makes "
            f"{measured.error_by_chance:.3f} on as many images",
        ]


def pseudo_labels(stand: Standing, entries: Sequence[Entry]) -> PseudoLabels:
    """Return what the learner takes every image of the pool for that `entries`, one per image, do not answer.

    Skipping is no answer. The confidence is calibrated on the images of the audit slice that have a class.
    """
    pool, learner = stand.images.pool, stand.learner
    numbers = stand.ledger.class_numbers(stand.images.classes)
    logits = loop.predict(learner.learner, batches.in_order(learner.images.pool), learner.trainer)["logits"].double()
    audited = {e.id: numbers.get(e.label, -1) for e in entries if e.strategy == AUDIT and e.label and e.id in pool}
    rows = torch.tensor([pool.row(id) for id in sorted(audited)], dtype=torch.long)
    truth = torch.tensor([audited[id] for id in sorted(audited)], dtype=torch.long)
    calibration = calibrate(logits[rows], truth)
    confidence, best = (logits / calibration.temperature).softmax(dim=1).max(dim=1)
    names, done = list(numbers), {entry.id for entry in entries if entry.kind != SKIPPED}
    found = [
        PseudoLabel(id, path, names[number], share)
        for id, path, number, share in zip(pool.ids, pool.paths, best.tolist(), confidence.tolist(), strict=True)
        if id not in done
    ]
    own = learner.record.get("temperature")
    return PseudoLabels(found, stand.number, len(stand.ledger.labels()), own, calibration, bool(stand.cell.arm.audit))
