"""Pretext: backbone, views, optimiser, schedule, and the options all pretexts share. A method adds heads and a loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from lightly.utils.lars import LARS
from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.loop import decayed_groups
from ssal.streams import stream

Optimiser = Literal["sgd", "lars", "adamw"]
Probability = Annotated[float, Field(ge=0, le=1)]
NO_DECAY = "LARS scales only what decays; type 1.0e-6 or more, or optimiser=sgd"


def _fits_optimiser(weight_decay: float, options: ValidationInfo) -> float:
    """Return the option unless it is 0 under LARS, which would be plain SGD at LARS's large rate."""
    if options.data.get("optimiser") == "lars" and not weight_decay:
        raise PydanticCustomError("no_decay", NO_DECAY)
    return weight_decay


WeightDecay = Annotated[float, Field(ge=0), AfterValidator(_fits_optimiser)]
"""Type of the option in a signature, where it stands after `optimiser`: checks see what is before them. So a method
with a weight decay of its own declares its optimiser, too."""


def warm_cosine(step: int, steps: int, warm_up: int) -> float:
    """Return the learning-rate factor: linear over `warm_up` steps, then a half cosine to zero."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def half_cosine(start: float, end: float, progress: float) -> float:
    """Return a value that goes from `start` to `end` by a half cosine while `progress` goes from 0 to 1."""
    return end - (end - start) * (math.cos(math.pi * progress) + 1) / 2


def spread(projections: Tensor) -> Tensor:
    """Return the mean per-dimension deviation of L2-normalised projections (B,D), times √D.

    About 1 when they fill the sphere, 0 when they have collapsed to a point.
    """
    return nn.functional.normalize(projections.detach().float(), dim=1).std(dim=0).mean() * projections.shape[1] ** 0.5


class Pretext(pl.LightningModule):
    """Trains `backbone` on two random views of every image, without labels."""

    saturation = 0.8
    """Jitter of the saturation per unit of `strength`; some methods' authors halved it."""

    def __init__(
        self,
        backbone: nn.Module,
        views: Views,
        *,
        epochs: Annotated[int, Field(gt=0)] = 200,
        max_steps: Annotated[int, Field(gt=0)] | None = None,
        batch_size: Annotated[int, Field(gt=1)] = 512,
        optimiser: Optimiser = "sgd",
        learning_rate: Annotated[float, Field(gt=0)] = 0.03,
        weight_decay: WeightDecay = 5e-4,
        warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        strength: Probability = 0.5,
        min_scale: Annotated[float, Field(gt=0, le=1)] = 0.08,
        blur: Probability = 0.0,
        steps: int,
    ) -> None:
        """`learning_rate` is per 256 images of a batch; `warm_up` is a share of the steps.

        The stage turns `epochs`, and `max_steps` where given, into `steps`.
        """
        super().__init__()
        if optimiser == "lars" and not weight_decay:
            raise BadInput(f"pretext.weight_decay: {NO_DECAY}")  # for callers without a recipe
        self.backbone, self.views, self.steps, self.batch_size = backbone, views, steps, batch_size
        self.width: int = backbone.num_features  # type: ignore[assignment]
        self.optimiser, self.weight_decay, self.warm_up = optimiser, weight_decay, warm_up
        self.learning_rate = learning_rate * batch_size / 256
        options = {"strength": strength, "saturation": self.saturation, "min_scale": min_scale, "blur": blur}
        self.view_options: tuple[dict[str, Any], dict[str, Any]] = (options, dict(options))
        self.names: tuple[int | str, ...] = ()
        self.register_buffer("spread", torch.tensor(1.0))

    def differ(self, **options: tuple[float, float]) -> None:
        """Give the first and the second view options of their own, as pairs."""
        for name, pair in options.items():
            for of_view, value in zip(self.view_options, pair, strict=True):
                of_view[name] = value

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the method's loss for two batches of views of the same images."""
        raise NotImplementedError

    def refer(self, first: Tensor, second: Tensor, rows: Tensor) -> None:
        """Be shown two views of the pool's `rows` (M,) that `image_losses` contrasts images with; most need none."""

    def image_losses(self, first: Tensor, second: Tensor, rows: Tensor) -> Tensor:
        """Return the loss of every single image (B,), given two views and its row of the pool, in eval mode.

        It does not depend on the other images of the batch. Only pretexts filed with `image_losses=True` have it.
        """
        raise NotImplementedError

    def compared(
        self, criterion: Callable[[Tensor, Tensor], Tensor], projection: nn.Module, first: Tensor, second: Tensor
    ) -> Tensor:
        """Return a criterion of two views' projections, in float32: bfloat16 has too few digits for sums over a batch.

        Each view has BatchNorm statistics of its own.
        """
        projections = [projection(self.backbone(view)) for view in (first, second)]
        self.track(projections[0])
        with torch.autocast(first.device.type, enabled=False):
            return criterion(projections[0].float(), projections[1].float())

    def two_views(self, images: Tensor, first_seed: int, second_seed: int) -> tuple[Tensor, Tensor]:
        """Return two normalised random views of stored images."""
        drawn = zip((first_seed, second_seed), self.view_options, strict=True)
        first, second = (self.views.contrastive(images, seed, **options) for seed, options in drawn)
        return first, second

    def seed(self, view: int) -> int:
        """Return the seed of a view of this step, counted from 1."""
        return stream(*self.names, "step", self.global_step, "view", view)

    def draw(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the views of this step, as `loss` takes them."""
        return self.two_views(images, self.seed(1), self.seed(2))

    def training_step(self, batch: dict[str, Any], index: int) -> Tensor:
        """Draw the views in the streams of this step and compare them."""
        with torch.no_grad():
            views = self.draw(batch["images"])
        return self.loss(*views)

    def groups(self) -> list[dict[str, Any]]:
        """Return the optimiser's groups; one that says `steady` keeps its learning rate."""
        return decayed_groups(self, self.weight_decay)

    def configure_optimizers(self) -> Any:
        """SGD or LARS with momentum 0.9, or AdamW; linear warm-up, then a cosine, stepped every batch."""
        algorithms = {"sgd": partial(torch.optim.SGD, momentum=0.9), "lars": partial(LARS, momentum=0.9)}
        optimiser = algorithms.get(self.optimiser, torch.optim.AdamW)(self.groups(), lr=self.learning_rate)
        warm = round(self.warm_up * self.steps)
        factors = [
            (lambda step: 1.0) if group.get("steady") else (lambda step: warm_cosine(step, self.steps, warm))
            for group in optimiser.param_groups
        ]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factors)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def track(self, projections: Tensor, measure: Callable[[Tensor], Tensor] = spread) -> None:
        """Follow the spread of the projections, or another `measure` of theirs; near 0 is the sign of a collapse."""
        if self.training:
            self.spread.lerp_(measure(projections.detach()), 0.1)  # type: ignore[operator]
