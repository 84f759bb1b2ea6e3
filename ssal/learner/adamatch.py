"""AdaMatch: FixMatch with aligned guesses, a threshold relative to labelled images, and interpolated logits."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.mixing import statistics_kept
from ssal.learner.schedules import short_schedule_decay
from ssal.learner.targets import RecentMean, align, confident_cross_entropy, half_cosine_ramp
from ssal.learner.unlabelled import UnlabelledLearner
from ssal.registry import learner
from ssal.streams import generator


def relative_threshold(probabilities: Tensor, share: float) -> Tensor:
    """Return `share` of the mean confidence of labelled images' probabilities (B,C)."""
    return share * probabilities.amax(dim=1).mean()


@learner("adamatch")
class AdaMatch(UnlabelledLearner):
    """Aligned guesses above a share of the labelled images' confidence teach strong views (Berthelot et al., 2022).

    Labelled logits are drawn, number by number, from between those of a batch with and without unlabelled images, whose
    BatchNorm statistics differ; only the whole batch moves the running ones. Labelled images are learned in a weak and
    a strong view, and the unlabelled weight rises by half a cosine over the first half of the steps. Defaults are the
    authors' for semi-supervised learning.
    Differs from the paper: RandAugment in place of CTAugment, the rate ends at 0.195 and not at 0.25 of its start, and
    the labelled average's decay of 0.999 is scaled to schedules shorter than 10,000 steps.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        mu: Annotated[int, Field(gt=0)] = 3,
        threshold_share: Annotated[float, Field(ge=0, le=1)] = 0.9,
        alignment_batches: Annotated[int, Field(gt=0)] = 128,
        weight_decay: Annotated[float, Field(ge=0)] = 1e-3,
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(encoder, views, classes, mu=mu, weight_decay=weight_decay, **shared)
        self.threshold_share = threshold_share
        self.labelled_decay = short_schedule_decay(0.999, self.steps)
        self.register_buffer("labelled_mean", torch.full((classes,), 1 / classes))
        self.labelled_mean: Tensor
        self.unlabelled_mean = RecentMean(classes, alignment_batches, start=1 / classes)

    def _weak_and_strong(self, images: Tensor, *names: int | str) -> Tensor:
        return torch.cat([self.views.weak(images, *names), self.views.strong(images, *names)])

    def _logits_of_labelled_alone(self, images: Tensor) -> Tensor:
        """Return logits under the images' own BatchNorm statistics, and leave the running ones as they are."""
        with statistics_kept(self.network):
            return self.network(images)[0]

    @torch.no_grad()
    def _aligned(self, probabilities: Tensor, labelled: Tensor) -> Tensor:
        """Return probabilities (M,C) of unlabelled images, aligned to those of labelled ones (B,C) over time.

        Batches with all classes drawn equally often do not say how frequent they are; then the labels' own shares do.
        """
        self.labelled_mean.mul_(self.labelled_decay).add_(labelled.mean(dim=0), alpha=1 - self.labelled_decay)
        wanted = self.class_shares if self.class_balanced else self.labelled_mean
        return align(probabilities, wanted, self.unlabelled_mean(probabilities))

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy of both views plus the ramped term of unlabelled images."""
        labelled = self._weak_and_strong(batch["labelled"], *names, "labelled")
        unlabelled = self._weak_and_strong(batch["unlabelled"], *names, "unlabelled")
        together, _ = self.network(torch.cat([labelled, unlabelled]))
        together, unlabelled_logits = together.split([len(labelled), len(unlabelled)])
        alone = self._logits_of_labelled_alone(labelled)
        share = torch.rand(alone.shape, generator=generator(*names, "interpolation")).to(alone.device)
        labelled_logits = torch.lerp(together, alone, share)

        weak_logits, strong_logits = unlabelled_logits.chunk(2)
        sure = labelled_logits.detach().chunk(2)[0].softmax(dim=1)
        guesses = self._aligned(weak_logits.detach().softmax(dim=1), sure)
        consistency = confident_cross_entropy(guesses, strong_logits, relative_threshold(sure, self.threshold_share))
        weight = self.unlabelled_weight * half_cosine_ramp(self.global_step, self.steps / 2)
        return self.labelled_loss(labelled_logits, batch["labels"].repeat(2)) + weight * consistency
