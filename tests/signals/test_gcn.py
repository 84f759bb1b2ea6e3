"""The graph network: worked numbers, a dense implementation beside it, and what breaks naive code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ssal.acquisition.gcn import core_gcn, uncertain_gcn
from ssal.errors import BadInput, Diverged
from ssal.learner.propagation import neighbour_graph
from ssal.signals.gcn import GraphNetwork, SymmetricProduct, convolve, gcn, membership_loss
from ssal.streams import generator

TRAINER: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fitted(folder: Path, features: Tensor, labelled: list[int], **changes: Any) -> dict[str, Tensor]:
    given = {"names": (0, "gcn"), "trainer": TRAINER, "folder": folder, **changes}
    others = [row for row in range(len(features)) if row not in labelled]
    return gcn(features, *(torch.tensor(rows, dtype=torch.long) for rows in (labelled, others)), **given)


def dense_adjacency(features: Tensor, neighbours: int) -> np.ndarray:
    """S diag(1 / column sums) + I with all similarities written out; W + Wᵀ where only some neighbours are kept."""
    points = features.double().numpy()
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    similarities = points @ points.T - np.eye(len(points))
    kept = np.zeros_like(similarities)
    for row, values in enumerate(similarities):
        values[row] = -np.inf
        best = np.argsort(-values)[: min(neighbours, len(points) - 1)]
        kept[row, best] = values[best].clip(min=0)
    both = kept + kept.T
    sums = both.sum(0)
    return both @ np.diag(1 / np.where(sums > 0, sums, 1)) + np.eye(len(points))


def sparse_adjacency(features: Tensor, neighbours: int) -> Tensor:
    graph = neighbour_graph(features, neighbours, exponent=1)
    return convolve(graph.matrix, graph.degrees.sqrt()[:, None], torch.eye(len(features)))


def network_of(features: Tensor, neighbours: int, **changes: Any) -> GraphNetwork:
    graph = neighbour_graph(features, neighbours, exponent=1)
    given = {"learning_rate": 1e-3, "weight_decay": 5e-4, "dropout": 0.3, "unlabelled_weight": 1.2, **changes}
    return GraphNetwork(normalize(features), graph, generator(0, "gcn", "weights"), **given)


def test_adjacency_worked_numbers() -> None:
    found = sparse_adjacency(torch.tensor([[1, 0], [0.6, 0.8], [0, 1]]), 100)
    expected = torch.tensor([[1, 0.428571, 0], [1, 1, 1], [0, 0.571429, 1]])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_loss_worked_number() -> None:
    labelled, unlabelled = torch.tensor([0.8, 0.9]).logit(), torch.tensor([0.3, 0.1]).logit()
    assert float(membership_loss(labelled, unlabelled, 1.2)) == pytest.approx(0.441473, abs=1e-6)
    assert membership_loss(torch.tensor([-300.0]), torch.tensor([300.0]), 1.2).isfinite(), "log 0 has no place in it"


def test_order_worked_numbers() -> None:
    assert uncertain_gcn(torch.tensor([0.05, 0.12, 0.3, 0.9])).argsort(descending=True).tolist() == [1, 0, 2, 3]
    assert uncertain_gcn(torch.tensor([0.05, 0.12, 0.3, 0.9]), margin=0.8).argmax() == 3


def test_core_gcn_starts_from_labelled_images() -> None:
    points = torch.tensor([[1.0], [2], [5], [9], [10]])
    assert core_gcn(points, torch.zeros(1, 1), budget=2).tolist() == [4, 2]


@pytest.mark.parametrize("neighbours", [5, 39, 100])
def test_forward_agrees_with_dense_numpy(neighbours: int) -> None:
    features = normal(40, 6)
    adjacency = dense_adjacency(features, neighbours)
    np.testing.assert_allclose(sparse_adjacency(features, neighbours), adjacency, atol=2e-6)
    network = network_of(features, neighbours).eval()
    weights = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    points = normalize(features.double()).numpy()
    hidden = np.maximum(adjacency @ (points @ weights["hidden.weight"].T) + weights["hidden.bias"], 0)
    expected = adjacency @ (hidden @ weights["output.weight"].T) + weights["output.bias"]
    with torch.no_grad():
        logits, found = network()
    np.testing.assert_allclose(found, hidden, atol=1e-5)
    np.testing.assert_allclose(logits, expected[:, 0], atol=1e-5)
    assert np.abs(weights["hidden.weight"]).max() <= 128**-0.5 < np.abs(weights["output.weight"]).max() <= 1


def test_training_agrees_with_dense_autograd(tmp_path: Path) -> None:
    features, labelled = normal(40, 6), [0, 3, 17]
    found = fitted(tmp_path, features, labelled, neighbours=8, steps=60, dropout=0.0)
    start = network_of(features, 8)
    weights = {name: value.detach().double().requires_grad_() for name, value in start.named_parameters()}
    adjacency = torch.from_numpy(dense_adjacency(features, 8))
    points, has_label = normalize(features.double()), torch.zeros(40, dtype=torch.bool)
    has_label[labelled] = True
    optimiser = torch.optim.Adam(weights.values(), lr=1e-3, weight_decay=5e-4)

    def confidence() -> tuple[Tensor, Tensor]:
        hidden = (adjacency @ points @ weights["hidden.weight"].T + weights["hidden.bias"]).relu()
        return (adjacency @ hidden @ weights["output.weight"].T + weights["output.bias"])[:, 0].sigmoid(), hidden

    for _ in range(60):
        said, _ = confidence()
        optimiser.zero_grad()
        (-said[has_label].log().mean() - 1.2 * (1 - said[~has_label]).log().mean()).backward()
        optimiser.step()
    said, hidden = confidence()
    torch.testing.assert_close(found["graph_confidence"].double(), said.detach(), atol=1e-4, rtol=0)
    torch.testing.assert_close(found["graph_features"].double(), hidden.detach(), atol=1e-4, rtol=0)


def test_gradients_are_those_of_the_dense_product() -> None:
    matrix = neighbour_graph(normal(12, 4), 3, exponent=1).matrix
    vectors = normal(12, 2).requires_grad_()
    (SymmetricProduct.apply(matrix, vectors) * normal(12, 2, seed=1)).sum().backward()
    torch.testing.assert_close(vectors.grad, matrix.to_dense().T @ normal(12, 2, seed=1))


def blobs() -> tuple[Tensor, list[int]]:
    """Return two directions with 40 images each, and ten labelled ones of the first."""
    groups = [torch.eye(6)[axis] + 0.15 * normal(40, 6, seed=axis) for axis in (0, 3)]
    return torch.cat(groups), list(range(10))


def test_images_like_the_labelled_ones_are_taken_for_labelled(tmp_path: Path) -> None:
    features, labelled = blobs()
    found = fitted(tmp_path, features, labelled, neighbours=10)["graph_confidence"]
    # In the first blob ten of forty have labels, in the other none of forty.
    assert found[:40].mean() > found[40:].mean() + 0.1
    # A margin of 0.1 asks in the other blob; a random draw would take 57 % of its images there.
    assert uncertain_gcn(found[10:]).topk(20).indices.ge(30).float().mean() > 0.8


def test_an_image_takes_its_row_with_it(tmp_path: Path) -> None:
    features, labelled = normal(30, 5), [2, 11, 25]
    order = torch.randperm(30, generator=torch.Generator().manual_seed(4))
    moved = [int((order == row).nonzero()) for row in labelled]
    plain = fitted(tmp_path / "plain", features, labelled, dropout=0.0, neighbours=6)
    found = fitted(tmp_path / "moved", features[order], moved, dropout=0.0, neighbours=6)
    for name in plain:
        torch.testing.assert_close(found[name], plain[name][order], atol=1e-4, rtol=0)
    assert plain["graph_confidence"].std() > 1e-3


def test_draws_follow_from_the_names_alone(tmp_path: Path) -> None:
    features, labelled = blobs()
    first = fitted(tmp_path / "a", features, labelled, steps=20)
    torch.manual_seed(99)
    again = fitted(tmp_path / "b", features, labelled, steps=20, trainer={**TRAINER, "precision": "bf16-mixed"})
    other = fitted(tmp_path / "c", features, labelled, steps=20, names=(1, "gcn"))
    assert torch.equal(first["graph_features"], again["graph_features"]), "whatever precision the learner trains in"
    assert not torch.equal(first["graph_features"], other["graph_features"])


def test_a_killed_fit_goes_on_to_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labelled = blobs()
    often = {**TRAINER, "checkpoint_seconds": 0.0}
    whole = fitted(tmp_path / "whole", features, labelled, steps=120, trainer=often)
    honest, ran = GraphNetwork.training_step, []

    def killed(self: GraphNetwork, batch: dict[str, Tensor], index: int) -> Tensor:
        ran.append(self.global_step)
        if len(ran) == 70:
            raise KeyboardInterrupt
        return honest(self, batch, index)

    monkeypatch.setattr(GraphNetwork, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "killed", features, labelled, steps=120, trainer=often)
    resumed = fitted(tmp_path / "killed", features, labelled, steps=120, trainer=often)
    assert ran[70] == 50 and ran[-1] == 119
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


@pytest.mark.parametrize(
    "features",
    [torch.ones(20, 4), torch.zeros(20, 4), torch.eye(20), -torch.ones(20, 4) + 2 * torch.eye(20, 4), normal(2, 4)],
    ids=["constant", "zero", "nothing alike", "mostly constant", "two images"],
)
def test_degenerate_features_stay_finite(features: Tensor, tmp_path: Path) -> None:
    found = fitted(tmp_path, features, [0], steps=10)
    assert found["graph_confidence"].shape == (len(features),)
    assert found["graph_features"].shape == (len(features), 128)
    assert all(rows.isfinite().all() for rows in found.values())
    assert ((found["graph_confidence"] >= 0) & (found["graph_confidence"] <= 1)).all()


@pytest.mark.parametrize(("labelled", "lacking"), [([], "labelled"), (list(range(8)), "unlabelled")])
def test_two_kinds_of_images_are_needed(labelled: list[int], lacking: str, tmp_path: Path) -> None:
    told = f"signals.gcn: tells labelled from unlabelled images, but there is no {lacking} one"
    with pytest.raises(BadInput, match=told):
        fitted(tmp_path, normal(8, 3), labelled)


def test_a_network_that_diverges_says_so(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="signals.gcn: .* not finite"):
        fitted(tmp_path, normal(20, 4), [0, 1], learning_rate=1e30)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(tmp_path: Path) -> None:
    features, labelled = blobs()
    plain = fitted(tmp_path / "cpu", features, labelled, dropout=0.0)
    found = fitted(tmp_path / "cuda", features, labelled, dropout=0.0, trainer={**TRAINER, "accelerator": "gpu"})
    torch.testing.assert_close(found["graph_confidence"], plain["graph_confidence"], atol=1e-3, rtol=0)
