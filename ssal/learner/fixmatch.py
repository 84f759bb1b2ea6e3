"""FixMatch: confident predictions on weak views become targets for strong views."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.guessing import GuessingLearner
from ssal.learner.targets import confident_cross_entropy
from ssal.registry import learner


@learner("fixmatch")
class FixMatch(GuessingLearner):
    """Pseudo-labels from weak views supervise strong views where the model is sure (Sohn et al., 2020).

    RandAugment is drawn per image, labelled images are part of the unlabelled stream, one forward carries labelled,
    weak and strong images so that BatchNorm sees the mixture.
    Differs from the paper: EMA decay and BatchNorm momentum are scaled to schedules shorter than 10,000 steps.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.95,
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(encoder, views, classes, **shared)
        self.threshold = threshold

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy plus the weighted FixMatch term."""
        (labelled_logits, weak_logits, strong_logits), _ = self.joint(batch, *names)
        unlabelled = confident_cross_entropy(self.guessed(weak_logits), strong_logits, self.threshold)
        return self.labelled_loss(labelled_logits, batch["labels"]) + self.unlabelled_weight * unlabelled
