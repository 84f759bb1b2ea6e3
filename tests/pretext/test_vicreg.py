"""VICReg: worked numbers and the formula of the paper."""

from __future__ import annotations

import pytest
import torch
from tiny_pretexts import make
from torch import Tensor, nn
from torch.nn.functional import relu

from ssal.backbones import Identity
from ssal.pretext.vicreg import VICReg


def loss(first: Tensor, second: Tensor, invariance: float, variance: float, covariance: float) -> float:
    weights = {"invariance_weight": invariance, "variance_weight": variance, "covariance_weight": covariance}
    module = make("vicreg", Identity(first.shape[1]), projection=8, **weights)
    assert isinstance(module, VICReg)
    module.projection = nn.Identity()  # type: ignore[assignment]
    return module.loss(first, second).item()


@pytest.mark.parametrize(
    ("weights", "expected"),
    [((1, 0, 0), 0.25), ((0, 1, 0), 0.467117), ((0, 0, 1), 0.25), ((25, 25, 1), 18.177921)],
)
def test_worked_numbers(weights: tuple[float, float, float], expected: float) -> None:
    first, second = torch.tensor([[0.0, 0], [1, 1]]), torch.tensor([[0.0, 0], [1, 0]])
    assert loss(first, second, *weights) == pytest.approx(expected, abs=1e-5)


def test_spread_and_uncorrelated_views_that_agree_cost_nothing() -> None:
    square = torch.tensor([[0.0, 0], [2, 0], [0, 2], [2, 2]])
    assert loss(square, square, 25, 25, 1) == pytest.approx(0.0, abs=1e-6)


def test_it_is_the_formula_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(0)
    views = [0.7 * torch.randn(16, 5, generator=generator) for _ in range(2)]
    total = 25 * (views[0] - views[1]).double().square().mean()
    for view in views:
        covariance = torch.cov(view.double().T)
        total += 12.5 * relu(1 - (covariance.diagonal() + 1e-4).sqrt()).mean()
        total += (covariance.square().sum() - covariance.diagonal().square().sum()) / 5
    assert loss(views[0], views[1], 25, 25, 1) == pytest.approx(float(total), rel=1e-5)
