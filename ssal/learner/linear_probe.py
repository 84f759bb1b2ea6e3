"""Linear probe: logistic regression on the frozen encoder's features."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ssal.data.views import Views
from ssal.learner.frozen import FrozenLearner
from ssal.registry import learner

Penalty = Annotated[float, Field(gt=0)]


def solve_head(features: Tensor, labels: Tensor, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Return weight (C,D) and bias (C) of logistic regression with L2 `penalty` on standardised features.

    The standardisation is folded into the weights, so they apply to raw features. Classes without a label get a
    bias of -1e4: they are never predicted. One class alone gets all probability.
    """
    mean, scale = features.mean(dim=0), features.std(dim=0, correction=0)
    scale = torch.where(scale > 1e-8, scale, torch.ones_like(scale))
    weight = torch.zeros(classes, features.shape[1])
    bias = torch.full((classes,), -1e4)
    seen = labels.unique()
    if len(seen) == 1:
        bias[seen] = 0.0
        return weight, bias
    standard = ((features - mean) / scale).double().numpy()
    solver = LogisticRegression(C=1 / penalty, max_iter=1000).fit(standard, labels.numpy())
    coefficients, intercepts = solver.coef_, solver.intercept_
    if len(seen) == 2:  # scikit-learn keeps one row for two classes
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercepts = np.hstack([-intercepts, intercepts]) / 2
    raw = torch.from_numpy(coefficients).float() / scale
    weight[seen] = raw
    bias[seen] = torch.from_numpy(intercepts).float() - raw @ mean
    return weight, bias


@learner("linear_probe", frozen=True, moments=True)
class LinearProbe(FrozenLearner):
    """L2-regularised multinomial logistic regression on frozen features, solved to its optimum (Chen et al., 2020).

    Differs from the paper: solved by L-BFGS on standardised features without views, as suits few labels, instead of
    trained by SGD for 100 epochs.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        penalty: Penalty = 1.0,
        penalties: tuple[Penalty, ...] = (),
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `penalty` is the inverse of scikit-learn's C.

        Of `penalties`, where there are any, every round takes the one with the fewest mistakes on labelled images that
        are held out in turn; of equal ones the one under which their labels are most likely, or else the stronger one.
        It is `penalty` where no image can be held out.
        """
        super().__init__(encoder, views, classes, **shared)
        self.penalty, self.penalties = penalty, sorted(penalties, reverse=True)

    def tune(self, features: Tensor, labels: Tensor) -> None:
        """Choose the penalty."""
        given = self.penalty
        found: dict[float, tuple[int, float]] = {}
        for penalty in self.penalties:
            self.penalty = penalty
            logits, truth = self.held_out(features, labels)
            if len(truth):
                found[penalty] = int((logits.argmax(dim=1) != truth).sum()), float(cross_entropy(logits, truth))
        self.penalty = min(found, key=found.__getitem__, default=given)

    def solve(self, features: Tensor, labels: Tensor) -> None:
        """Solve for the head."""
        head = self.average.head
        weight, bias = solve_head(features, labels, head.out_features, self.penalty)
        head.weight.copy_(weight)
        head.bias.copy_(bias)

    def facts(self) -> dict[str, Any]:
        """Return the penalty that was chosen, too."""
        return {**super().facts(), **({"penalty": self.penalty} if self.penalties else {})}
