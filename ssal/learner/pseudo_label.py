"""Pseudo-label: the model's own confident predictions become targets for the very same view."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.ramped import RampedLearner
from ssal.learner.targets import confident_cross_entropy
from ssal.registry import learner


@learner("pseudo_label")
class PseudoLabel(RampedLearner):
    """What the model is sure of in a weak view is taught to it as a label for that view (Lee, 2013).

    The loss is a mean over all unlabelled images, sure or not, and its weight rises linearly over the first part
    `warm_up` of the steps. BatchNorm normalises labelled and unlabelled images apart; its running statistics are those
    of labelled images.
    Differs from the paper: only images above a threshold count, the ramp begins at the first step and ends at weight 1
    in place of 3, images are augmented, and optimiser and schedule are FixMatch's; all as FixMatch's authors run it
    (Sohn et al., 2020).
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

    def unlabelled_loss(self, images: Tensor, *names: int | str) -> Tensor:
        """Return the loss on the model's own labels."""
        logits, _ = self.network(self.views.weak(images, *names))
        return confident_cross_entropy(logits.detach().softmax(dim=1), logits, self.threshold)
