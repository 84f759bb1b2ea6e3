"""Supervised: cross-entropy on weak views of the labelled images alone."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

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
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(encoder, views, classes, steps=steps, **shared)

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return the mean cross-entropy of the labelled images."""
        logits, _ = self.network(self.views.weak(batch["labelled"], *names, "labelled"))
        return self.labelled_loss(logits, batch["labels"])
