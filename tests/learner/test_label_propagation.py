"""Label propagation as a learner: scikit-learn's labels, new images, and what few labels or odd features do to it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor
from torch.nn.functional import normalize

from ssal import registry
from ssal.backbones import Identity
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner import label_propagation
from ssal.learner.label_propagation import LabelPropagation
from ssal.learner.pool_vote import PoolVote
from ssal.learner.propagation import fitting_neighbours, neighbour_graph, shares

CPU = {"accelerator": "cpu"}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fitted(features: Tensor, rows: list[int], labels: list[int], classes: int, **options: Any) -> LabelPropagation:
    method = registry.find("learner", "label_propagation")
    learner: LabelPropagation = method.call(Identity(features.shape[1]), Views((), (), flip=False), classes, **options)
    pool = ImageSet([f"{i:016x}" for i in range(len(features))], [""] * len(features), features)
    learner.see(pool, torch.tensor(rows), torch.tensor(labels))
    batch = {"labelled": features[rows], "labels": torch.tensor(labels)}
    learner.fit(lambda steps: [batch], Path(), (), CPU)
    return learner.eval()


def probabilities(learner: LabelPropagation, features: Tensor) -> Tensor:
    with torch.no_grad():
        logits = learner(features)[0]
    assert torch.isfinite(logits).all()
    return logits.softmax(dim=1)


def digits() -> tuple[Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    return torch.from_numpy(images).float(), torch.from_numpy(labels).long()


def firsts(labels: Tensor, each: int) -> list[int]:
    return [row for number in labels.unique() for row in (labels == number).nonzero()[:each, 0].tolist()]


def test_scores_and_labels_are_scikit_learns_at_convergence() -> None:
    features, labels = digits()
    rows = firsts(labels, 4)
    graph = neighbour_graph(features, fitting_neighbours(len(features), 10))
    roots = graph.degrees.double().sqrt()
    weights = (roots[:, None] * graph.matrix.to_dense().double() * roots).numpy()
    asked = np.full(len(labels), -1)
    asked[rows] = labels[rows]
    peer = LabelSpreading(kernel=lambda x, y: weights, alpha=0.99, max_iter=100_000, tol=1e-9).fit(features, asked)
    found = probabilities(fitted(features, rows, labels[rows].tolist(), 10), features)
    assert np.array_equal(found.argmax(dim=1).numpy(), peer.transduction_)
    assert np.abs(found.numpy() - peer.label_distributions_).max() < 2e-5
    assert (found.argmax(dim=1) == labels).float().mean() > 0.9  # 0.919 measured


def test_pool_images_get_their_own_row_and_new_ones_the_vote_of_their_neighbours() -> None:
    features, new = normal(200, 6), normal(40, 6, seed=1)
    learner = fitted(features, [0, 1, 2, 3], [0, 1, 2, 0], 3, neighbours=7, alpha=0.9)
    vote = learner.average.head
    assert isinstance(vote, PoolVote)
    assert torch.allclose(probabilities(learner, features), shares(vote.scores), atol=1e-5)
    unit, graph = normalize(features), neighbour_graph(features, 7)
    expected = []
    for query in normalize(new):
        cosines, rows = (unit @ query).topk(7)
        near = zip(cosines, rows, strict=True)
        votes = sum(c.clamp(min=0) ** 3 / graph.degrees[r] ** 0.5 * vote.scores[r] for c, r in near)
        expected.append(votes / votes.sum())
    assert torch.allclose(probabilities(learner, new), torch.stack(expected), atol=1e-5)


def test_the_vote_is_the_fixed_point() -> None:
    """In a graph of all pairs an unlabelled image's neighbours vote for just what it has."""
    features = normal(60, 5).abs()
    learner = fitted(features, [0, 1], [0, 1], 2, neighbours=59, alpha=0.8)
    vote = learner.average.head
    assert isinstance(vote, PoolVote)
    with torch.no_grad():
        itself = vote.scores / vote.degrees.sqrt()[:, None]  # weight 1, as its own nearest neighbour
        vote.neighbours = 60
        others = vote.votes(vote.unit) - itself
    assert torch.allclose(shares(others)[2:], shares(vote.scores)[2:], atol=1e-5)
    assert not torch.allclose(shares(others)[:2], shares(vote.scores)[:2], atol=1e-2)


def test_scores_do_not_depend_on_batch_mates() -> None:
    features, new = normal(300, 8), normal(50, 8, seed=1)
    learner = fitted(features, [0, 1, 2], [0, 1, 2], 3, neighbours=20)
    mixed = torch.cat([new[:25], features[::10], new[25:]])
    together = probabilities(learner, mixed)
    order = torch.randperm(len(mixed), generator=torch.Generator().manual_seed(2))
    assert torch.allclose(probabilities(learner, mixed[order]), together[order], atol=1e-6)
    alone = torch.cat([probabilities(learner, image[None]) for image in mixed])
    assert torch.allclose(alone, together, atol=1e-6)


