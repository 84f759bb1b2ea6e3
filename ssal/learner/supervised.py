"""Supervised: cross-entropy on weak views of the labelled images alone."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.registry import learner


@learner("supervised")
class Supervised(Learner):
    """Cross-entropy on shifted and flipped views of the labelled images; the floor every other learner must beat.

    Optimiser, schedule and averaged weights are FixMatch's, so that the two differ in the use of unlabelled images.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        steps: Annotated[int, Field(gt=0)] = 1000,
        batch_size: Annotated[int, Field(gt=1)] = 64,
        learning_rate: Annotated[float, Field(gt=0)] = 0.03,
        weight_decay: Annotated[float, Field(ge=0)] = 5e-4,
        average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(
            encoder,
            views,
            classes,
            steps=steps,
            batch_size=batch_size,
            unlabelled_batch_size=0,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            average_decay=average_decay,
            dropout=dropout,
        )

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return the mean cross-entropy of the labelled images."""
        logits, _ = self.network(self.views.weak(batch["labelled"], *names, "labelled"))
        return cross_entropy(logits, batch["labels"])
