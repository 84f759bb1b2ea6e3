"""What an unlabelled image is taught: masks, sharpened and aligned targets, ramps. Plain functions on tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


def confident_cross_entropy(probabilities: Tensor, logits: Tensor, threshold: float | Tensor) -> Tensor:
    """Return the mean over ALL images of cross-entropy to their most probable class where that is sure (Sohn, 2020).

    `probabilities` (M,C) are the targets' and get no gradient, `logits` (M,C) learn. Images whose highest probability
    reaches `threshold`, one number or one per image (M,), count; the sum is divided by M, not by how many they are.
    """
    confidence, target = probabilities.detach().max(dim=1)
    return (cross_entropy(logits, target, reduction="none") * (confidence >= threshold)).mean()


def soft_cross_entropy(targets: Tensor, logits: Tensor) -> Tensor:
    """Return the cross-entropy of every image (M,) to target probabilities (M,C), which get no gradient."""
    return -(targets.detach() * logits.log_softmax(dim=1)).sum(dim=1)


def squared_difference(targets: Tensor, logits: Tensor) -> Tensor:
    """Return every image's squared difference (M,) of probabilities, mean over classes; targets (M,C) are fixed."""
    return (targets.detach() - logits.softmax(dim=1)).square().mean(dim=1)


def sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    """Return probabilities (M,C) to the power 1/temperature, normalised (Berthelot et al., 2019)."""
    return (probabilities.log() / temperature).softmax(dim=1)  # powers themselves would underflow


def linear_ramp(step: int, steps: float) -> float:
    """Return a weight that rises linearly from 0 to 1 over `steps`; 1 at once where that is 0."""
    return min(1.0, step / steps) if steps else 1.0


def half_cosine_ramp(step: int, steps: float) -> float:
    """Return a weight that rises from 0 to 1 over `steps` as half a cosine wave."""
    return 0.5 - 0.5 * math.cos(math.pi * linear_ramp(step, steps))


def align(probabilities: Tensor, wanted: Tensor, average: Tensor) -> Tensor:
    """Return probabilities (M,C) times `wanted` class shares over the model's own `average`, both (C,), normalised."""
    aligned = probabilities * (1e-6 + wanted) / (1e-6 + average)
    return aligned / aligned.sum(dim=1, keepdim=True)


class RecentMean(nn.Module):
    """The class shares (C,) that a model gave its last `length` batches on average.

    Places of batches still to come hold `start` for every class: 0 counts for nothing, 1/C pulls to equal shares.
    """

    def __init__(self, classes: int, length: int, start: float = 0.0) -> None:
        """Start from no batch at all."""
        super().__init__()
        self.register_buffer("batches", torch.full((length, classes), start))
        self.batches: Tensor

    @torch.no_grad()
    def forward(self, probabilities: Tensor) -> Tensor:
        """Let `probabilities` (M,C) take the place of the oldest batch, and return the shares."""
        self.batches.copy_(torch.cat([self.batches[1:], probabilities.mean(dim=0, keepdim=True)]))
        return self.batches.sum(dim=0) / self.batches.sum()


class Alignment(nn.Module):
    """Distribution alignment: guesses follow a target's class shares on average (Berthelot et al., 2020, ReMixMatch).

    Differs from the paper: the model's own average is exponential (decay 0.999 and corrected for its start) and not
    over the last 128 batches.
    """

    def __init__(self, classes: int, decay: float = 0.999) -> None:
        """Start from no guess at all."""
        super().__init__()
        self.decay = decay
        self.register_buffer("total", torch.zeros(classes))
        self.total: Tensor

    @torch.no_grad()
    def forward(self, probabilities: Tensor, shares: Tensor) -> Tensor:
        """Count `probabilities` (M,C) in, and return them times shares / average, normalised."""
        self.total.mul_(self.decay).add_(probabilities.mean(dim=0), alpha=1 - self.decay)
        return align(probabilities, shares, self.total / self.total.sum())
