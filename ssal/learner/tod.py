"""TOD: two heads and averaged weights must agree on every image's logits; each round goes on from the last."""

from __future__ import annotations

import copy
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.mixing import statistics_kept
from ssal.learner.unlabelled import UnlabelledLearner
from ssal.registry import learner


def output_discrepancy(scores: Tensor, second: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared differences of logits (B,C), first to second head plus second head to the teacher's.

    Both heads learn from the first term; the teacher gets no gradient.
    """
    return mse_loss(scores, second) + mse_loss(second, teacher.detach())


@learner("tod")
class TemporalOutputDiscrepancy(UnlabelledLearner):
    """A second head ties logits of labelled and unlabelled images to those of averaged weights (Huang et al., 2021).

    All three see the same weak view. The averaged weights see it as in training, normalised by each batch's own
    statistics. Every round goes on from the weights of the round before, with a new optimiser and schedule, because
    the strategy `tod` compares the two rounds' outputs, and two networks that started apart differ for other reasons;
    `warm_start: false` trains each round afresh. The count of steps behind the early average goes on, too.
    Differs from the paper: the averaged weights are what is evaluated and compared, and what the next round goes on
    from (in the paper, the trained ones); optimiser and schedule are FixMatch's; the decay is scaled to schedules
    shorter than 10,000 steps; labelled images are part of the unlabelled stream, too, and all of the pool is (in the
    paper's code, as long as nothing was asked for, always the same 128 images).
    """

    heads = ("head", "second_head")
    teaches = True

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        mu: Annotated[int, Field(gt=0)] = 1,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 0.02,
        warm_start: bool = True,
        **shared: Any,
    ) -> None:
        """Take the recipe's options.

        The paper's `unlabelled_weight` is 0.02 for CIFAR-10, 0.05 for CIFAR-100, 0.005 for SVHN, 0.1 for Caltech-101.
        """
        shared |= {"warm_start": warm_start}
        super().__init__(encoder, views, classes, mu=mu, unlabelled_weight=unlabelled_weight, **shared)
        second_head = nn.Linear(self.network.head.in_features, classes)
        # Parts of the network, so that they are optimised, averaged, saved and warm-started with it.
        self.network.add_module("second_head", second_head)
        self.average.add_module("second_head", copy.deepcopy(second_head).requires_grad_(False))
        for network in (self.network, self.average):
            network.register_buffer("steps_taken", torch.tensor(self.steps))

    def start_from(self, other: Learner) -> None:
        """Begin with the averaged weights of the round before, and count on from its steps."""
        super().start_from(other)
        self.steps_before = int(other.average.get_buffer("steps_taken"))
        for network in (self.network, self.average):
            network.get_buffer("steps_taken").fill_(self.steps_before + self.steps)

    def discrepancy(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B,C) of a view and how far heads and averaged weights are apart on it."""
        logits, features = self.network(view)
        second = self.network.get_submodule("second_head")(self.network.dropout(features)).float()
        with torch.no_grad(), statistics_kept(self.average):
            teacher = self.average(view)[0]
        return logits, output_discrepancy(logits, second, teacher)

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy plus the weighted discrepancies of labelled and of unlabelled images."""
        logits, labelled = self.discrepancy(self.views.weak(batch["labelled"], *names, "labelled"))
        _, unlabelled = self.discrepancy(self.views.weak(batch["unlabelled"], *names, "unlabelled"))
        return self.labelled_loss(logits, batch["labels"]) + self.unlabelled_weight * (labelled + unlabelled)
