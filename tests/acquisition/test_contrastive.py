"""SCAL, CAL and the pretext's loss: worked numbers, agreement with scikit-learn, and too few labels."""

from __future__ import annotations

import numpy
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn.functional import kl_div, one_hot

from ssal.acquisition.cal import cal, mean_divergence
from ssal.acquisition.contrast_loss import contrast_loss
from ssal.acquisition.scal_reconstruction import principal_axes, reconstruction_error, scal_reconstruction
from ssal.acquisition.scal_similarity import class_similarity, scal_similarity

LABELLED, LABELS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), torch.tensor([0, 1, 1])
POOL, PREDICTED = torch.tensor([[0.8, 0.6], [0.6, -0.8], [0.0, 1.0]]), torch.tensor([1, 0, 1])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sure(predicted: Tensor, classes: int = 3) -> Tensor:
    return 0.1 / classes + 0.9 * one_hot(predicted, classes)


def best_first(scores: Tensor) -> list[int]:
    return scores.argsort(descending=True, stable=True).tolist()


def test_similarity_worked_numbers() -> None:
    found = class_similarity(POOL, PREDICTED, LABELLED, LABELS)
    torch.testing.assert_close(found, torch.tensor([0.96, 0.6, 1.0]))
    stretched = class_similarity(3 * POOL, PREDICTED, torch.tensor([[2.0], [5.0], [0.1]]) * LABELLED, LABELS)
    torch.testing.assert_close(stretched, found, msg="lengths do not count")
    assert best_first(scal_similarity(sure(PREDICTED), POOL, LABELLED, LABELS)) == [1, 0, 2]


def test_similarity_agrees_with_scikit_learn() -> None:
    pool, labelled = normal(300, 16), normal(80, 16, seed=1)
    predicted, labels = torch.arange(300) % 5, torch.arange(80) % 5
    found = class_similarity(pool, predicted, labelled, labels, height=7)
    for number in range(5):
        finder = NearestNeighbors(n_neighbors=1, metric="cosine").fit(labelled[labels == number])
        distances = finder.kneighbors(pool[predicted == number])[0][:, 0]
        numpy.testing.assert_allclose(1 - found[predicted == number].numpy(), distances, atol=1e-6)