def test_the_trainers_precision_does_not_reach_the_scores() -> None:
    features, new = normal(300, 8), normal(50, 8, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        learner = fitted(features, [0, 1, 2], [0, 1, 2], 3, neighbours=20)
        found = probabilities(learner, torch.cat([features, new]))
    plain = fitted(features, [0, 1, 2], [0, 1, 2], 3, neighbours=20)
    assert torch.equal(found, probabilities(plain, torch.cat([features, new])))


def test_every_pool_image_is_found_again_and_no_other() -> None:
    features = torch.cat([normal(5000, 16), torch.randint(0, 3, (500, 16), generator=torch.Generator()).float()])
    features[7] = features[3]
    features[9, 0], features[10] = 0.0, features[9]
    features[10, 0] = -0.0  # the same number
    vote = PoolVote(features, 2, 5)
    rows = vote.rows_of(features)
    assert torch.equal(features[rows], features), "whole numbers, too, whose bits differ little"
    assert rows[7] == 3 and torch.equal(rows[11:5000], torch.arange(11, 5000)) and rows[10] in (9, 10)
    assert (vote.rows_of(features[:5000] * 1.001) == -1).all()
    assert (vote.rows_of(normal(5000, 16, seed=1)) == -1).all()
    vote.keys[:] = vote.keys[0]  # all hashes collide: none is taken for another
    assert (vote.rows_of(normal(100, 16, seed=1)) == -1).all()


def test_classes_without_a_label_and_images_out_of_reach() -> None:
    features = torch.cat([torch.eye(4)[:1].repeat(20, 1), torch.eye(4)[1:2].repeat(20, 1), torch.zeros(3, 4)])
    learner = fitted(features, [0, 1, 42], [2, 1, 1], 4, neighbours=5)
    found = probabilities(learner, torch.cat([features, torch.eye(4)[3:], torch.zeros(1, 4), -torch.ones(1, 4)]))
    assert (found[:, [0, 3]] == 0).all(), "a class that nobody has named is never predicted"
    assert found[20:40, 1:3].flatten().tolist() == pytest.approx([0.5] * 40), "no label reaches this cluster"
    assert found[43:, 1:3].flatten()[[0, 1, 4, 5]].tolist() == pytest.approx([0.5] * 4), "nor what is like nothing"
    assert found[42, 1] > 0.99, "an image of nothing keeps its own label"


def test_one_label_in_all_and_a_wrong_label() -> None:
    features = torch.cat([normal(30, 4) * 0.1 + torch.eye(4)[0], normal(30, 4, seed=1) * 0.1 + torch.eye(4)[1]])
    assert (probabilities(fitted(features, [5], [1], 3), features)[:, 1] > 0.999).all()
    labels = [0] * 10 + [1] + [1] * 10
    learner = fitted(features, [*range(11), *range(30, 40)], labels, 2, neighbours=10, alpha=0.9)
    assert probabilities(learner, features)[10].argmax() == 0, "labelled images are scored like all others"


def test_the_rounds_of_a_run_share_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    honest = label_propagation.neighbour_graph
    monkeypatch.setattr(label_propagation, "_graphs", {})
    monkeypatch.setattr(label_propagation, "neighbour_graph", lambda x, k: made.append(k) or honest(x, k))
    features = normal(100, 4)
    first = fitted(features, [0, 1], [0, 1], 2, neighbours=9)
    more = fitted(features, [0, 1, 2], [0, 1, 1], 2, neighbours=9)
    assert made == [9] and not torch.equal(first.average.head.scores, more.average.head.scores)  # type: ignore[union-attr]
    fitted(features, [0, 1], [0, 1], 2, neighbours=8)
    fitted(features.flip(0), [0, 1], [0, 1], 2, neighbours=8)
    assert made == [9, 8, 8] and len(label_propagation._graphs) == 1


def test_a_solution_short_of_its_tolerance_says_what_to_change(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ssal"):
        learner = fitted(normal(300, 4), [0, 1], [0, 1], 2, neighbours=5, max_iterations=2)
        assert "set learner.max_iterations or learner.tolerance higher" in caplog.text
        assert learner.facts()["iterations"] == 2 and learner.facts()["residual"] > 1e-6
        caplog.clear()
        assert fitted(normal(300, 4), [0, 1], [0, 1], 2, neighbours=5).facts()["residual"] <= 1e-6
        assert not caplog.text


def test_labels_of_images_outside_the_pool_are_refused() -> None:
    learner = fitted(normal(30, 4), [0, 1], [0, 1], 2, neighbours=5)
    with pytest.raises(ValueError, match="expected labelled features that are rows of the pool"):
        learner.solve(normal(2, 4, seed=1), torch.tensor([0, 1]))


def test_temperature_is_fitted_to_labels_that_were_left_out() -> None:
    features, labels = digits()
    rows = firsts(labels, 10)
    learner = fitted(features, rows, labels[rows].tolist(), 10, temperature_scaling=True)
    plain = fitted(features, rows, labels[rows].tolist(), 10)
    scaled, raw = (probabilities(each, features)[torch.arange(len(labels)), labels] for each in (learner, plain))
    assert learner.facts()["temperature"] < 1, "scores at α = 0.99 are far too even"
    assert -scaled.clamp(min=1e-9).log().mean() < -raw.clamp(min=1e-9).log().mean()
