"""UnlabelledLearner: unlabelled images come with every labelled one, and what they teach has a weight."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import nn

from ssal.data.views import Views
from ssal.learner.base import Learner


class UnlabelledLearner(Learner):
    """What learners with a term on unlabelled images share: how many of them a batch holds, and the term's weight."""

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        mu: Annotated[int, Field(gt=0)] = 7,
        unlabelled_weight: Annotated[float, Field(ge=0)] = 1.0,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `mu` unlabelled images come with every labelled one."""
        super().__init__(encoder, views, classes, **shared)
        self.unlabelled_batch_size = mu * self.batch_size
        self.unlabelled_weight = unlabelled_weight
