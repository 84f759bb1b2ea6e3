"""MixMatch: guessed labels are sharpened, and labelled and unlabelled images are mixed with one another."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ssal.data.views import Views
from ssal.learner.guessing import GuessingLearner
from ssal.learner.mixing import interleave, mixing_shares, mixup, statistics_kept
from ssal.learner.targets import linear_ramp, sharpen, soft_cross_entropy, squared_difference
from ssal.loop import decayed_groups
from ssal.registry import learner
from ssal.streams import generator, stream


@learner("mixmatch")
class MixMatch(GuessingLearner):
    """Mixtures of labelled and unlabelled images get mixtures of labels and sharpened guesses (Berthelot et al., 2019).

    A guess is the mean of two weak views' probabilities. Every image and view of the batch is mixed with another one of
    them all; mixtures with a labelled image in front learn by cross-entropy, the others by squared difference, a mean
    over classes and images. Batches are interleaved so that BatchNorm sees all groups in each, and only the first one
    moves its running statistics. Optimiser and defaults are those of the authors' first code on CIFAR-10, not of the
    later one in FixMatch's: Adam at a constant rate with decoupled decay of kernels, and an unlabelled weight that
    rises over 16,384 of 2^20 steps. (`alpha` 0.75 and weight 75 are the paper's and the CIFAR-10 script's; without it
    that code takes 0.5 and 100.)
    Differs from the paper: where there are fewer than 16,384 steps the rise takes all of them, as the full weight makes
    guesses of a network that has learned nothing yet come true; and the averaged weights' decay is scaled to schedules
    shorter than 10,000 steps.
    """

    labelled_first = False  # what passes the network are mixtures

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        mu: Annotated[int, Field(gt=0)] = 1,
        temperature: Annotated[float, Field(gt=0)] = 0.5,
        alpha: Annotated[float, Field(gt=0)] = 0.75,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 75.0,
        warm_up_steps: Annotated[int, Field(ge=0)] = 16_384,
        learning_rate: Annotated[float, Field(gt=0)] = 0.002,
        weight_decay: Annotated[float, Field(ge=0)] = 0.02,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `alpha` is the Beta distribution's.

        `mu` unlabelled images, each in two views, come with every labelled one.
        """
        shared |= {"learning_rate": learning_rate, "weight_decay": weight_decay}
        super().__init__(encoder, views, classes, mu=mu, unlabelled_weight=unlabelled_weight, **shared)
        self.temperature, self.alpha = temperature, alpha
        self.warm_up_steps = min(warm_up_steps, self.steps)

    def _guess(self, views: list[Tensor]) -> Tensor:
        """Return sharpened probabilities (M,C), the mean of the views', aligned first where asked for."""
        with torch.no_grad(), statistics_kept(self.network):
            probabilities = [self.network(view)[0].softmax(dim=1) for view in views]
        return sharpen(self.aligned(torch.stack(probabilities).mean(dim=0)), self.temperature)

    def _mixed_logits(self, mixed: Tensor, size: int) -> Tensor:
        """Return logits of images that pass the network in interleaved batches of `size`."""
        first, *others = interleave(mixed.split(size))
        logits = [self.network(first)[0]]
        with statistics_kept(self.network):
            logits += [self.network(other)[0] for other in others]
        return torch.cat(interleave(logits))

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return cross-entropy of labelled mixtures plus the ramped squared difference of unlabelled ones."""
        labelled = self.views.weak(batch["labelled"], *names, "labelled")
        views = [self.views.weak(batch["unlabelled"], *names, "unlabelled", view) for view in (1, 2)]
        guess = self._guess(views)
        known = one_hot(batch["labels"], guess.shape[1]) * (1 - self.label_smoothing)
        targets = torch.cat([known + self.label_smoothing / guess.shape[1], guess, guess])
        images = torch.cat([labelled, *views])
        partners = torch.randperm(len(images), generator=generator(*names, "partners"))
        shares = mixing_shares(len(images), self.alpha, stream(*names, "shares"))
        mixed, targets = mixup(images, targets, partners, shares)

        size = len(labelled)
        logits = self._mixed_logits(mixed, size)
        supervised = soft_cross_entropy(targets[:size], logits[:size]).mean()
        consistency = squared_difference(targets[size:], logits[size:]).mean()
        weight = self.unlabelled_weight * linear_ramp(self.global_step, self.warm_up_steps)
        return supervised + weight * consistency

    def configure_optimizers(self) -> Any:
        """Adam at a constant rate; kernels shrink by rate × decay every step."""
        return torch.optim.AdamW(decayed_groups(self.network, self.weight_decay), lr=self.learning_rate)
