"""Barlow Twins: what two views' projections have in common is to be the identity matrix, dimension by dimension."""

from __future__ import annotations

from typing import Annotated, Any

from lightly.loss import BarlowTwinsLoss
from lightly.models.modules import BarlowTwinsProjectionHead
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.pretext.base import Optimiser, Pretext, Probability, WeightDecay
from ssal.registry import pretext


@pretext("barlow_twins")
class BarlowTwins(Pretext):
    """Makes the cross-correlation of two views' projections (D×D) the identity (Zbontar et al., 2021).

    Defaults are the authors': 1000 epochs, LARS with rate 0.2 for weights and 0.0048 for biases and BatchNorm per 256
    images, weight decay 1e-6, 1 % of the steps to warm up, redundancy weight 0.0051, the second view solarised one
    time in five.
    Differs from the paper: batch 512 in place of 2048 and 2048 projected values in place of 8192, as suits small
    images; blur is off unless asked for; rates end at zero, theirs at a thousandth.
    """

    saturation = 0.4

    def __init__(
        self,
        backbone: nn.Module,
        views: Views,
        *,
        epochs: Annotated[int, Field(gt=0)] = 1000,
        hidden: Annotated[int, Field(gt=0)] = 2048,
        projection: Annotated[int, Field(gt=0)] = 2048,
        redundancy_weight: Annotated[float, Field(ge=0)] = 0.0051,
        optimiser: Optimiser = "lars",
        learning_rate: Annotated[float, Field(gt=0)] = 0.2,
        bias_learning_rate: Annotated[float, Field(gt=0)] = 0.0048,
        weight_decay: WeightDecay = 1e-6,
        warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.01,
        blur: tuple[Probability, Probability] = (0.0, 0.0),
        solarise: tuple[Probability, Probability] = (0.0, 0.2),
        **shared: Any,
    ) -> None:
        """Take the recipe's options; blur and solarise are probabilities per view."""
        super().__init__(
            backbone,
            views,
            optimiser=optimiser,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            warm_up=warm_up,
            **shared,
        )
        self.differ(blur=blur, solarise=solarise)
        self.projection = BarlowTwinsProjectionHead(self.width, hidden, projection)
        self.criterion = BarlowTwinsLoss(redundancy_weight)
        self.bias_learning_rate = bias_learning_rate * self.batch_size / 256

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the squared distance of the cross-correlation from the identity, off the diagonal weighted."""
        return self.compared(self.criterion, self.projection, first, second)

    def groups(self) -> list[dict[str, Any]]:
        """Return the groups of weights and, with their own rate, of biases and BatchNorm."""
        weights, others = super().groups()
        return [weights, {**others, "lr": self.bias_learning_rate}]
