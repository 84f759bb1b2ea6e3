"""SimCLR: two views of an image attract, all other images of the batch repel."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.pretext.base import Optimiser, Pretext, WeightDecay
from ssal.pretext.image_losses import cross_entropy_among
from ssal.registry import pretext


@pretext("simclr", image_losses=True)
class SimCLR(Pretext):
    """Contrasts two strong views of every image against the rest of the batch (Chen et al., 2020).

    Defaults are the authors' for CIFAR-10: batch 512, LARS with rate 1.0 per 256 images, temperature 0.5, jitter
    strength 0.5, no blur, 10 of 1000 epochs warm-up.
    Differs from the authors' code: the loss is the mean over the 2B views where theirs is the sum of two means, which
    is twice as large (LARS does not notice, SGD rates are to be doubled). A single image's loss has the same two views
    of other images for its negatives wherever it stands, as many as a training batch would hold.
    """

    def __init__(
        self,
        backbone: nn.Module,
        views: Views,
        *,
        epochs: Annotated[int, Field(gt=0)] = 1000,
        temperature: Annotated[float, Field(gt=0)] = 0.5,
        projection: Annotated[int, Field(gt=0)] = 128,
        optimiser: Optimiser = "lars",
        learning_rate: Annotated[float, Field(gt=0)] = 1.0,
        weight_decay: WeightDecay = 1e-4,
        warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.01,
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(
            backbone,
            views,
            optimiser=optimiser,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            warm_up=warm_up,
            **shared,
        )
        self.projection = SimCLRProjectionHead(self.width, self.width, projection)
        self.criterion = NTXentLoss(temperature)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the normalised temperature-scaled cross-entropy of the projections."""
        projections = self.project(first, second)
        self.track(projections)
        return self.criterion(*projections.chunk(2))

    def project(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the projections of both views, one after the other."""
        projections: Tensor = self.projection(self.backbone(torch.cat([first, second])))
        return projections

    def refer(self, first: Tensor, second: Tensor, rows: Tensor) -> None:
        """Keep the projections of two views of the images that others are contrasted with."""
        self.others, self.other_rows = self.project(first, second), rows.repeat(2)

    def image_losses(self, first: Tensor, second: Tensor, rows: Tensor) -> Tensor:
        """Return the mean of both views' cross-entropies among 2(batch size - 1) negatives, none of them its own."""
        one, other = self.project(first, second).chunk(2)
        own = rows.to(one.device)[:, None] == self.other_rows.to(one.device)
        count = 2 * (self.batch_size - 1)
        temperature = self.criterion.temperature
        forth, back = (
            cross_entropy_among(*pair, self.others, temperature, count, own) for pair in ((one, other), (other, one))
        )
        return 0.5 * (forth + back)
