"""Strategies point the right way: on three Gaussians, the unsure ask for small margins and the diverse spread out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ssal import registry


def three_gaussians(seed: int) -> dict[str, Tensor]:
    """240 points in the plane and the softmax of a linear model that separates their centres."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[0.0, 3.0], [2.6, -1.5], [-2.6, -1.5]])
    points = centres.repeat(80, 1) + torch.randn(240, 2, generator=generator)
    labelled = centres + 0.3 * torch.randn(3, 2, generator=generator)
    probabilities = (points @ centres.T).softmax(1)
    gradients = (probabilities - torch.eye(3)[probabilities.argmax(1)])[:, :, None] * points[:, None, :]
    return {
        "probabilities": probabilities,
        "features": points,
        "ssl_features": points,
        "labelled_features": labelled,
        "labelled_ssl_features": labelled,
        "gradients": gradients.flatten(1),
    }


def rows_of(name: str, table: dict[str, Tensor], budget: int, seed: int) -> Tensor:
    method = registry.find("strategy", name)
    supplied = {"budget": budget, "generator": torch.Generator().manual_seed(seed), "classes": 3, "pool_size": 240}
    answer = method.call(*(table[need] for need in method.needs), **{given: supplied[given] for given in method.given})
    return answer.topk(budget).indices if method.returns == "scores" else answer


@pytest.mark.parametrize("name", ["least_confidence", "margin", "entropy", "badge"])
def test_the_unsure_ask_for_small_margins(name: str) -> None:
    for seed in range(20):
        table = three_gaussians(seed)
        best, second = table["probabilities"].topk(2, dim=1).values.unbind(1)
        margins = best - second
        assert margins[rows_of(name, table, 10, seed)].mean() < margins.mean()


@pytest.mark.parametrize(
    "name, space",
    [("coreset", "features"), ("kmeans", "features"), ("badge", "gradients"), ("typiclust", "directions")],
)
def test_the_diverse_lie_farther_apart_than_a_random_draw(name: str, space: str) -> None:
    # Nine of 240: at twenty, many of TypiClust's clusters hold fewer than six points, and it asks twice in the others.
    wider = 0
    for seed in range(100):
        table = three_gaussians(seed)
        table["directions"] = torch.nn.functional.normalize(table["features"], dim=1)

        def closest(rows: Tensor, points: Tensor = table[space]) -> float:
            return float(torch.pdist(points[rows].double()).min())

        wider += closest(rows_of(name, table, 9, seed)) > closest(rows_of("random", table, 9, seed))
    assert wider >= 95


def test_feature_distance_asks_far_from_the_labels() -> None:
    for seed in range(20):
        table = three_gaussians(seed)
        points, labelled = (torch.nn.functional.normalize(table[n], dim=1) for n in ("features", "labelled_features"))
        far = torch.cdist(points, labelled).amin(1)
        assert far[rows_of("featdist", table, 10, seed)].min() >= far.sort().values[-10]
