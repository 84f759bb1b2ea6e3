"""Supervised: cross-entropy on views of the labelled images alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.loop import decayed_groups
from ssal.registry import learner


@learner("supervised")
class Supervised(Learner):
    """Cross-entropy on shifted and flipped views of the labelled images; the floor every other learner must beat.

    Optimiser, schedule and averaged weights are FixMatch's, so that the two differ in the use of unlabelled images.
    Whether augmentation blurs what strategies add, as Mittal et al., 2019, ask, or Adam, as Beck et al., 2021, ask, are
    options.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        steps: Annotated[int, Field(gt=0)] = 1000,
        augmentation: Literal["none", "weak", "strong"] = "weak",
        optimiser: Literal["sgd", "adam"] = "sgd",
        learning_rate: Annotated[float, Field(gt=0)] = 0.03,
        adam_learning_rate: Annotated[float, Field(gt=0)] = 0.001,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `adam_learning_rate` takes the place of `learning_rate` where Adam optimises.

        `augmentation` is FixMatch's `weak` or `strong` view, or `none`: the image as it is scored.
        """
        rate = adam_learning_rate if optimiser == "adam" else learning_rate
        super().__init__(encoder, views, classes, steps=steps, learning_rate=rate, **shared)
        self.augmentation, self.optimiser = augmentation, optimiser

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return the mean cross-entropy of the labelled images."""
        stream = (*names, "labelled")
        view = {
            "none": lambda images: self.views.plain(images),
            "weak": lambda images: self.views.weak(images, *stream),
            "strong": lambda images: self.views.strong(images, *stream),
        }[self.augmentation]
        logits, _ = self.network(view(batch["labelled"]))
        return self.labelled_loss(logits, batch["labels"])

    def configure_optimizers(self) -> Any:
        """SGD as all learners have it, or Adam with decoupled weight decay under the same schedule."""
        if self.optimiser == "sgd":
            return super().configure_optimizers()
        adam = torch.optim.AdamW(decayed_groups(self.network, self.weight_decay), lr=self.learning_rate)
        return self.scheduled(adam)
