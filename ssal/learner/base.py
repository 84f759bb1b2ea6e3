"""Learner: encoder, head, averaged weights, optimiser. The only base class; a method adds its loss."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ssal import loop
from ssal.data.views import Views
from ssal.learner.schedules import cosine_seven_sixteenths, decayed_groups, move_average, short_schedule_decay


class Network(nn.Module):
    """Encoder, dropout and linear head."""

    def __init__(self, encoder: nn.Module, classes: int, dropout: float) -> None:
        """The head maps the encoder's `num_features` to one logit per class."""
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.num_features, classes)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B,C) and features (B,D) of normalised images."""
        features = self.encoder(images)
        return self.head(self.dropout(features)), features


class Learner(pl.LightningModule):
    """A classifier that trains for a fixed number of steps; what is evaluated are its averaged weights."""

    frozen = False
    """Frozen learners are given the encoder's features as their images."""

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        steps: int,
        batch_size: int,
        unlabelled_batch_size: int,
        learning_rate: float,
        weight_decay: float,
        average_decay: float,
        dropout: float,
    ) -> None:
        """Build the network around `encoder`, which is taken over; initial head weights follow the global stream."""
        super().__init__()
        self.views, self.steps = views, steps
        self.batch_size, self.unlabelled_batch_size = batch_size, unlabelled_batch_size
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.network = Network(encoder, classes, dropout)
        self.average_decay = short_schedule_decay(average_decay, steps)
        # BatchNorm forgets as fast as the weights' average does, as published (0.999 for both), but a decay below 0.9
        # counts as 0.9, PyTorch's momentum of 0.1: without averaging, the last batch alone would be its statistics.
        # The schedule still shortens that: momentum 0.1 for 10 steps would leave a third of the initial statistics.
        momentum = 1 - short_schedule_decay(max(average_decay, 0.9), steps)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.names: tuple[int | str, ...] = ()

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return the method's loss for one batch; `names` is the random stream of the step."""
        raise NotImplementedError

    def fit(
        self,
        batches: Callable[[range], Iterable[Any]],
        folder: Path,
        names: tuple[int | str, ...],
        trainer_options: dict[str, Any],
    ) -> list[float]:
        """Train to the last step, going on from the checkpoint in `folder` where one stands."""
        self.names = names
        return loop.fit(self, self.steps, batches, folder, names, trainer_options)

    def training_step(self, batch: dict[str, Any], index: int) -> Tensor:
        """Compute the loss in the stream of this step."""
        return self.loss(batch, *self.names, "step", self.global_step)

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        """Average the weights after every step."""
        move_average(self.average, self.network, self.average_decay)

    def configure_optimizers(self) -> Any:
        """SGD with Nesterov momentum and the cosine that ends at 7π/16, stepped every batch."""
        optimiser = torch.optim.SGD(
            decayed_groups(self.network, self.weight_decay), lr=self.learning_rate, momentum=0.9, nesterov=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: cosine_seven_sixteenths(min(1.0, step / self.steps))
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features of the averaged weights for stored images, deterministic view."""
        return self.average(self.views.plain(images))

    def predict_step(self, batch: Tensor, index: int) -> dict[str, Tensor]:
        """Return logits and features of one scoring batch."""
        logits, features = self(batch)
        return {"logits": logits, "features": features}
