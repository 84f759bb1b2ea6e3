"""Worked numbers of every strategy, and agreement with independent implementations."""

from __future__ import annotations

import numpy
import pytest
import torch
from scipy.stats import chisquare
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import Badge, CoreSet, uncertainty_scores
from skactiveml.pool._typi_clust import _typicality
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import normalize

from ssal.acquisition.badge import badge
from ssal.acquisition.blend import blend
from ssal.acquisition.clusters import cluster
from ssal.acquisition.coreset import coreset
from ssal.acquisition.featdist import featdist
from ssal.acquisition.kmeans import kmeans
from ssal.acquisition.random import random
from ssal.acquisition.typiclust import typicality, typiclust
from ssal.acquisition.uncertainty import entropy, least_confidence, margin
from ssal.errors import BadInput

ROWS = torch.tensor([[0.5, 0.3, 0.2], [0.6, 0.39, 0.01], [0.34, 0.33, 0.33], [1, 0, 0]])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "strategy, expected",
    [
        (least_confidence, [0.5, 0.4, 0.66, 0]),
        (margin, [-0.2, -0.21, -0.01, -1]),
        (entropy, [1.029653, 0.719774, 1.098513, 0]),
    ],
)
def test_uncertainty_worked_numbers(strategy, expected) -> None:
    torch.testing.assert_close(strategy(ROWS), torch.tensor(expected), atol=1e-6, rtol=0)
    assert strategy(ROWS).argsort(descending=True).tolist() == [2, 0, 1, 3]


def test_uncertainties_differ_where_they_should() -> None:
    tied, spread = torch.tensor([[0.5, 0.5, 0], [0.4, 0.3, 0.3]]).split(1)
    assert margin(tied) > margin(spread)
    assert least_confidence(tied) < least_confidence(spread)
    assert entropy(tied) < entropy(spread)


def test_a_single_class_leaves_nothing_to_be_unsure_of() -> None:
    for strategy in (margin, entropy, least_confidence):
        assert strategy(torch.ones(4, 1)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "strategy, method",
    [(least_confidence, "least_confident"), (margin, "margin_sampling"), (entropy, "entropy")],
)
def test_uncertainty_agrees_with_scikit_activeml(strategy, method) -> None:
    probabilities = normal(500, 7).softmax(1).double()
    # Its margin score is 1 - margin.
    shift = 1 if strategy is margin else 0
    expected = uncertainty_scores(probabilities.numpy(), method=method)
    numpy.testing.assert_allclose(strategy(probabilities).numpy() + shift, expected, atol=1e-12)


def test_random_is_uniform() -> None:
    counts, generator = numpy.zeros(10), stream()
    for _ in range(3000):
        counts[random(pool_size=10, generator=generator).topk(3).indices] += 1
    # Without replacement counts vary less than a multinomial's, by (10 - 3) / (10 - 1).
    assert chisquare(counts).statistic / (7 / 9) < 27.9, "27.9 is the 99.9 % point of chi-square with 9 degrees"


def test_coreset_and_featdist_differ_in_the_update() -> None:
    pool, labelled = torch.tensor([[1.0], [2], [5], [9], [10]]), torch.zeros(1, 1)
    assert coreset(pool, labelled, budget=2).tolist() == [4, 2]
    line = torch.stack([torch.cos(pool[:, 0] / 10), torch.sin(pool[:, 0] / 10)], 1)
    assert featdist(3 * line, torch.tensor([[2.0, 0.0]])).topk(2).indices.tolist() == [4, 3]