def test_reconstruction_worked_numbers() -> None:
    line = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    mean, axes = principal_axes(line, 0.995)
    assert len(axes) == 1
    error = reconstruction_error(torch.tensor([[2.0, 0.0], [7.0, 7.0]]), mean, axes)
    torch.testing.assert_close(error, torch.tensor([2.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(error.sqrt()[0].item(), 1.414214, atol=1e-6, rtol=0)


@pytest.mark.parametrize("variance", [0.3, 0.9, 0.995])
@pytest.mark.parametrize("count", [3, 5, 40])
def test_reconstruction_agrees_with_scikit_learn(count: int, variance: float) -> None:
    scale = torch.linspace(0.1, 2, 12)
    known, pool = normal(count, 12) * scale + 5, normal(50, 12, seed=1) * scale + 5
    peer = PCA(n_components=variance, svd_solver="full").fit(known.double().numpy())
    mean, axes = principal_axes(known, variance)
    assert len(axes) == peer.n_components_
    points = pool.double().numpy()
    expected = ((points - peer.inverse_transform(peer.transform(points))) ** 2).sum(axis=1)
    numpy.testing.assert_allclose(reconstruction_error(pool, mean, axes).numpy(), expected, rtol=1e-9)


def test_reconstruction_asks_for_the_image_far_from_its_class() -> None:
    """Class 0 varies along the first axis and class 1 along the second; an image off its class's axis stands out."""
    along = torch.linspace(-1, 1, 9)[:, None]
    labelled = torch.cat([along * torch.tensor([1.0, 0, 0]), along * torch.tensor([0, 1.0, 0]) + 5])
    labels = torch.arange(2).repeat_interleave(9)
    pool = torch.tensor([[4.0, 0, 0], [0, 0.5, 0], [0.1, 0, 0], [5, 9.0, 5], [5, 5, 5.3], [5, 5.2, 5]])
    predicted = torch.tensor([0, 0, 0, 1, 1, 1])
    scores = scal_reconstruction(sure(predicted), pool, labelled, labels)
    assert best_first(scores)[:2] == [1, 4], "the farthest of either class, the farther of them first"


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_labelled_images_are_their_mean(count: int) -> None:
    known, pool = normal(count, 4), normal(6, 4, seed=1)
    mean, axes = principal_axes(known, 0.995)
    assert axes.shape == (0, 4)
    expected = (pool - known.mean(dim=0)).double().square().sum(dim=1)
    torch.testing.assert_close(reconstruction_error(pool, mean, axes), expected)


def test_constant_features_have_no_axes() -> None:
    """0.1 in float32 has no exact mean: rounding alone would otherwise pass for a direction."""
    mean, axes = principal_axes(torch.full((7, 5), 0.1) + torch.tensor([1e-9, 0, 0, 0, 0]), 0.995)
    assert axes.shape == (0, 5)
    assert principal_axes(torch.zeros(7, 5), 0.995)[1].shape == (0, 5)
    far = reconstruction_error(torch.full((1, 5), 1.1), mean, axes)
    assert far.item() == pytest.approx(5, rel=1e-6)


@pytest.mark.parametrize("strategy", [scal_similarity, scal_reconstruction])
def test_predicted_classes_are_asked_for_evenly(strategy) -> None:
    pool, labelled = normal(120, 6), normal(30, 6, seed=1)
    predicted = torch.cat([torch.zeros(90), torch.ones(20), torch.full((10,), 2.0)]).long()
    scores = strategy(sure(predicted), pool * (1 + predicted[:, None]), labelled, torch.arange(30) % 3)
    assert torch.bincount(predicted[best_first(scores)[:30]], minlength=3).tolist() == [10, 10, 10]
    assert torch.bincount(predicted[best_first(scores)[:60]], minlength=3).tolist() == [30, 20, 10]


@pytest.mark.parametrize("strategy", [scal_similarity, scal_reconstruction])
def test_a_class_without_a_labelled_image_comes_first(strategy) -> None:
    pool, labelled, labels = normal(30, 6), normal(12, 6, seed=1), torch.arange(12) % 2
    predicted = torch.arange(30) % 3
    scores = strategy(sure(predicted), pool, labelled, labels)
    assert scores.isfinite().all()
    for turn in range(10):
        assert predicted[best_first(scores)[3 * turn]] == 2
    none = strategy(sure(predicted), pool, labelled[:0], labels[:0])
    assert torch.bincount(predicted[best_first(none)[:9]]).tolist() == [3, 3, 3], "no label at all: still evenly"


@pytest.mark.parametrize("strategy", [scal_similarity, scal_reconstruction])
def test_fewer_labelled_images_than_classes_and_a_pool_of_one(strategy) -> None:
    scores = strategy(sure(torch.tensor([4]), 9), normal(1, 3), normal(2, 3, seed=1), torch.tensor([4, 7]))
    assert scores.shape == (1,) and scores.isfinite().all()
    same = strategy(sure(torch.zeros(5).long()), torch.ones(5, 3), torch.ones(4, 3), torch.tensor([0, 0, 0, 1]))
    assert same.isfinite().all() and best_first(same) == [0, 1, 2, 3, 4]


def test_divergence_worked_numbers() -> None:
    known, said = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([[0.6, 0.4]])
    found = [mean_divergence(said, known, torch.tensor([rows])).item() for rows in ([0], [1], [0, 1])]
    assert found == pytest.approx([0.226289, 0.334795, 0.280542], abs=1e-6)


def test_cal_agrees_with_scikit_learn_and_torch() -> None:
    pool, labelled = normal(100, 8), normal(40, 8, seed=1)
    said, known = (3 * normal(100, 5, seed=2)).softmax(1), (3 * normal(40, 5, seed=3)).softmax(1)
    unit = [rows / rows.norm(dim=1, keepdim=True) for rows in (labelled, pool)]
    rows = torch.from_numpy(NearestNeighbors(n_neighbors=10).fit(unit[0]).kneighbors(unit[1])[1])
    expected = torch.stack([kl_div(said[i].log(), known[rows[i]], reduction="none").sum(1).mean() for i in range(100)])
    torch.testing.assert_close(cal(said, pool, known, labelled), expected.double(), atol=1e-5, rtol=1e-5)


def test_cal_with_few_labels_and_impossible_classes() -> None:
    said, known = torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([[0.0, 1.0]])
    scores = cal(said, torch.ones(2, 3), known, torch.ones(1, 3))
    assert scores.isfinite().all() and scores[0] > 80 and scores[1].item() == pytest.approx(0.693147, abs=1e-6)
    assert cal(known, torch.ones(1, 3), known, torch.ones(1, 3)).item() == pytest.approx(0, abs=1e-9)
    assert cal(said, torch.ones(2, 3), known[:0], torch.ones(0, 3)).tolist() == [0, 0]


def test_the_highest_pretext_loss_is_asked_for() -> None:
    assert best_first(contrast_loss(torch.tensor([0.3, -0.9, 2.0]))) == [2, 0, 1]
