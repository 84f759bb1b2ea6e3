"""SimSiam: worked number, the stopped gradient, and the predictor's steady rate."""

from __future__ import annotations

import pytest
import torch
from tiny_pretexts import make
from torch import nn
from torch.nn.functional import normalize

from ssal.backbones import Identity, build
from ssal.pretext.simsiam import SimSiam


def bare() -> SimSiam:
    """Return SimSiam whose projections are its inputs and whose predictions swap their two values."""
    module = make("simsiam", Identity(2), projection=2)
    assert isinstance(module, SimSiam)
    module.projection, module.prediction = nn.Identity(), nn.Linear(2, 2, bias=False)  # type: ignore[assignment]
    with torch.no_grad():
        module.prediction.weight.copy_(torch.tensor([[0.0, 1], [1, 0]]))  # type: ignore[operator, union-attr]
    return module


def test_each_prediction_is_compared_with_the_other_views_projection() -> None:
    first, second = torch.tensor([[3.0, 4], [1, 0]]), torch.tensor([[1.0, 1], [0, 2]])
    cosines = [
        (normalize(one.flip(1), dim=1) * normalize(other, dim=1)).sum(1).mean()
        for one, other in ((first, second), (second, first))
    ]
    expected = -0.5 * float(cosines[0] + cosines[1])
    assert bare().loss(first, second).item() == pytest.approx(expected, abs=1e-6)
    assert bare().loss(torch.tensor([[4.0, 3]] * 2), torch.tensor([[4.0, 3]] * 2)).item() == pytest.approx(-0.96)


def test_no_gradient_flows_through_the_targets() -> None:
    """Where predictions ignore their input, projections are targets alone and nothing can teach them."""
    module = make("simsiam", build((3, 8, 8), name="wrn_10_1"), projection=16)
    assert isinstance(module, SimSiam)
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(16, 3, 8, 8, generator=generator) for _ in range(2)]
    constant = nn.Linear(16, 16)
    nn.init.zeros_(constant.weight)
    module.prediction = constant  # type: ignore[assignment]
    module.loss(*views).backward()
    assert not any(p.grad is not None and p.grad.any() for p in module.backbone.parameters())
    nn.init.eye_(constant.weight)
    module.loss(*views).backward()
    assert all(p.grad is not None and p.grad.any() for p in module.backbone.parameters())


@pytest.mark.parametrize("steady", [True, False])
def test_only_the_predictors_rate_stays(steady: bool) -> None:
    module = make("simsiam", build((3, 8, 8), name="wrn_10_1"), steps=20, projection=16, steady_predictor=steady,
                  learning_rate=0.12, batch_size=64, warm_up=0.0)  # fmt: skip
    assert isinstance(module, SimSiam)
    configured = module.configure_optimizers()
    optimiser, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    for _ in range(10):
        optimiser.step()
        schedule.step()
    predictor = {id(p) for p in module.prediction.parameters()}
    rates = {True: set(), False: set()}
    for group in optimiser.param_groups:
        assert group["weight_decay"] == (5e-4 if group["params"][0].ndim > 1 else 0)
        for parameter in group["params"]:
            rates[id(parameter) in predictor].add(round(group["lr"], 8))
    assert rates == {True: {0.03 if steady else 0.015}, False: {0.015}}
