"""FlexMatch: FixMatch with a threshold per class, lower where the class has been learned less."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.guessing import GuessingLearner
from ssal.learner.targets import confident_cross_entropy
from ssal.registry import learner


def class_thresholds(counts: Tensor, threshold: float, warm_up: bool) -> Tensor:
    """Return the threshold of every class (C,) from how many pool images it was last surely given (C+1,).

    The last of `counts` is that of images without a class: with `warm_up` they hold thresholds down while they are
    more than any class has. τ_c = τ · β/(2 − β), where β is the class's count over the highest one.
    """
    highest = counts.max() if warm_up else counts[:-1].max()
    learned = counts[:-1] / highest.clamp_min(1)
    return threshold * learned / (2 - learned)


@learner("flexmatch")
class FlexMatch(GuessingLearner):
    """FixMatch whose thresholds follow how much of every class has been learned (Zhang et al., 2021).

    It remembers the last prediction that reached the fixed threshold for every image of the pool; thresholds of a step
    follow from what was remembered before it.
    Differs from the paper: EMA decay and BatchNorm momentum are scaled to schedules shorter than 10,000 steps.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.95,
        threshold_warm_up: bool = True,
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(encoder, views, classes, **shared)
        self.threshold, self.threshold_warm_up = threshold, threshold_warm_up
        self.assigned: Tensor
        """Class number of every pool image (n,); C while it has none."""
        self.counts: Tensor
        """How many images have each of these numbers (C+1,)."""

    def see(self, pool: ImageSet, rows: Tensor, labels: Tensor, unlabelled_rows: Tensor | None = None) -> None:
        """Remember no class for any image of the pool."""
        super().see(pool, rows, labels, unlabelled_rows)
        none = self.network.head.out_features
        self.register_buffer("assigned", torch.full((len(pool),), none, device=self.device))
        self.register_buffer("counts", torch.bincount(self.assigned[self.unlabelled_rows], minlength=none + 1))

    @torch.no_grad()
    def assign(self, rows: Tensor, classes: Tensor, sure: Tensor) -> None:
        """Remember `classes` (M,) of pool `rows` (M,) where they are `sure` (M,).

        An image that stands in the batch twice, as it does in a pool smaller than a batch, keeps its last sure class.
        """
        rows, entry = (part.to(classes.device) for part in rows.unique(return_inverse=True))
        places = torch.arange(len(classes), device=classes.device).where(sure, -1)
        last = torch.full_like(rows, -1).scatter_reduce(0, entry, places, "amax")
        before = self.assigned[rows]
        after = torch.where(last >= 0, classes[last], before)
        self.assigned[rows] = after
        one = torch.ones_like(after)
        self.counts.index_add_(0, before, -one).index_add_(0, after, one)

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy plus the weighted FixMatch term under the thresholds of the classes."""
        (labelled_logits, weak_logits, strong_logits), _ = self.joint(batch, *names)
        probabilities = self.guessed(weak_logits)
        confidence, classes = probabilities.max(dim=1)
        thresholds = class_thresholds(self.counts, self.threshold, self.threshold_warm_up)[classes]
        unlabelled = confident_cross_entropy(probabilities, strong_logits, thresholds)
        self.assign(batch["unlabelled_rows"], classes, confidence >= self.threshold)
        return self.labelled_loss(labelled_logits, batch["labels"]) + self.unlabelled_weight * unlabelled
