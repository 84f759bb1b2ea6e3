"""BYOL: one network predicts what a slowly following copy of itself says about another view."""

from __future__ import annotations

import copy
from typing import Annotated, Any

import torch
from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead
from lightly.models.utils import update_momentum
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.pretext.base import Optimiser, Pretext, Probability, WeightDecay, half_cosine
from ssal.pretext.image_losses import mutual_cosines
from ssal.registry import pretext


@pretext("byol", image_losses=True)
class BYOL(Pretext):
    """Predicts a following network's projection of another view, without negatives (Grill et al., 2020).

    Defaults are the authors' 100-epoch preset (LARS, rate 0.45 per 256 images, weight decay 1e-6, target decay 0.99
    rising to 1; their 40-epoch preset has 0.97) with heads of 1024 hidden units as lightly uses at 32 px. The target
    stays in train mode: its BatchNorm statistics are its own.
    Differs from the paper: the loss is half the sum of both directions minus a constant (−cos in place of 2 − 2 cos), a
    quarter of the gradient, to which LARS is blind; blur and solarise are off unless asked for, as small images want.
    """

    saturation = 0.4

    def __init__(
        self,
        backbone: nn.Module,
        views: Views,
        *,
        epochs: Annotated[int, Field(gt=0)] = 100,
        hidden: Annotated[int, Field(gt=0)] = 1024,
        projection: Annotated[int, Field(gt=0)] = 256,
        target_decay_base: Annotated[float, Field(ge=0, lt=1)] = 0.99,
        optimiser: Optimiser = "lars",
        learning_rate: Annotated[float, Field(gt=0)] = 0.45,
        weight_decay: WeightDecay = 1e-6,
        warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        blur: tuple[Probability, Probability] = (0.0, 0.0),
        solarise: tuple[Probability, Probability] = (0.0, 0.0),
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
        self.projection = BYOLProjectionHead(self.width, hidden, projection)
        self.prediction = BYOLPredictionHead(projection, hidden, projection)
        self.target_backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.target_projection = copy.deepcopy(self.projection).requires_grad_(False)
        self.target_decay_base = target_decay_base

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the mean of the two directions' negative cosine similarities."""
        return self.both_ways(first, second).mean()

    def image_losses(self, first: Tensor, second: Tensor, rows: Tensor) -> Tensor:
        """Return the same of every single image; BatchNorm, the target's too, has its running statistics."""
        return self.both_ways(first, second)

    def both_ways(self, first: Tensor, second: Tensor) -> Tensor:
        """Return every image's mean of the two directions' negative cosine similarities (B,)."""
        with torch.no_grad():
            targets = [self.target_projection(self.target_backbone(view)).float() for view in (first, second)]
        projections = [self.projection(self.backbone(view)) for view in (first, second)]
        self.track(projections[0])
        predictions = [self.prediction(projection).float() for projection in projections]
        return mutual_cosines(predictions, targets)

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        """Let the target follow."""
        decay = half_cosine(self.target_decay_base, 1, max(0, self.global_step - 1) / self.steps)  # the step just made
        update_momentum(self.backbone, self.target_backbone, decay)
        update_momentum(self.projection, self.target_projection, decay)
