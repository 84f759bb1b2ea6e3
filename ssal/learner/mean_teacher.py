"""Mean Teacher: averaged weights tell the trained ones what another view of an image shows."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.mixing import statistics_kept
from ssal.learner.schedules import move_average
from ssal.learner.targets import linear_ramp, squared_difference
from ssal.registry import learner


def early_decay(step: int, decay: float) -> float:
    """Return the averaging decay after `step` steps: min(1 − 1/(step + 1), decay), an equal average at first."""
    return min(1 - 1 / (step + 1), decay)


@learner("mean_teacher")
class MeanTeacher(Learner):
    """Probabilities that the averaged weights give one weak view are the target of another (Tarvainen & Valpola, 2017).

    The teacher is what is evaluated, too. It sees its views as in training, with dropout and each batch's own BatchNorm
    statistics; the running ones are those of labelled images. The squared difference is a mean over classes and images.
    Where `swa_from` is given, the teacher is the equal average from there on.
    Differs from the paper: weight 50 reached linearly after 40 % of the steps (100 after 5 epochs by a sigmoid in the
    paper's code), weak views without further noise, and optimiser and schedule are FixMatch's; all as FixMatch's
    authors run it (Sohn et al., 2020). The decay is 0.999 throughout, scaled to schedules shorter than 10,000 steps.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        mu: Annotated[int, Field(gt=0)] = 1,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 50.0,
        warm_up: Annotated[float, Field(ge=0, le=1)] = 0.4,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `mu` unlabelled images come with every labelled one; `warm_up` is a share."""
        super().__init__(encoder, views, classes, **shared)
        self.unlabelled_batch_size = mu * self.batch_size
        self.unlabelled_weight, self.warm_up = unlabelled_weight, warm_up

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy plus the ramped difference to the teacher."""
        labelled_logits, _ = self.network(self.views.weak(batch["labelled"], *names, "labelled"))
        first, second = (self.views.weak(batch["unlabelled"], *names, "unlabelled", view) for view in (1, 2))
        with torch.no_grad(), statistics_kept(self.average):
            targets = self.average(first)[0].softmax(dim=1)
        with statistics_kept(self.network):
            logits, _ = self.network(second)
        weight = self.unlabelled_weight * linear_ramp(self.global_step, self.warm_up * self.steps)
        unlabelled = squared_difference(targets, logits).mean()
        return self.labelled_loss(labelled_logits, batch["labels"]) + weight * unlabelled

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        """Let the teacher follow: quickly at first, so that it does not teach the initial weights."""
        if self.swa_from is not None and self.global_step > self.swa_from:
            super().on_train_batch_end(outputs, batch, index)
        else:
            move_average(self.average, self.network, early_decay(self.global_step, self.average_decay))
