"""Learner: encoder, head, averaged weights, optimiser, and the options all learners share. A method adds its loss."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ssal import loop
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.learner.companion import Companion, Companions
from ssal.learner.schedules import cosine_seven_sixteenths, early_decay, move_average, short_schedule_decay
from ssal.loop import decayed_groups


class Network(nn.Module):
    """Encoder, dropout and linear head."""

    def __init__(self, encoder: nn.Module, classes: int, dropout: float) -> None:
        """The head maps the encoder's `num_features` to one logit per class."""
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.num_features, classes)  # type: ignore[arg-type]
        self.companions: Companions | None = None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B,C) and features (B,D) of normalised images, float32 in whatever precision they were made.

        On a CPU softmax would stay in bfloat16, too coarse for differences of probabilities.
        """
        features = self.encoder(images)
        return self.head(self.dropout(features)).float(), features.float()


class Learner(pl.LightningModule):
    """A classifier that trains for a fixed number of steps; what is evaluated are its averaged weights."""

    frozen = False
    """Frozen learners are given the encoder's features as their images."""
    heads: tuple[str, ...] = ("head",)
    """Parts of the network whose rows are classes."""
    teaches = False
    """Whether averaged weights are learned from: they then follow quickly at first, away from the initial weights."""
    steps_before = 0
    """Steps of earlier rounds that the count behind that goes on from."""
    labelled_first = True
    """Whether a step's first forward with gradients begins with the batch's labelled images: companions learn there."""

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        steps: Annotated[int, Field(gt=0)] = 2**20,
        batch_size: Annotated[int, Field(gt=1)] = 64,
        learning_rate: Annotated[float, Field(gt=0)] = 0.03,
        weight_decay: Annotated[float, Field(ge=0)] = 5e-4,
        average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999,
        swa_from: Annotated[float, Field(gt=0, lt=1)] | None = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        class_balanced: bool = False,
        warm_start: bool = False,
    ) -> None:
        """Build the network around `encoder`, which is taken over; initial head weights follow the global stream.

        `swa_from` is the share of the steps after which the rate stays and weights are averaged equally (Izmailov et
        al., 2018) in place of exponentially; `class_balanced` draws every class equally often into labelled batches;
        `warm_start` begins with the weights of the round before.
        """
        super().__init__()
        self.views, self.steps = views, steps
        self.batch_size, self.unlabelled_batch_size = batch_size, 0
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.label_smoothing, self.class_balanced, self.warm_start = label_smoothing, class_balanced, warm_start
        self.network = Network(encoder, classes, dropout)
        self.average_decay = short_schedule_decay(average_decay, steps)
        self.swa_from = None if swa_from is None else min(steps - 1, round(swa_from * steps))
        # BatchNorm forgets as fast as the weights' average does, as published (0.999 for both), but a decay below 0.9
        # counts as 0.9, PyTorch's momentum of 0.1: without averaging, the last batch alone would be its statistics.
        # The schedule still shortens that: momentum 0.1 for 10 steps would leave a third of the initial statistics.
        momentum = 1 - short_schedule_decay(max(average_decay, 0.9), steps)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.names: tuple[int | str, ...] = ()

    def see(self, pool: ImageSet, rows: Tensor, labels: Tensor, unlabelled_rows: Tensor | None = None) -> None:
        """Be shown the pool, and the labelled `rows` of it with their class numbers, before training and scoring.

        Without their labels the images of `unlabelled_rows` are learned from, labelled ones among them and in
        ascending order; all if not given.
        """
        self.pool, self.labelled_rows, self.labels = pool, rows, labels
        self.unlabelled_rows = torch.arange(len(pool)) if unlabelled_rows is None else unlabelled_rows

    def start_from(self, other: Learner) -> None:
        """Begin with the averaged weights of the round before; classes that had no label then keep their first ones.

        Numbers follow from the order of first label, so only those of classes with a label are the same in both.
        """
        state, own = other.average.state_dict(), self.network.state_dict()
        known = int(other.labels.max()) + 1
        for name, value in own.items():
            if name.partition(".")[0] in self.heads:
                value[:known].copy_(state[name][:known])
            else:
                value.copy_(state[name])
        self.average.load_state_dict(own)

    def accompany(self, name: str, kind: type[Companion], options: dict[str, Any]) -> None:
        """Train a head with the network; its first weights follow the global stream.

        Raises BadInput where labelled images do not pass the network first, or it has no feature maps.
        """
        if not self.labelled_first:
            raise BadInput(f"{type(self).__name__} trains no companion: no forward begins with the labelled images")
        online, averaged = (one.companions or Companions(one) for one in (self.network, self.average))
        self.network.companions, self.average.companions = online, averaged
        online.heads[name] = head = kind(online.channels, **options)
        averaged.heads[name] = copy.deepcopy(head).requires_grad_(False)

    def labelled_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy, smoothed as the recipe says."""
        return cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return the method's loss for one batch; `names` is the random stream of the step."""
        raise NotImplementedError

    def joint(self, batch: dict[str, Any], *names: int | str) -> tuple[list[Tensor], list[Tensor]]:
        """Return logits and features, each of labelled images (weak views) and of weak and strong unlabelled views.

        One forward carries all three, so that BatchNorm sees the mixture.
        """
        labelled = self.views.weak(batch["labelled"], *names, "labelled")
        weak = self.views.weak(batch["unlabelled"], *names, "unlabelled")
        strong = self.views.strong(batch["unlabelled"], *names, "unlabelled")
        parts = [len(labelled), len(weak), len(strong)]
        logits, features = self.network(torch.cat([labelled, weak, strong]))
        return list(logits.split(parts)), list(features.split(parts))

    @property
    def class_shares(self) -> Tensor:
        """The labelled images' share of each class (C,)."""
        counts = torch.bincount(self.labels, minlength=self.network.head.out_features)
        return (counts / counts.sum()).to(self.device)

    def facts(self) -> dict[str, Any]:
        """Return what the method chose by itself in `fit`, for the training's record."""
        return {}

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

    def normalised_rows(self) -> Tensor:
        """Return the rows of the pool whose images move BatchNorm's running statistics in training."""
        return (self.unlabelled_rows if self.unlabelled_batch_size else self.labelled_rows).cpu()

    @torch.no_grad()
    def on_train_end(self) -> None:
        """Compute BatchNorm's statistics for equally averaged weights, which never ran.

        They are those of weak views of the images that moved them in training.
        """
        layers = [module for module in self.average.modules() if isinstance(module, nn.BatchNorm2d)]
        if self.swa_from is None or not layers:
            return
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean over all batches, which are of one size for that
        self.average.train()
        rows = self.normalised_rows()
        for number, part in enumerate(rows.tensor_split(max(1, round(len(rows) / 500)))):
            images = self.pool.fetch(part).to(self.device)
            self.average(self.views.weak(images, *self.names, "statistics", number))

    def training_step(self, batch: dict[str, Any], index: int) -> Tensor:
        """Compute the loss in the stream of this step, and that of companions."""
        names = (*self.names, "step", self.global_step)
        if self.network.companions is None:
            return self.loss(batch, *names)
        with self.network.companions.watching(rows=len(batch["labels"])):
            loss = self.loss(batch, *names)
        return loss + self.network.companions.loss(batch["labels"], self.global_step / self.steps)

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        """Average the weights after every step."""
        decay = self.average_decay
        if self.swa_from is not None and (self.global_step > self.swa_from or not self.teaches):
            decay = 1 - 1 / max(1, self.global_step - self.swa_from)  # of n networks since then, the newest counts 1/n
        elif self.teaches:
            decay = early_decay(self.steps_before + self.global_step, decay)
        move_average(self.average, self.network, decay)

    def configure_optimizers(self) -> Any:
        """SGD with Nesterov momentum and the cosine that ends at 7π/16 (or where SWA begins), stepped every batch."""
        return self.scheduled(
            torch.optim.SGD(
                decayed_groups(self.network, self.weight_decay), lr=self.learning_rate, momentum=0.9, nesterov=True
            )
        )

    def scheduled(self, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        """Return what Lightning takes: an optimiser under the schedule that all learners share."""
        last = self.steps if self.swa_from is None else self.swa_from
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: cosine_seven_sixteenths(min(last, step) / self.steps)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features of the averaged weights for stored images, deterministic view."""
        if self.average.companions is None:
            return self.average(self.views.plain(images))
        with self.average.companions.watching(batch=images):
            return self.average(self.views.plain(images))

    def says(self, companion: str, images: Tensor) -> Tensor:
        """Return a companion's rows for stored images; the forward that scored the same batch serves here, too.

        Raises BadInput where this learner was trained without it.
        """
        companions = self.average.companions
        if companions is None or companion not in companions.heads:
            raise BadInput(
                f"{companion}: this learner was trained without it; type signals.{companion}={{}} in the recipe that "
                "trains it"
            )
        if companions.batch is not images:
            Learner.forward(self, images)
        return companions.heads[companion](companions.maps)

    def predict_step(self, batch: Tensor, index: int) -> dict[str, Tensor]:
        """Return logits and features of one scoring batch."""
        logits, features = self(batch)
        return {"logits": logits, "features": features}
