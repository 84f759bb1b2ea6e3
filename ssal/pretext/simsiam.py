"""SimSiam: a network predicts its own projection of another view, whose gradient is stopped."""

from __future__ import annotations

from typing import Annotated, Any

from lightly.models.modules import SimSiamPredictionHead, SimSiamProjectionHead
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.loop import decayed_groups
from ssal.pretext.base import Pretext
from ssal.pretext.image_losses import mutual_cosines
from ssal.registry import pretext


@pretext("simsiam", image_losses=True)
class SimSiam(Pretext):
    """Predicts its own projection of another view behind a stopped gradient, with no negatives (Chen and He, 2021).

    Defaults are the paper's for CIFAR-10: 800 epochs, batch 512, SGD with rate 0.03 per 256 images, weight decay 5e-4,
    no warm-up, no blur, crops of 0.2 to 1, 2048 projected values, 512 hidden units of the predictor, whose rate stays
    where it starts.
    Differs from the paper: the projection has the three layers of its ImageNet network, where its CIFAR-10 one has two;
    biases and BatchNorm do not decay.
    """

    def __init__(
        self,
        backbone: nn.Module,
        views: Views,
        *,
        epochs: Annotated[int, Field(gt=0)] = 800,
        projection: Annotated[int, Field(gt=0)] = 2048,
        hidden: Annotated[int, Field(gt=0)] = 512,
        steady_predictor: bool = True,
        min_scale: Annotated[float, Field(gt=0, le=1)] = 0.2,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `steady_predictor` keeps the predictor's learning rate out of the schedule."""
        super().__init__(backbone, views, min_scale=min_scale, **shared)
        self.projection = SimSiamProjectionHead(self.width, projection, projection)
        self.prediction = SimSiamPredictionHead(projection, hidden, projection)
        self.steady_predictor = steady_predictor

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the mean of the two directions' negative cosine similarities."""
        return self.both_ways(first, second).mean()

    def image_losses(self, first: Tensor, second: Tensor, rows: Tensor) -> Tensor:
        """Return the same of every single image; BatchNorm has its running statistics."""
        return self.both_ways(first, second)

    def both_ways(self, first: Tensor, second: Tensor) -> Tensor:
        """Return every image's mean of the two directions' negative cosine similarities (B,)."""
        projections = [self.projection(self.backbone(view)) for view in (first, second)]
        self.track(projections[0])
        predictions = [self.prediction(projection).float() for projection in projections]
        targets = [projection.detach().float() for projection in projections]
        return mutual_cosines(predictions, targets)

    def groups(self) -> list[dict[str, Any]]:
        """Return groups of the encoder and, on their own, of the predictor."""
        encoder = decayed_groups(nn.ModuleList([self.backbone, self.projection]), self.weight_decay)
        predictor = decayed_groups(self.prediction, self.weight_decay)
        return [*encoder, *({**group, "steady": self.steady_predictor} for group in predictor)]
