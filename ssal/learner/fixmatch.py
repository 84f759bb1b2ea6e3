"""FixMatch: confident predictions on weak views become targets for strong views."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.targets import Alignment, confident_cross_entropy
from ssal.registry import learner


@learner("fixmatch")
class FixMatch(Learner):
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
        mu: Annotated[int, Field(gt=0)] = 7,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.95,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 1.0,
        distribution_alignment: bool = False,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `mu` unlabelled images come with every labelled one."""
        super().__init__(encoder, views, classes, **shared)
        self.unlabelled_batch_size = mu * self.batch_size
        self.threshold, self.unlabelled_weight = threshold, unlabelled_weight
        self.alignment = Alignment(classes) if distribution_alignment else None

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy plus the weighted FixMatch term."""
        (labelled_logits, weak_logits, strong_logits), _ = self.joint(batch, *names)
        probabilities = weak_logits.detach().softmax(dim=1)
        if self.alignment:
            probabilities = self.alignment(probabilities, self.class_shares)
        unlabelled = confident_cross_entropy(probabilities, strong_logits, self.threshold)
        return self.labelled_loss(labelled_logits, batch["labels"]) + self.unlabelled_weight * unlabelled