def test_featdist_is_the_distance_of_unit_vectors() -> None:
    found = featdist(torch.tensor([[0.0, 5.0], [3.0, 0.0]]), torch.tensor([[1.0, 0.0], [-4.0, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([2**0.5, 0.0]))
    assert featdist(normal(4, 3), torch.zeros(0, 3)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_coreset_agrees_with_scikit_activeml(seed: int) -> None:
    points = normal(400, 12, seed=seed).double()
    answers = numpy.full(400, numpy.nan)
    answers[:20] = 0
    expected = CoreSet(random_state=0).query(points.numpy(), answers, batch_size=40)
    assert (coreset(points[20:], points[:20], budget=40) + 20).tolist() == expected.tolist()


def test_kmeans_takes_the_point_nearest_to_each_centroid() -> None:
    """Three tight groups of 30, 20 and 10 points: one from each, from the largest to the smallest, at its mean."""
    centres = torch.tensor([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    sizes = [30, 20, 10]
    groups = [centres[i] + normal(n, 2, seed=i) for i, n in enumerate(sizes)]
    groups = [group - group[1:].mean(0) + centres[i] for i, group in enumerate(groups)]
    for group, centre in zip(groups, centres, strict=True):
        group[0] = centre
    assert kmeans(torch.cat(groups), budget=3, generator=stream(4)).tolist() == [0, 30, 50]


def test_kmeans_never_asks_twice_for_a_point_two_centroids_share() -> None:
    copies = torch.cat([torch.zeros(40, 2), torch.ones(40, 2)])
    for seed in range(5):
        assert len(set(kmeans(copies, budget=20, generator=stream(seed)).tolist())) == 20


def test_clusters_do_not_depend_on_threads() -> None:
    import faiss

    points, threads = normal(3000, 32), faiss.omp_get_max_threads()
    try:
        found = []
        for number in (1, 2):
            faiss.omp_set_num_threads(number)
            found.append((kmeans(points, budget=30, generator=stream()), cluster(points, 30, stream())))
    finally:
        faiss.omp_set_num_threads(threads)
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])


def test_clusters_lower_the_spread_about_as_well_as_scikit_learn() -> None:
    from sklearn.cluster import KMeans

    points = torch.cat([normal(100, 8, seed=i) + 6 * normal(1, 8, seed=100 + i) for i in range(12)])
    centroids, numbers = cluster(points, 12, stream())
    spread = float((points - centroids[numbers]).square().sum())
    assert spread < 1.5 * KMeans(12, n_init=1, init="random", random_state=0).fit(points).inertia_
    assert torch.equal(numbers, torch.cdist(points, centroids).argmin(1))


def test_badge_worked_numbers() -> None:
    """The longest gradient comes first: .70 against 1.04."""
    probabilities, features = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]]), torch.tensor([[1.0, 2.0], [2.0, 0.0]])
    assert badge(probabilities, features, budget=2, generator=stream()).tolist() == [1, 0]


def test_badge_takes_certain_images_for_one_point() -> None:
    certain = torch.eye(3).repeat(4, 1)
    assert sorted(badge(certain, normal(12, 4), budget=12, generator=stream()).tolist()) == list(range(12))
    mixed = torch.cat([certain, torch.full((3, 3), 1 / 3)])
    for seed in range(20):
        chosen = badge(mixed, normal(15, 4), budget=4, generator=stream(seed))
        assert chosen[0] >= 12
        assert (chosen < 12).sum() == 1


def test_badge_draws_by_the_gradients_of_the_last_layer() -> None:
    """Frequencies of the second image against odds from gradients that autograd computes.

    scikit-activeml's odds are different ones, since it also counts the squared length of a gradient as a distance,
    as if the origin were chosen; held here so that the difference stays known.
    """
    points, labels = normal(30, 3).double(), torch.arange(30) % 3
    answers = numpy.where(numpy.arange(30) < 9, labels.numpy(), numpy.nan)
    model = SklearnClassifier(LogisticRegression(), classes=[0, 1, 2]).fit(points.numpy(), answers)
    probabilities, pool = torch.from_numpy(model.predict_proba(points.numpy()))[9:], points[9:]
    gradients = []
    for row, image in zip(probabilities, pool, strict=True):
        # A last layer whose logits for this image are log p: W h = log p.
        weight = (row.log()[:, None] * image / image.square().sum()).requires_grad_()
        torch.nn.functional.cross_entropy((weight @ image)[None], row.argmax()[None]).backward()
        gradients.append(weight.grad.flatten())
    vectors = torch.stack(gradients)
    first = int(vectors.norm(dim=1).argmax())
    squared = (vectors - vectors[first]).square().sum(1)

    counts, generator = numpy.zeros(21), stream()
    for _ in range(3000):
        chosen = badge(probabilities, pool, budget=2, generator=generator).tolist()
        assert chosen[0] == first
        counts[chosen[1]] += 1
    assert counts[first] == 0
    others = numpy.arange(21) != first
    assert chisquare(counts[others], 3000 * (squared / squared.sum()).numpy()[others]).pvalue > 0.001

    images, odds = Badge(random_state=0).query(
        points.numpy(), answers, model, fit_clf=False, batch_size=2, return_utilities=True
    )
    assert images[0] == first + 9
    with_origin = torch.minimum(squared, vectors.square().sum(1)).numpy()[others]
    numpy.testing.assert_allclose(odds[1][9:][others], with_origin / with_origin.sum(), rtol=1e-6)


def test_typicality_worked_numbers() -> None:
    points = torch.tensor([[0.0, 0.0], [1, 0], [0, 1], [3, 3]])
    expected = torch.tensor([0.99999, 0.82842, 0.82842, 0.277349])
    torch.testing.assert_close(typicality(points, 2), expected, atol=1e-5, rtol=0)


def test_typicality_agrees_with_scikit_activeml() -> None:
    points = normal(60, 5)
    expected = _typicality(points.double().numpy(), numpy.arange(60), 20)
    numpy.testing.assert_allclose(typicality(points, 20).numpy(), expected, rtol=1e-4)


def directions(*sizes: int, seed: int = 0) -> Tensor:
    """Groups of points around the axes, the first point of each exactly on its axis."""
    groups = []
    for axis, size in enumerate(sizes):
        group = torch.eye(len(sizes) + 2)[axis] + 0.05 * normal(size, len(sizes) + 2, seed=seed + axis)
        group[0] = torch.eye(len(sizes) + 2)[axis]
        groups.append(group)
    return torch.cat(groups)


def test_typiclust_takes_the_middle_of_the_largest_unlabelled_clusters() -> None:
    points = directions(40, 30, 20)
    chosen = typiclust(points, points[:0], budget=3, generator=stream(1))
    assert torch.bucketize(chosen, torch.tensor([39, 69, 89])).tolist() == [0, 1, 2]
    for row, group in zip(chosen.tolist(), points.split([40, 30, 20]), strict=True):
        assert (
            typicality(normalize(group, dim=1), 20).max()
            == typicality(normalize(group, dim=1), 20)[(group == points[row]).all(1)]
        )


def test_typiclust_asks_where_no_label_is() -> None:
    points = directions(40, 30, 20)
    pool = points[torch.arange(90) != 0]
    for seed in range(5):
        numbers = cluster(normalize(points, dim=1), 3, stream(seed))[1]
        chosen = typiclust(pool, points[:1], budget=2, generator=stream(seed)) + 1
        assert numbers[0] not in numbers[chosen]
        assert numbers[chosen[0]] != numbers[chosen[1]]


def test_typiclust_leaves_small_clusters_for_last() -> None:
    points = directions(40, 30, 3)
    assert (typiclust(points, points[:0], budget=3, generator=stream(1)) < 70).all()
    assert sorted(typiclust(points, points[:0], budget=73, generator=stream(1)).tolist()) == list(range(73))
    few = directions(2, 2, 2)
    assert len(set(typiclust(few, few[:0], budget=3, generator=stream()).tolist())) == 3


def test_typiclust_goes_round_when_clusters_are_capped() -> None:
    points = directions(40, 30, 20)
    chosen = typiclust(points, points[:0], budget=7, generator=stream(1), max_clusters=3)
    assert torch.bucketize(chosen, torch.tensor([39, 69, 89])).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_blend_weighs_ranks_not_scores() -> None:
    children = {"margin": torch.tensor([-1.0, -0.5, -0.1]), "featdist": torch.tensor([900.0, 5.0, 7.0])}
    found = blend(children, weights={"margin": 3.0, "featdist": 1.0})
    torch.testing.assert_close(found, torch.tensor([0.25, 0.375, 0.875], dtype=torch.float64))
    assert blend(children, weights={"margin": 1.0, "featdist": 0.0}).argmax() == 2


@pytest.mark.parametrize("weights", [{}, {"margin": 0.0}, {"margin": -1.0, "entropy": 2.0}, {"margin": float("inf")}])
def test_blend_refuses_weights_that_mean_nothing(weights) -> None:
    with pytest.raises(BadInput, match="blend: weights must be finite"):
        blend({"margin": torch.ones(3), "entropy": torch.ones(3)}, weights=weights)
