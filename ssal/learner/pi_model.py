"""Π-model: two weak views of an image must get the same probabilities."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.mixing import statistics_kept
from ssal.learner.targets import linear_ramp, squared_difference
from ssal.registry import learner


@learner("pi_model")
class PiModel(Learner):
    """The probabilities of one weak view, noise and all, are the target of another weak view's (Laine & Aila, 2017).

    The squared difference is a mean over classes and unlabelled images, among which the labelled ones are too.
    BatchNorm normalises labelled images and the two views apart; its running statistics are those of labelled images.
    Differs from the paper: the first view gets no gradient, the weight rises linearly over 40 % of the steps in place
    of a Gaussian curve over 80 epochs, no Gaussian noise is added to images, and optimiser and schedule are FixMatch's;
    all as FixMatch's authors run it (Sohn et al., 2020).
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        mu: Annotated[int, Field(gt=0)] = 1,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 10.0,
        warm_up: Annotated[float, Field(ge=0, le=1)] = 0.4,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `mu` unlabelled images come with every labelled one; `warm_up` is a share."""
        super().__init__(encoder, views, classes, **shared)
        self.unlabelled_batch_size = mu * self.batch_size
        self.unlabelled_weight, self.warm_up = unlabelled_weight, warm_up

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy plus the ramped difference of two views."""
        labelled_logits, _ = self.network(self.views.weak(batch["labelled"], *names, "labelled"))
        first, second = (self.views.weak(batch["unlabelled"], *names, "unlabelled", view) for view in (1, 2))
        with statistics_kept(self.network):
            with torch.no_grad():
                targets = self.network(first)[0].softmax(dim=1)
            logits, _ = self.network(second)
        weight = self.unlabelled_weight * linear_ramp(self.global_step, self.warm_up * self.steps)
        unlabelled = squared_difference(targets, logits).mean()
        return self.labelled_loss(labelled_logits, batch["labels"]) + weight * unlabelled
