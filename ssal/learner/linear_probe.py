"""Linear probe: logistic regression on the frozen encoder's features."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.registry import learner


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


@learner("linear_probe", frozen=True)
class LinearProbe(Learner):
    """L2-regularised multinomial logistic regression on frozen features, solved to its optimum (Chen et al., 2020).

    Differs from the paper: solved by L-BFGS on standardised features without views, as suits few labels, instead of
    trained by SGD for 100 epochs.
    """

    frozen = True

    def __init__(
        self, encoder: nn.Module, views: Views, classes: int, *, penalty: Annotated[float, Field(gt=0)] = 1.0
    ) -> None:
        """Take the recipe's options; `penalty` is the inverse of scikit-learn's C."""
        super().__init__(
            encoder,
            views,
            classes,
            steps=1,
            batch_size=0,
            unlabelled_batch_size=0,
            learning_rate=1.0,
            weight_decay=0.0,
            average_decay=0.0,
            dropout=0.0,
        )
        self.penalty = penalty

    def fit(
        self,
        batches: Callable[[range], Iterable[Any]],
        folder: Path,
        names: tuple[int | str, ...],
        trainer_options: dict[str, Any],
    ) -> list[float]:
        """Solve for the head at once; the one batch holds every labelled feature vector."""
        (batch,) = batches(range(1))
        head = self.network.head
        features, labels = batch["labelled"].cpu().float(), batch["labels"].cpu()
        weight, bias = solve_head(features, labels, head.out_features, self.penalty)
        with torch.no_grad():
            head.weight.copy_(weight)
            head.bias.copy_(bias)
        self.average = copy.deepcopy(self.network)
        return []
