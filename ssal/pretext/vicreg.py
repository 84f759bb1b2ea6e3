"""VICReg: views of an image agree, dimensions keep their variance, and no two of them vary together."""

from __future__ import annotations

from typing import Annotated, Any

from lightly.loss import VICRegLoss
from lightly.models.modules.heads import VICRegProjectionHead
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.pretext.base import Optimiser, Pretext, Probability, WeightDecay
from ssal.registry import pretext

Weight = Annotated[float, Field(ge=0)]


@pretext("vicreg")
class VICReg(Pretext):
    """Keeps each projected dimension's variance up and its covariance down while views agree (Bardes et al., 2022).

    Defaults are the authors' for batch 512: 100 epochs, LARS with rate 0.3 per 256 images (0.2 at batch 2048 for 1000
    epochs), weight decay 1e-6, 10 epochs to warm up, loss weights 25, 25 and 1, the second view solarised one time in
    five.
    Differs from the paper: 2048 projected values in place of 8192, as suits small images; blur is off unless asked for;
    the rate ends at zero, theirs at a thousandth.
    """

    saturation = 0.4

    def __init__(
        self,
        backbone: nn.Module,
        views: Views,
        *,
        epochs: Annotated[int, Field(gt=0)] = 100,
        hidden: Annotated[int, Field(gt=0)] = 2048,
        projection: Annotated[int, Field(gt=0)] = 2048,
        invariance_weight: Weight = 25.0,
        variance_weight: Weight = 25.0,
        covariance_weight: Weight = 1.0,
        optimiser: Optimiser = "lars",
        learning_rate: Annotated[float, Field(gt=0)] = 0.3,
        weight_decay: WeightDecay = 1e-6,
        warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.1,
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
        self.projection = VICRegProjectionHead(self.width, hidden, projection)
        self.criterion = VICRegLoss(invariance_weight, variance_weight, covariance_weight)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the weighted sum of distance, lack of variance and covariance of the projections."""
        return self.compared(self.criterion, self.projection, first, second)
