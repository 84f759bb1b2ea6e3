"""SRAAL's uncertainty and relabelled states, WAAL's critic and the sign of its penalty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fitted import area_under_curve, scored, two_clusters
from torch import Tensor, nn

from ssal import registry
from ssal.signals import membership
from ssal.signals.sraal import Relabelled, Variance, online_uncertainty
from ssal.signals.variational import Variational, perceptron
from ssal.signals.waal import critic_loss


@pytest.mark.parametrize(
    ("probabilities", "population", "unbiased"),
    [
        ([0.7, 0.2, 0.1], 0.316935, 0.544624),
        ([0.7, 0.15, 0.15], 0.3, 0.533333),
        ([0.5, 0.5, 0.0], 0.875, 0.916667),
        ([0.34, 0.33, 0.33], 0.66, 0.773333),
        ([1 / 3, 1 / 3, 1 / 3], 1.0, 1.0),
        ([1.0, 0.0, 0.0], 0.0, 1 / 3),
        ([1.0], 1.0, 1.0),
    ],
)
def test_online_uncertainty(probabilities: list[float], population: float, unbiased: float) -> None:
    forms: dict[Variance, float] = {"population": population, "unbiased": unbiased}
    for form, expected in forms.items():
        assert float(online_uncertainty(torch.tensor([probabilities]), form)) == pytest.approx(expected, abs=2e-6)


def test_sraal_knows_an_unlabelled_image_by_its_uncertainty() -> None:
    """The discriminator's target is 0 for labelled images and the uncertainty for others; the encoder wants 1."""
    module = Relabelled(
        Variational((4,), 6, width=0, hidden=8, decoded=3),
        perceptron(6, 8, 8, 8, 8, 1),
        None,
        (0,),
        uncertainty=torch.tensor([0.9, 0.8, 0.3, 0.6]),
        classes=perceptron(3, 8, 8, 2),
        labels=torch.tensor([0, 1, 0, 0]),
        steps=10,
        kl_reduction="elbo",
        learning_rate=1e-3,
    )
    odds, rows = torch.tensor([0.2, 0.7]).logit(), torch.tensor([0, 1, 3, 2])
    found = module.discriminator_loss(odds, odds, rows)
    labelled = -(torch.tensor([0.8, 0.3]).log()).mean()
    of = torch.tensor([0.6, 0.3])
    unlabelled = -(of * torch.tensor([0.2, 0.7]).log() + (1 - of) * torch.tensor([0.8, 0.3]).log()).mean()
    assert float(found) == pytest.approx(float(labelled + unlabelled), abs=1e-6)
    assert module.fooled == 1.0
    sample = torch.randn(4, 6)
    with torch.no_grad():
        logits = module.classifier(sample[:2, 3:]).log_softmax(dim=1)
        expected = -5 * (logits[0, 0] + logits[1, 1]) / 2
        assert float(module.further_loss(sample, rows)) == pytest.approx(float(expected), abs=1e-5)


def test_sraal_asks_for_the_unsure_among_the_unlabelled(tmp_path: Path) -> None:
    """Of three clusters the learner is sure of the first two; only the first has labels."""
    cluster = torch.arange(180) // 60
    points = torch.randn(180, 4, generator=torch.Generator().manual_seed(0)) + 8 * torch.eye(4)[cluster]
    said = torch.tensor([[0.99, 0.01], [0.99, 0.01], [0.5, 0.5]])[cluster]
    given: dict[str, Any] = {"probabilities": said, "variance": "population", "on": "features"}
    small: dict[str, Any] = {"steps": 150, "batch_size": 32, "hidden": 64, "latent": 16, "learning_rate": 5e-3}
    scores = scored("sraal", tmp_path, points, range(60), adversarial_weight=0.1, **given, **small)
    assert area_under_curve(scores[120:], scores[:120]) > 0.95


def test_waal_score() -> None:
    method = registry.find("strategy", "waal")
    found = method.call(torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([0.5, 0.6]))
    assert found.tolist() == pytest.approx([3.8167, 3.6435], abs=1e-4)
    alone = method.call(torch.tensor([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]]), torch.zeros(3), critic_weight=0.0)
    assert alone[:2].tolist() == pytest.approx([-1.183276, -2.356473], abs=1e-5)
    assert alone.isfinite().all() and alone[2] < alone[1]


class Slope(nn.Module):
    """A linear critic of the first feature."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, points: Tensor) -> Tensor:
        return self.slope * points[:, :1]


@pytest.mark.parametrize("slope", [0.25, 1.0, 3.0])
def test_the_penalty_of_a_slope_other_than_one_is_added(slope: float) -> None:
    labelled, unlabelled = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[4.0, 1.0], [6.0, 0.0]])
    found = critic_loss(Slope(slope), labelled, unlabelled, 0.2, torch.rand(2, 1), 2.0)
    assert float(found.detach()) == pytest.approx(2 * (slope - 1) ** 2 - slope * (5.0 - 0.2 * 0.5), abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_the_penalty_keeps_the_critics_slope_at_one(weight: float) -> None:
    """Without it the critic of two clusters grows steep between them and flat within."""
    points = membership.standardised(two_clusters(100, dimensions=8, distance=6.0))
    labelled, unlabelled, shares = points[:100], points[100:], torch.linspace(0, 1, 100)[:, None]
    torch.manual_seed(0)
    critic = nn.Sequential(perceptron(8, 32, 32, 1), nn.Sigmoid())
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        critic_loss(critic, labelled, unlabelled, 1.0, shares, weight).backward()
        optimiser.step()
    paying, free = (float(critic_loss(critic, labelled, unlabelled, 1.0, shares, cost).detach()) for cost in (1, 0))
    apart = critic(unlabelled).mean() - critic(labelled).mean()
    assert float(apart) == pytest.approx(-free, abs=1e-5)
    assert (paying - free > 0.9) if weight == 0 else (paying - free < 0.7 and apart > 0.3)
