"""Π-model: two weak views of an image must get the same probabilities."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.ramped import RampedLearner
from ssal.learner.targets import squared_difference
from ssal.registry import learner


@learner("pi_model")
class PiModel(RampedLearner):
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
        unlabelled_weight: Annotated[float, Field(ge=0)] = 10.0,
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(encoder, views, classes, unlabelled_weight=unlabelled_weight, **shared)

    def unlabelled_loss(self, images: Tensor, *names: int | str) -> Tensor:
        """Return the mean squared difference of two views' probabilities."""
        first, second = (self.views.weak(images, *names, view) for view in (1, 2))
        with torch.no_grad():
            targets = self.network(first)[0].softmax(dim=1)
        return squared_difference(targets, self.network(second)[0]).mean()
