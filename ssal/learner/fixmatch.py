"""FixMatch: confident predictions on weak views become targets for strong views."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.registry import learner


def fixmatch_loss(weak_logits: Tensor, strong_logits: Tensor, threshold: float) -> Tensor:
    """Return the mean over ALL unlabelled images of masked cross-entropy (Sohn et al., 2020).

    Both inputs (M,C). Images whose weak view reaches `threshold` count with their own predicted class as target,
    the others with zero: the sum is divided by M, not by the number of confident images.
    """
    confidence, target = weak_logits.detach().softmax(dim=1).max(dim=1)
    return (cross_entropy(strong_logits, target, reduction="none") * (confidence >= threshold)).mean()


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
        steps: Annotated[int, Field(gt=0)] = 2**20,
        batch_size: Annotated[int, Field(gt=1)] = 64,
        mu: Annotated[int, Field(gt=0)] = 7,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.95,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 1.0,
        learning_rate: Annotated[float, Field(gt=0)] = 0.03,
        weight_decay: Annotated[float, Field(ge=0)] = 5e-4,
        average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        """Take the recipe's options; `mu` unlabelled images come with every labelled one."""
        super().__init__(
            encoder,
            views,
            classes,
            steps=steps,
            batch_size=batch_size,
            unlabelled_batch_size=mu * batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            average_decay=average_decay,
            dropout=dropout,
        )
        self.threshold, self.unlabelled_weight = threshold, unlabelled_weight

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy plus the weighted FixMatch term."""
        labelled = self.views.weak(batch["labelled"], *names, "labelled")
        weak = self.views.weak(batch["unlabelled"], *names, "unlabelled")
        strong = self.views.strong(batch["unlabelled"], *names, "unlabelled")
        logits, _ = self.network(torch.cat([labelled, weak, strong]))
        labelled_logits, weak_logits, strong_logits = logits.split([len(labelled), len(weak), len(strong)])
        unlabelled = fixmatch_loss(weak_logits, strong_logits, self.threshold)
        return cross_entropy(labelled_logits, batch["labels"]) + self.unlabelled_weight * unlabelled
