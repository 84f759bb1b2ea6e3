"""Loss prediction: a head trained with the learner ranks images by the loss they would have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ssal.learner.base import Learner
from ssal.learner.companion import Companion
from ssal.registry import signal

WIDTH = 128


def pair_differences(values: Tensor) -> Tensor:
    """Return value i - value B-1-i (B//2,) for every image of the first half; the middle one of an odd batch drops."""
    return (values - values.flip(0))[: len(values) // 2]


def hinge_ranking(predicted: Tensor, losses: Tensor, margin: float) -> Tensor:
    """Return the mean over pairs of max(0, margin - s·(predicted_i - predicted_j)), s the sign of their losses' order.

    Of equal losses the second counts as larger, as the paper has it.
    """
    order = torch.where(pair_differences(losses) > 0, 1.0, -1.0)
    return (margin - order * pair_differences(predicted)).clamp_min(0).mean()


def cross_entropy_ranking(predicted: Tensor, losses: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of σ(predicted_i - predicted_j) that the first loss of a pair is larger."""
    larger = (pair_differences(losses) > 0).to(predicted.dtype)
    return binary_cross_entropy_with_logits(pair_differences(predicted), larger)


class LossPrediction(Companion):
    """Predicts from four pooled feature maps which of two images has the larger loss (Yoo and Kweon, 2019)."""

    def __init__(
        self,
        channels: Sequence[int],
        *,
        ranking: Literal["hinge", "bce"] = "hinge",
        margin: Annotated[float, Field(gt=0)] = 1.0,
        weight: Annotated[float, Field(gt=0)] = 1.0,
        gradient_until: Annotated[float, Field(gt=0, le=1)] = 0.6,
        detach: Literal["late", "always"] = "late",
    ) -> None:
        """Take the recipe's options.

        `ranking` bce is TA-VAAL's (Kim et al., 2021), which has no margin. The head's gradient reaches the network up
        to the share `gradient_until` of the steps, 120 of the paper's 200 epochs; with `detach` always it never does,
        and the learner's own weights are those of a learner without the head.
        """
        super().__init__(channels)
        self.ranking, self.margin, self.weight = ranking, margin, weight
        self.gradient_until = 0.0 if detach == "always" else gradient_until
        self.layers = nn.ModuleList(nn.Linear(count, WIDTH) for count in channels)
        self.last = nn.Linear(len(channels) * WIDTH, 1, bias=False)  # it would cancel in every pair

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the predicted losses (B,), in float32 whatever the training's precision: bfloat16 makes ties."""
        with torch.autocast(maps[0].device.type, enabled=False):
            parts = [layer(part.float()).relu() for layer, part in zip(self.layers, maps, strict=True)]
            return self.last(torch.cat(parts, dim=1)).squeeze(1)

    def loss(self, maps: Sequence[Tensor], logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Return the weighted ranking loss of pairs (i, B-1-i); the true losses get no gradient."""
        if progress >= self.gradient_until:
            maps = [part.detach() for part in maps]
        predicted, losses = self(maps), cross_entropy(logits.detach(), labels, reduction="none")
        if self.ranking == "hinge":
            return self.weight * hinge_ranking(predicted, losses, self.margin)
        return self.weight * cross_entropy_ranking(predicted, losses)


@signal("predicted_loss", each="batch", companion=LossPrediction)
def loss_prediction(learner: Learner, images: Tensor, **training: Any) -> dict[str, Tensor]:
    """Give the loss that a head on the learner's feature maps predicts, averaged weights (Yoo and Kweon, 2019).

    The head is trained with the learner, and changes it unless `detach` is always. An arm whose strategy does not need
    this signal trains the same head where its recipe names the source: `signals: {loss_prediction: {}}`. Where a
    learner is frozen or trains no heads, and in `ssal query`, the head is fitted afterwards (signals/afterwards.py),
    and `detach` and `gradient_until` change nothing.
    Differs from the paper: the head's weights are averaged as the network's are, and follow its schedule.
    """
    return {"predicted_loss": learner.says("loss_prediction", images)}
