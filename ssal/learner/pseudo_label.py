"""Pseudo-label: the model's own confident predictions become targets for the very same view."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.mixing import statistics_kept
from ssal.learner.targets import confident_cross_entropy, linear_ramp
from ssal.registry import learner


@learner("pseudo_label")
class PseudoLabel(Learner):
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
        mu: Annotated[int, Field(gt=0)] = 1,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.95,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 1.0,
        warm_up: Annotated[float, Field(ge=0, le=1)] = 0.4,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `mu` unlabelled images come with every labelled one."""
        super().__init__(encoder, views, classes, **shared)
        self.unlabelled_batch_size = mu * self.batch_size
        self.threshold, self.unlabelled_weight, self.warm_up = threshold, unlabelled_weight, warm_up

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy plus the ramped loss on the model's own labels."""
        labelled_logits, _ = self.network(self.views.weak(batch["labelled"], *names, "labelled"))
        with statistics_kept(self.network):
            logits, _ = self.network(self.views.weak(batch["unlabelled"], *names, "unlabelled"))
        unlabelled = confident_cross_entropy(logits.detach().softmax(dim=1), logits, self.threshold)
        weight = self.unlabelled_weight * linear_ramp(self.global_step, self.warm_up * self.steps)
        return self.labelled_loss(labelled_logits, batch["labels"]) + weight * unlabelled
