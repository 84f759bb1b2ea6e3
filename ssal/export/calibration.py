"""How far a classifier's confidence can be trusted: fitted and measured on audited images, never trained on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ssal.evaluation.metrics import expected_calibration_error
from ssal.evaluation.outlook import IMAGES_FROM, Accuracy, accuracy
from ssal.learner.frozen import best_temperature
from ssal.streams import generator

FOLDS, DRAWS = 10, 500


class Measured(NamedTuple):
    """What audited images say of the confidence; every image is judged by a temperature fitted to others."""

    accuracy: Accuracy
    confidence: float
    """Mean of the calibrated confidence, which is to be the accuracy."""
    error: float
    """Expected calibration error of it."""
    error_before: float
    """Of the confidence that the learner gives."""
    error_by_chance: float
    """What the error would be on average on as many images if the calibrated confidence were exactly right."""


class Calibration(NamedTuple):
    """What logits are divided by, and what is known of the confidence that follows."""

    temperature: float
    """1 where it cannot be fitted."""
    images: int
    """Audited images that have a class."""
    measured: Measured | None
    """None where `images` are fewer than IMAGES_FROM."""


def calibrate(logits: Tensor, labels: Tensor) -> Calibration:
    """Return the temperature that calibrates `logits` (n,C) of audited images with class numbers `labels` (n,).

    It is that of Guo et al. (2017), with the prior of `best_temperature`. The calibration is measured on the same
    images by cross-fitting in FOLDS parts, since one that was fitted to them would look better than it is. A label of
    -1 is a class that the learner does not have: the image counts as wrong, and fits nothing.
    """
    count = len(labels)
    if count < IMAGES_FROM:
        return Calibration(1.0, count, None)
    logits, fold = logits.double(), torch.arange(count) % FOLDS
    own, held_out = logits.softmax(dim=1), torch.empty_like(logits)
    for number in range(FOLDS):
        held = fold == number
        held_out[held] = (logits[held] / _temperature(logits[~held], labels[~held])).softmax(dim=1)
    right = accuracy((own.argmax(dim=1) == labels).numpy())
    assert right is not None  # there are images
    sure = held_out.amax(dim=1)
    errors = (expected_calibration_error(held_out, labels), expected_calibration_error(own, labels), by_chance(sure))
    measured = Measured(right, float(sure.mean()), *errors)
    return Calibration(_temperature(logits, labels), count, measured)


def by_chance(confidence: Tensor) -> float:
    """Return the mean expected calibration error of images that are right exactly as often as `confidence` (n,) says.

    With few images it is far from 0 (Bröcker & Smith, 2007).
    """
    drawn = torch.rand(DRAWS, len(confidence), generator=generator("export", "by chance"), dtype=confidence.dtype)
    wrong = (drawn >= confidence).long()
    return sum(expected_calibration_error(confidence[:, None], row) for row in wrong) / DRAWS


def _temperature(logits: Tensor, labels: Tensor) -> float:
    known = labels >= 0
    return best_temperature(logits[known], labels[known]) if known.any() else 1.0
