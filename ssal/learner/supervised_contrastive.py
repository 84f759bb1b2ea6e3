"""Supervised contrastive: cross-entropy, and views of a class that attract each other and repel all others."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.contrasts import add_projection, supervised_contrastive_loss
from ssal.registry import learner
from ssal.streams import stream


@learner("supervised_contrastive")
class SupervisedContrastive(Learner):
    """Adds to `supervised` the contrast of two strong views of its images, class by class (Khosla et al., 2020).

    The contrast's views are the authors' for CIFAR-10: crops of 0.2 to 1 of the area, colour jitter of strength 0.5. It
    is the learner that `scal_similarity` and `scal_reconstruction` were published with (Krishnan et al., 2021).
    Differs from the paper: encoder and classifier train together, the classifier on weak views, where the paper trains
    the classifier afterwards on the frozen encoder; optimiser and schedule are those of `supervised`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        steps: Annotated[int, Field(gt=0)] = 1000,
        contrast_weight: Annotated[float, Field(ge=0)] = 1.0,
        temperature: Annotated[float, Field(gt=0)] = 0.1,
        projection: Annotated[int, Field(gt=0)] = 128,
        strength: Annotated[float, Field(ge=0, le=1)] = 0.5,
        min_scale: Annotated[float, Field(gt=0, le=1)] = 0.2,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `strength` is the jitter's, `min_scale` the smallest share of the area kept."""
        super().__init__(encoder, views, classes, steps=steps, **shared)
        self.contrast_weight, self.temperature = contrast_weight, temperature
        self.view_options = {"strength": strength, "min_scale": min_scale}
        add_projection(self, projection)

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return the cross-entropy of weak views plus the weighted contrast; one forward carries all three views."""
        images, labels = batch["labelled"], batch["labels"]
        weak = self.views.weak(images, *names, "labelled")
        strong = [
            self.views.contrastive(images, stream(*names, "contrast", view), **self.view_options) for view in (1, 2)
        ]
        logits, features = self.network(torch.cat([weak, *strong]))
        vectors = self.network.get_submodule("projection")(features[len(weak) :])
        contrast = supervised_contrastive_loss(vectors, labels.repeat(2), self.temperature)
        return self.labelled_loss(logits[: len(weak)], labels) + self.contrast_weight * contrast
