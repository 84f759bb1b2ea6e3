"""GuessingLearner: guesses on weak views teach, and may be made to follow the labels' class shares."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.targets import Alignment
from ssal.learner.unlabelled import UnlabelledLearner


class GuessingLearner(UnlabelledLearner):
    """What learners with guessed classes share: the guesses, and their alignment."""

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        distribution_alignment: bool = False,
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(encoder, views, classes, **shared)
        self.alignment = Alignment(classes) if distribution_alignment else None

    def guessed(self, logits: Tensor) -> Tensor:
        """Return the probabilities (M,C) of unlabelled images' logits, aligned where asked for, without gradient."""
        return self.aligned(logits.detach().softmax(dim=1))

    def aligned(self, probabilities: Tensor) -> Tensor:
        """Return probabilities (M,C) that follow the labels' class shares on average, where asked for."""
        return self.alignment(probabilities, self.class_shares) if self.alignment else probabilities
