"""GuessingLearner: guesses on weak views teach, and may be made to follow the labels' class shares."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.targets import Alignment


class GuessingLearner(Learner):
    """What learners with guessed classes share: how many unlabelled images, their weight, and alignment."""

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        mu: Annotated[int, Field(gt=0)] = 7,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 1.0,
        distribution_alignment: bool = False,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `mu` unlabelled images come with every labelled one."""
        super().__init__(encoder, views, classes, **shared)
        self.unlabelled_batch_size = mu * self.batch_size
        self.unlabelled_weight = unlabelled_weight
        self.alignment = Alignment(classes) if distribution_alignment else None

    def guessed(self, logits: Tensor) -> Tensor:
        """Return the probabilities (M,C) of unlabelled images' logits, aligned where asked for, without gradient."""
        return self.aligned(logits.detach().softmax(dim=1))

    def aligned(self, probabilities: Tensor) -> Tensor:
        """Return probabilities (M,C) that follow the labels' class shares on average, where asked for."""
        return self.alignment(probabilities, self.class_shares) if self.alignment else probabilities
