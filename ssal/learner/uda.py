"""UDA: sharpened soft predictions on weak views become targets for strong views."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ssal.data.views import Views
from ssal.learner.guessing import GuessingLearner
from ssal.learner.targets import sharpen, soft_cross_entropy
from ssal.registry import learner

ANNEALING: dict[str, Callable[[float], float]] = {
    "none": lambda progress: 1.0,  # every probability is below 1: nothing is left out
    "linear": lambda progress: progress,
    "log": lambda progress: 1 - math.exp(-5 * progress),
    "exp": lambda progress: math.exp(5 * (progress - 1)),
}
"""Schedule -> how far the bar for labelled images has risen from 1/C to 1 at a share of the training."""


def annealed_bar(schedule: str, progress: float, classes: int) -> float:
    """Return the probability of the right class above which a labelled image is left out."""
    return ANNEALING[schedule](progress) * (1 - 1 / classes) + 1 / classes


def annealed_cross_entropy(logits: Tensor, labels: Tensor, bar: float, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy of the labelled images (B,C) that are not right beyond `bar`; 0 if all are."""
    losses = cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
    kept = logits.detach().softmax(dim=1).gather(1, labels.unsqueeze(1)).squeeze(1) <= bar
    return (losses * kept).sum() / kept.sum().clamp_min(1)


@learner("uda")
class UDA(GuessingLearner):
    """Sharpened predictions on weak views teach strong views where they are sure (Xie et al., 2020).

    The mask looks at probabilities before they are sharpened, and the loss is a mean over all unlabelled images.
    Training signal annealing leaves out labelled images that are right already; it is off, as in the authors' CIFAR-10
    script, unless asked for.
    Differs from the paper: cross-entropy in place of the KL divergence, which has the same gradient; optimiser,
    schedule and averaged weights are FixMatch's.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.8,
        temperature: Annotated[float, Field(gt=0)] = 0.4,
        training_signal_annealing: Literal["none", "linear", "log", "exp"] = "none",
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(encoder, views, classes, **shared)
        self.threshold, self.temperature = threshold, temperature
        self.training_signal_annealing = training_signal_annealing

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return annealed labelled cross-entropy plus the weighted consistency of sure images."""
        (labelled_logits, weak_logits, strong_logits), _ = self.joint(batch, *names)
        probabilities = self.guessed(weak_logits)
        sure = probabilities.amax(dim=1) >= self.threshold
        targets = sharpen(probabilities, self.temperature)
        unlabelled = (soft_cross_entropy(targets, strong_logits) * sure).mean()
        bar = annealed_bar(self.training_signal_annealing, self.global_step / self.steps, labelled_logits.shape[1])
        labelled = annealed_cross_entropy(labelled_logits, batch["labels"], bar, self.label_smoothing)
        return labelled + self.unlabelled_weight * unlabelled
