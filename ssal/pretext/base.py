"""Pretext: a backbone, its projection, an optimiser with warm-up and cosine. A method adds heads and a loss."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from lightly.utils.lars import LARS
from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.streams import stream

Optimiser = Literal["sgd", "lars"]
NO_DECAY = "LARS scales only what decays; type 1.0e-6 or more, or optimiser=sgd"


def _fits_optimiser(weight_decay: float, options: ValidationInfo) -> float:
    """Return the option unless it is 0 under LARS, which would be plain SGD at LARS's large rate."""
    if options.data.get("optimiser") == "lars" and not weight_decay:
        raise PydanticCustomError("no_decay", NO_DECAY)
    return weight_decay


WeightDecay = Annotated[float, Field(ge=0), AfterValidator(_fits_optimiser)]
"""Type of the option in a method's signature, where it stands after `optimiser`: checks see what is before them."""


def warm_cosine(step: int, steps: int, warm_up: int) -> float:
    """Return the learning-rate factor: linear over `warm_up` steps, then a half cosine to zero."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def spread(projections: Tensor) -> Tensor:
    """Return the mean per-dimension deviation of L2-normalised projections (B,D), times √D.

    About 1 when they fill the sphere, 0 when they have collapsed to a point.
    """
    return nn.functional.normalize(projections.detach().float(), dim=1).std(dim=0).mean() * projections.shape[1] ** 0.5


class Pretext(pl.LightningModule):
    """Trains `backbone` on two random views of every image, without labels."""

    def __init__(
        self,
        backbone: nn.Module,
        views: Views,
        *,
        steps: int,
        batch_size: int,
        optimiser: Optimiser,
        learning_rate: float,
        weight_decay: float,
        warm_up: float,
    ) -> None:
        """`learning_rate` is per 256 images of a batch; `warm_up` is a share of the steps."""
        super().__init__()
        if optimiser == "lars" and not weight_decay:
            raise BadInput(f"pretext.weight_decay: {NO_DECAY}")  # for callers without a recipe
        self.backbone, self.views, self.steps, self.batch_size = backbone, views, steps, batch_size
        self.optimiser, self.weight_decay, self.warm_up = optimiser, weight_decay, warm_up
        self.learning_rate = learning_rate * batch_size / 256
        self.names: tuple[int | str, ...] = ()
        self.register_buffer("spread", torch.tensor(1.0))

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the method's loss for two batches of views of the same images."""
        raise NotImplementedError

    def two_views(self, images: Tensor, first_seed: int, second_seed: int) -> tuple[Tensor, Tensor]:
        """Return two normalised random views of stored images."""
        raise NotImplementedError

    def training_step(self, batch: dict[str, Any], index: int) -> Tensor:
        """Draw two views in the stream of this step and compare them."""
        seeds = (stream(*self.names, "step", self.global_step, "view", view) for view in (1, 2))
        with torch.no_grad():
            first, second = self.two_views(batch["images"], *seeds)
        return self.loss(first, second)

    def configure_optimizers(self) -> Any:
        """SGD or LARS with momentum 0.9; biases and BatchNorm neither decay nor are scaled by LARS."""
        parameters = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        kernels = {"params": [p for _, p in parameters if p.ndim > 1], "weight_decay": self.weight_decay}
        others = {"params": [p for _, p in parameters if p.ndim <= 1], "weight_decay": 0.0}
        algorithm = LARS if self.optimiser == "lars" else torch.optim.SGD
        optimiser = algorithm([kernels, others], lr=self.learning_rate, momentum=0.9)
        warm = round(self.warm_up * self.steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, self.steps, warm))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def track(self, projections: Tensor) -> None:
        """Follow the spread of the projections, the sign of a collapse."""
        self.spread.lerp_(spread(projections), 0.1)  # type: ignore[operator]
