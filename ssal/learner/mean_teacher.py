"""Mean Teacher: averaged weights tell the trained ones what another view of an image shows."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.mixing import statistics_kept
from ssal.learner.ramped import RampedLearner
from ssal.learner.targets import squared_difference
from ssal.registry import learner


@learner("mean_teacher")
class MeanTeacher(RampedLearner):
    """Probabilities that the averaged weights give one weak view are the target of another (Tarvainen & Valpola, 2017).

    The teacher is what is evaluated, too. It sees its views as in training, with dropout and each batch's own BatchNorm
    statistics; the running ones are those of labelled images. The squared difference is a mean over classes and images.
    Where `swa_from` is given, the teacher is the equal average from there on.
    Differs from the paper: weight 50 reached linearly after 40 % of the steps (100 after 5 epochs by a sigmoid in the
    paper's code), weak views without further noise, and optimiser and schedule are FixMatch's; all as FixMatch's
    authors run it (Sohn et al., 2020). The decay is 0.999 throughout, scaled to schedules shorter than 10,000 steps.
    """

    teaches = True

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 50.0,
        **shared: Any,
    ) -> None:
        """Take the recipe's options."""
        super().__init__(encoder, views, classes, unlabelled_weight=unlabelled_weight, **shared)

    def unlabelled_loss(self, images: Tensor, *names: int | str) -> Tensor:
        """Return the mean squared difference of one view's probabilities to the teacher's of another."""
        first, second = (self.views.weak(images, *names, view) for view in (1, 2))
        with torch.no_grad(), statistics_kept(self.average):
            targets = self.average(first)[0].softmax(dim=1)
        return squared_difference(targets, self.network(second)[0]).mean()
