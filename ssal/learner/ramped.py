"""RampedLearner: labelled cross-entropy plus a term on unlabelled images whose weight rises with the steps."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.mixing import statistics_kept
from ssal.learner.targets import linear_ramp
from ssal.learner.unlabelled import UnlabelledLearner


class RampedLearner(UnlabelledLearner):
    """BatchNorm normalises labelled and unlabelled images apart; its running statistics are those of labelled ones."""

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        mu: Annotated[int, Field(gt=0)] = 1,
        warm_up: Annotated[float, Field(ge=0, le=1)] = 0.4,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `warm_up` is a share of the steps."""
        super().__init__(encoder, views, classes, mu=mu, **shared)
        self.warm_up = warm_up

    def normalised_rows(self) -> Tensor:
        """Return the labelled rows alone."""
        return self.labelled_rows.cpu()

    def unlabelled_loss(self, images: Tensor, *names: int | str) -> Tensor:
        """Return the method's loss for stored unlabelled images; they move no running statistics of the network."""
        raise NotImplementedError

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy of weak views plus the ramped loss of unlabelled images."""
        logits, _ = self.network(self.views.weak(batch["labelled"], *names, "labelled"))
        with statistics_kept(self.network):
            unlabelled = self.unlabelled_loss(batch["unlabelled"], *names, "unlabelled")
        weight = self.unlabelled_weight * linear_ramp(self.global_step, self.warm_up * self.steps)
        return self.labelled_loss(logits, batch["labels"]) + weight * unlabelled
