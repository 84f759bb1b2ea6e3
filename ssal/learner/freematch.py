"""FreeMatch: FixMatch with thresholds that follow the model's own confidence, and a term for fairness of classes."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ssal.data.views import Views
from ssal.learner.guessing import GuessingLearner
from ssal.learner.schedules import short_schedule_decay
from ssal.learner.targets import confident_cross_entropy
from ssal.registry import learner


class SelfAdaptiveThresholds(nn.Module):
    """Exponential averages of the confidence, of the probabilities (C,) and of the predicted classes' shares (C,)."""

    def __init__(self, classes: int, decay: float, highest: float) -> None:
        """Start from a model that knows nothing; `highest` caps the global threshold."""
        super().__init__()
        self.decay, self.highest = decay, highest
        self.register_buffer("confidence", torch.tensor(1 / classes))
        self.register_buffer("probabilities", torch.full((classes,), 1 / classes))
        self.register_buffer("shares", torch.full((classes,), 1 / classes))
        self.confidence: Tensor
        self.probabilities: Tensor
        self.shares: Tensor

    @torch.no_grad()
    def forward(self, probabilities: Tensor) -> Tensor:
        """Count `probabilities` (M,C) in first, then return the threshold of every class (C,)."""
        confidence, classes = probabilities.max(dim=1)
        shares = one_hot(classes, probabilities.shape[1]).float().mean(dim=0)
        new = (confidence.mean(), probabilities.mean(dim=0), shares)
        for average, value in zip((self.confidence, self.probabilities, self.shares), new, strict=True):
            average.mul_(self.decay).add_(value, alpha=1 - self.decay)
        self.confidence.clamp_(max=self.highest)
        return self.confidence * self.probabilities / self.probabilities.max()


def over(probabilities: Tensor, shares: Tensor) -> Tensor:
    """Return probabilities (C,) over the classes' shares (C,), normalised; classes without a share get nothing."""
    ratio = probabilities * torch.nan_to_num(1 / shares, posinf=0.0)
    return ratio / ratio.sum().clamp_min(1e-12)


def fairness(logits: Tensor, counted: Tensor, probabilities: Tensor, shares: Tensor) -> Tensor:
    """Return MINUS the cross-entropy between what was predicted over time and what is predicted on strong views.

    Of `logits` (M,C) only those `counted` (M,) matter; `probabilities` and `shares` (C,) are the averages over time.
    The term is 0 where nothing is counted.
    """
    found, weight = logits.softmax(dim=1), counted.unsqueeze(1).float()
    total = weight.sum().clamp_min(1)
    now = (found * weight).sum(dim=0) / total
    now_shares = (one_hot(found.argmax(dim=1), logits.shape[1]) * weight).sum(dim=0) / total
    return (over(probabilities, shares) * (over(now, now_shares) + 1e-12).log()).sum() * counted.any()


@learner("freematch")
class FreeMatch(GuessingLearner):
    """FixMatch whose thresholds follow the model's confidence, overall and per class (Wang et al., 2023).

    Defaults are the authors' for CIFAR; they cap the threshold (`highest_threshold` 0.95) on SVHN alone.
    Differs from the paper: all averages' decay is scaled to schedules shorter than 10,000 steps.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        threshold_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999,
        highest_threshold: Annotated[float, Field(gt=0, le=1)] = 1.0,
        fairness_weight: Annotated[float, Field(ge=0)] = 0.001,
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(encoder, views, classes, **shared)
        self.fairness_weight = fairness_weight
        decay = short_schedule_decay(threshold_decay, self.steps)
        self.thresholds = SelfAdaptiveThresholds(classes, decay, highest_threshold)

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy, the weighted FixMatch term and the fairness of sure images' classes."""
        (labelled_logits, weak_logits, strong_logits), _ = self.joint(batch, *names)
        probabilities = self.guessed(weak_logits)
        confidence, classes = probabilities.max(dim=1)
        thresholds = self.thresholds(probabilities)[classes]
        unlabelled = confident_cross_entropy(probabilities, strong_logits, thresholds)
        fair = fairness(strong_logits, confidence >= thresholds, self.thresholds.probabilities, self.thresholds.shares)
        labelled = self.labelled_loss(labelled_logits, batch["labels"])
        return labelled + self.unlabelled_weight * unlabelled + self.fairness_weight * fair
