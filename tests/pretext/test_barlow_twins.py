"""Barlow Twins: worked numbers, the formula of the paper, and the rate of biases."""

from __future__ import annotations

import pytest
import torch
from tiny_pretexts import make
from torch import Tensor, nn

from ssal.backbones import Identity, build
from ssal.pretext.barlow_twins import BarlowTwins

SQUARE = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])


def loss(first: Tensor, second: Tensor, weight: float) -> float:
    module = make("barlow_twins", Identity(first.shape[1]), redundancy_weight=weight, projection=8)
    assert isinstance(module, BarlowTwins)
    module.projection = nn.Identity()  # type: ignore[assignment]
    return module.loss(first, second).item()


def test_worked_numbers() -> None:
    assert loss(SQUARE, SQUARE, 0.005) == pytest.approx(0.0, abs=1e-4)
    assert loss(SQUARE, SQUARE[:, [0, 0]], 0.005) == pytest.approx(1.005, abs=1e-4)
    assert loss(SQUARE, SQUARE[:, [0, 0]], 0.5) == pytest.approx(1.5, abs=1e-4)
    assert loss(3 * SQUARE + 7, SQUARE, 0.005) == pytest.approx(0.0, abs=1e-4), "dimensions are standardised"


def test_it_is_the_formula_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(32, 5, generator=generator), torch.randn(32, 5, generator=generator)
    one, other = ((rows - rows.mean(0)) / rows.std(0, correction=0) for rows in (first.double(), second.double()))
    correlation = one.T @ other / 32
    diagonal = (1 - correlation.diagonal()).square().sum()
    rest = correlation.square().sum() - correlation.diagonal().square().sum()
    assert loss(first, second, 0.0051) == pytest.approx(float(diagonal + 0.0051 * rest), abs=1e-4)


def test_biases_have_a_rate_of_their_own() -> None:
    options = {"optimiser": "lars", "learning_rate": 0.2, "bias_learning_rate": 0.0048, "warm_up": 0.5}
    module = make("barlow_twins", build((3, 8, 8), name="wrn_10_1"), steps=8, batch_size=64, projection=16, **options)
    configured = module.configure_optimizers()
    weights, others = configured["optimizer"].param_groups
    assert {p.ndim for p in others["params"]} == {1} and 1 not in {p.ndim for p in weights["params"]}
    assert (weights["lr"], others["lr"]) == pytest.approx((0.05 / 4, 0.0012 / 4)), "a quarter after one step of four"
    assert (weights["weight_decay"], others["weight_decay"]) == (1e-6, 0)
