"""FrozenLearner: a classifier solved at once on features that stay as the encoder gave them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.neighbours import full_precision

FOLDS = 5
TEMPERATURES = (0.1, 10.0)
"""Where the temperature is searched."""
PRIOR_DEVIATION = 0.5
"""Of log T: without a prior, few images that are all predicted right would take T to 0, and few wrong ones to 10."""


def stratified_folds(labels: Tensor, folds: int = FOLDS) -> Tensor:
    """Return the fold (n,) in which each image is held out; -1, never, where it is the only one of its class.

    Classes are dealt out one after the other, so that each keeps an image in training whatever fold is held out.
    """
    held = torch.full_like(labels, -1)
    order = labels.argsort(stable=True)
    order = order[torch.bincount(labels)[labels[order]] > 1]
    held[order] = torch.arange(len(order)) % folds
    return held


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the T in TEMPERATURES at which softmax(logits / T) best predicts `labels`: likelihood times prior."""
    low, high = (math.log(temperature) for temperature in TEMPERATURES)
    logits = logits.double()

    def cost(log: float) -> float:
        prior = (log / PRIOR_DEVIATION) ** 2 / 2
        return float(cross_entropy(logits / math.exp(log), labels, reduction="sum")) + prior

    return math.exp(minimize_scalar(cost, bounds=(low, high), method="bounded").x)


class FrozenLearner(Learner):
    """Its images are the encoder's features (D,); a method says how to `solve` for its weights or tables.

    Logits may be divided by a temperature that calibrates them (Guo et al., 2017). Differs from the paper: it is
    fitted to labelled images that were held out in turn, as there are no validation labels, and has a prior around 1.
    """

    frozen = True
    labelled_first = False

    def __init__(self, encoder: nn.Module, views: Views, classes: int, *, temperature_scaling: bool = False) -> None:
        """One batch holds every labelled feature vector; nothing is trained by steps."""
        super().__init__(encoder, views, classes, steps=1, average_decay=0.0)
        self.batch_size = 0
        self.temperature_scaling = temperature_scaling
        self.average.register_buffer("temperature", torch.ones(()))

    @property
    def temperature(self) -> Tensor:
        """What logits are divided by ()."""
        return self.average.get_buffer("temperature")

    def tune(self, features: Tensor, labels: Tensor) -> None:
        """Choose what is not given from labelled features (n,D) and class numbers (n,); most methods choose nothing."""

    def solve(self, features: Tensor, labels: Tensor) -> None:
        """Set the parameters or buffers of `self.average` from labelled features (n,D) and class numbers (n,)."""
        raise NotImplementedError

    def held_out(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (m,C) and class numbers (m,) of images that a solution without their fold gave them.

        Empty where that says nothing: one class alone, or no class with two images. Leaves the last fold's solution.
        """
        fold_of = stratified_folds(labels) if len(labels.unique()) > 1 else torch.full_like(labels, -1)
        logits, truth = [features.new_empty(0, self.network.head.out_features)], [labels[:0]]
        for fold in range(FOLDS):
            held = fold_of == fold
            if held.any():
                self.solve(features[~held], labels[~held])
                logits.append(self(features[held])[0])
                truth.append(labels[held])
        return torch.cat(logits), torch.cat(truth)

    @torch.no_grad()
    def fit(
        self,
        batches: Callable[[range], Iterable[Any]],
        folder: Path,
        names: tuple[int | str, ...],
        trainer_options: dict[str, Any],
    ) -> list[float]:
        """Tune, fit the temperature and solve on all labelled features."""
        (batch,) = batches(range(1))
        features, labels = batch["labelled"].cpu().float(), batch["labels"].cpu()
        self.temperature.fill_(1.0)
        self.tune(features, labels)
        if self.temperature_scaling:
            logits, truth = self.held_out(features, labels)
            self.temperature.fill_(best_temperature(logits, truth) if len(truth) else 1.0)
        self.solve(features, labels)
        return []

    @full_precision()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits over the temperature, and the features, which are the images."""
        logits, features = super().forward(images)
        return logits / self.temperature, features

    def facts(self) -> dict[str, Any]:
        """Return the temperature where one was fitted."""
        return {"temperature": float(self.temperature)} if self.temperature_scaling else {}
