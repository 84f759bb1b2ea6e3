"""Test metrics from probabilities and labels: plain functions on tensors, one number each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BINS = 15
"""Confidence bins of the calibration error (Guo et al., 2017)."""


def evaluate(probabilities: Tensor, labels: Tensor) -> dict[str, float]:
    """Return every metric of `probabilities` (N,C) against class numbers `labels` (N,).

    A label of C or more is a class the learner has no output for yet: its images count as wrong, with probability 0.
    Raises ValueError where shapes differ, a label is negative, or a probability is not finite.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            f"expected probabilities (N,C) and labels (N,) with N > 0, got {tuple(probabilities.shape)} "
            f"and {tuple(labels.shape)}"
        )
    if not torch.isfinite(probabilities).all() or int(labels.min()) < 0:
        raise ValueError("expected finite probabilities and labels from 0 on")
    probabilities, labels = probabilities.detach().double().cpu(), labels.detach().long().cpu()
    recalls, f1 = per_class(probabilities.argmax(dim=1), labels)
    return {
        "accuracy": float((probabilities.argmax(dim=1) == labels).double().mean()),
        "balanced_accuracy": float(recalls.mean()),
        "macro_f1": float(f1.mean()),
        "expected_calibration_error": expected_calibration_error(probabilities, labels),
        "negative_log_likelihood": negative_log_likelihood(probabilities, labels),
    }


def per_class(predicted: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return recall and F1 of each class that occurs in `labels`; classes that do not occur have neither."""
    size = int(max(predicted.max(), labels.max())) + 1
    support = torch.bincount(labels, minlength=size).double()
    claimed = torch.bincount(predicted, minlength=size).double()
    right = torch.bincount(labels[predicted == labels], minlength=size).double()
    present = support > 0
    return (right / support)[present], (2 * right / (support + claimed))[present]


class Bins(NamedTuple):
    """Test images by confidence: how many are in each bin, their confidence added up, and how many are right."""

    images: Tensor
    confidence: Tensor
    right: Tensor


def by_confidence(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> Bins:
    """Return the images in equal-width bins of the largest probability; a bin holds its upper edge, not its lower."""
    confidence, predicted = probabilities.max(dim=1)
    edges = torch.linspace(0, 1, bins + 1, dtype=confidence.dtype)
    bin_of = torch.bucketize(confidence.clamp(0, 1), edges[1:-1])
    empty = torch.zeros(bins, dtype=confidence.dtype)
    right = (predicted == labels).to(confidence.dtype)
    parts = (torch.ones_like(confidence), confidence, right)
    return Bins(*(empty.index_add(0, bin_of, part) for part in parts))


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Return the mean |accuracy - confidence| over equal-width confidence bins, weighted by images (Guo et al., 2017).

    See `by_confidence` for the bins.
    """
    _, confidence, right = by_confidence(probabilities, labels, bins)
    return float((right - confidence).abs().sum() / len(labels))


def negative_log_likelihood(probabilities: Tensor, labels: Tensor) -> float:
    """Return the mean of -log p(label); a probability of 0 counts as 2.2e-16, so that the mean stays finite."""
    known = labels < probabilities.shape[1]
    given = probabilities.gather(1, torch.where(known, labels, 0).unsqueeze(1)).squeeze(1) * known
    return float(-given.clamp(min=torch.finfo(given.dtype).eps).log().mean())
