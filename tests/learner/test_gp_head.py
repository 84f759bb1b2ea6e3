"""Softmax Gaussian processes: parity with scikit-learn's binary ones, exact draws, and few labels of few classes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import one_hot

from ssal import registry
from ssal.backbones import Identity
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.learner.gaussian_process import GaussianProcess, Kernel
from ssal.learner.gp_head import GaussianProcessHead
from ssal.learner.laplace import Curvature, curvature, posterior_weights, softmax_mode
from ssal.streams import generator


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(classes: int = 2, count: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Return labelled inputs (n,3) with noisy labels, and other inputs."""
    inputs = normal(count, 3)
    labels = (inputs @ normal(3, classes, seed=1) + 0.5 * normal(count, classes, seed=2)).argmax(dim=1)
    return inputs, labels, normal(15, 3, seed=3)


def moments(curve: Curvature, residuals: Tensor, matrix: Tensor, across: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Return means (N,C) and covariances (N,C,C) of the latents as algorithm 3.4 has them, one input at a time."""
    classes = len(residuals)
    covariances = []
    for row, variance in zip(across, own, strict=True):
        sides = torch.einsum("n,cd->cnd", row, torch.eye(classes, dtype=row.dtype))
        covariances.append(variance * torch.eye(classes) - torch.einsum("cns,cnt->st", sides, curve.solve(sides)))
    return across @ residuals.T, torch.stack(covariances)


@pytest.mark.parametrize(
    ("kernel", "peer"),
    [
        (Kernel("linear", 3.0), ConstantKernel(2 * 3.0 / 3, "fixed") * DotProduct(math.sqrt(3), "fixed")),
        (Kernel("rbf", 3.0, 1.7), ConstantKernel(2 * 3.0, "fixed") * RBF(1.7, "fixed")),
        (Kernel("rbf", 100.0, 0.7), ConstantKernel(2 * 100.0, "fixed") * RBF(0.7, "fixed")),
    ],
)
def test_two_classes_are_scikit_learns_binary_process_of_twice_the_kernel(kernel: Kernel, peer: object) -> None:
    inputs, labels, others = problem()
    matrix, across = kernel.matrix(inputs, inputs), kernel.matrix(others, inputs)
    residuals, evidence = softmax_mode(matrix, labels, 2)
    curve = curvature(matrix, one_hot(labels, 2).T - residuals)
    mean, covariance = moments(curve, residuals, matrix, across, kernel.matrix(others, others).diagonal())
    theirs = GaussianProcessClassifier(peer, optimizer=None, max_iter_predict=1000).fit(inputs.numpy(), labels.numpy())
    latent_mean, latent_variance = theirs.latent_mean_and_variance(others.numpy())
    difference = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    np.testing.assert_allclose(mean @ difference, latent_mean, atol=1e-3)
    np.testing.assert_allclose(covariance @ difference @ difference, latent_variance, atol=1e-3)
    assert evidence == pytest.approx(theirs.log_marginal_likelihood_value_, abs=1e-3)


def test_the_mode_evidence_and_inverse_are_those_of_the_dense_matrices() -> None:
    inputs, labels, _ = problem(classes=4, count=12)
    matrix = Kernel("rbf", 5.0, 1.0).matrix(inputs, inputs)
    residuals, evidence = softmax_mode(matrix, labels, 4)
    latents = residuals @ matrix
    probabilities = latents.softmax(dim=0)
    assert torch.allclose(residuals, one_hot(labels, 4).T - probabilities, atol=1e-6), "the gradient is zero there"
    whole = torch.block_diag(*[matrix] * 4)  # classes are the outer index, as in the book
    spread = torch.cat([probabilities[number].diag() for number in range(4)])
    w = probabilities.flatten().diag() - spread @ spread.T
    likelihood = latents.log_softmax(dim=0).gather(0, labels[None]).sum()
    determinant = torch.linalg.slogdet(torch.eye(48) + whole @ w).logabsdet
    expected = likelihood - (residuals * latents).sum() / 2 - determinant / 2
    assert evidence == pytest.approx(float(expected), abs=1e-6)
    found = curvature(matrix, probabilities).solve(torch.eye(48, dtype=torch.float64).view(4, 12, 48)).reshape(48, 48)
    assert torch.allclose(found, w @ torch.linalg.inv(torch.eye(48) + whole @ w), atol=1e-9)


def test_many_draws_have_the_posteriors_covariance_exactly() -> None:
    """Draws are linear in their normal numbers, so unit vectors in their place add up to the covariance."""
    inputs, labels, others = problem(classes=3, count=9)
    kernel = Kernel("linear", 4.0)
    matrix, across = kernel.matrix(inputs, inputs), kernel.matrix(others, inputs)
    residuals, _ = softmax_mode(matrix, labels, 3)
    probabilities = one_hot(labels, 3).T - residuals
    curve = curvature(matrix, probabilities)
    sizes = 3 * 4, 3 * 9  # of the prior's weights and of the noise
    units = torch.eye(sum(sizes), dtype=torch.float64)
    prior, noise = units[: sizes[0]].view(3, 4, -1), units[sizes[0] :].view(3, 9, -1)
    weights = posterior_weights(matrix, curve, probabilities, residuals, kernel.basis(inputs) @ prior, noise)
    latents = kernel.basis(others) @ prior + across @ weights  # (C,N,S)
    mean, covariance = moments(curve, residuals, matrix, across, kernel.matrix(others, others).diagonal())
    deviations = latents - mean.T[:, :, None]
    assert torch.allclose(torch.einsum("cns,dns->ncd", deviations, deviations), covariance, atol=1e-9)


def test_draws_of_the_rbf_process_have_its_covariance_nearly() -> None:
    inputs, labels, others = problem(classes=3, count=30)
    process = GaussianProcess("rbf", 3, 30, 3, 8)
    process.length.fill_(1.5)
    process.condition(inputs, labels, 4.0)
    draws = process.latents(others, *process.draws(3000, torch.Generator().manual_seed(0)))
    kernel = process.kernel
    matrix, across = kernel.matrix(inputs, inputs), kernel.matrix(others, inputs)
    residuals, _ = softmax_mode(matrix, labels, 3)
    curve = curvature(matrix, one_hot(labels, 3).T - residuals)
    mean, covariance = moments(curve, residuals, matrix, across, kernel.matrix(others, others).diagonal())
    assert torch.allclose(draws.mean(dim=0), mean, atol=0.15)
    for place in range(len(others)):
        assert torch.allclose(torch.cov(draws[:, place].T), covariance[place], atol=0.3)  # of a prior variance of 4


def features(count: int = 60, classes: int = 3, width: int = 20) -> tuple[ImageSet, Tensor, Tensor]:
    labels = torch.arange(count) % classes
    rows = (normal(count, width) + 3 * normal(classes, width, seed=1)[labels]).float()
    return ImageSet([f"{i:016x}" for i in range(count)], [""] * count, rows), rows, labels


def head(rows: Tensor, labels: Tensor, pool: ImageSet, classes: int = 3, **options: object) -> GaussianProcessHead:
    learner = GaussianProcessHead(Identity(pool.shape[0]), Views((0.0,), (1.0,), flip=False), classes, **options)
    learner.see(pool, rows, labels)
    learner.fit(lambda steps: [{"labelled": pool.fetch(rows), "labels": labels}], Path(), (0,), {})
    return learner.eval()


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_probabilities_are_the_mean_over_draws(kernel: str) -> None:
    pool, everything, labels = features()
    learner = head(torch.arange(9), labels[:9], pool, kernel=kernel, samples=1000)
    logits, seen = learner(everything)
    assert torch.equal(seen, everything)
    assert torch.allclose(logits.exp().sum(dim=1), torch.ones(60), atol=1e-5)
    draws = learner.posterior_logits(everything, 1000, torch.Generator().manual_seed(0))
    assert draws.shape == (1000, 60, 3)
    assert torch.allclose(draws.softmax(dim=2).mean(dim=0), logits.softmax(dim=1), atol=0.06)
    assert (logits.argmax(1) == labels).float().mean() > 0.9


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_batches_share_their_draws(kernel: str) -> None:
    pool, everything, labels = features()
    learner = head(torch.arange(9), labels[:9], pool, kernel=kernel)
    whole = learner.posterior_logits(everything, 5, generator(0, "draws"))
    parts = [learner.posterior_logits(part, 5, generator(0, "draws")) for part in everything.split(7)]
    assert torch.allclose(whole, torch.cat(parts, dim=1), atol=1e-5)
    assert not torch.allclose(whole, learner.posterior_logits(everything, 5, generator(1, "draws")), atol=0.1)
    one_by_one = torch.cat([learner(image[None])[0] for image in everything])
    assert torch.allclose(learner(everything)[0], one_by_one, atol=1e-6)


def test_the_variance_of_the_highest_evidence_is_taken() -> None:
    pool, _, labels = features()
    rows = torch.arange(60)
    alone = {v: head(rows, labels, pool, prior_variances=(v,)).log_evidence for v in (0.01, 100.0, 1e8)}
    learner = head(rows, labels, pool, prior_variances=(1e8, 0.01, 100.0))
    assert learner.prior_variance == max(alone, key=alone.__getitem__) == 100.0
    assert learner.facts() == {"prior_variance": 100.0, "log_evidence": pytest.approx(alone[100.0])}
    noise = labels[torch.randperm(60, generator=torch.Generator().manual_seed(0))]
    learner = head(rows, noise, pool, prior_variances=(0.01, 100.0, 1e8))
    assert learner.prior_variance == 0.01, "labels that follow from nothing are explained by noise"


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_more_is_known_near_labelled_images(kernel: str) -> None:
    pool, everything, labels = features()
    learner = head(torch.arange(9), labels[:9], pool, kernel=kernel, prior_variances=(10.0,))
    far = torch.cat([everything[:9], everything[:9] + 30 * normal(9, 20, seed=5).float()])
    draws = learner.posterior_logits(far, 2000, generator("test"))
    spread = (draws - draws.mean(dim=2, keepdim=True)).var(dim=0).mean(dim=1)
    assert spread[:9].max() < spread[9:].min()


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("labelled", [[0], [0, 3, 6], [0, 1], [0, 0, 0, 1, 1]])
def test_few_labels_of_few_classes(kernel: str, labelled: list[int]) -> None:
    """One label, one class alone, classes without a label, the same image more than once."""
    pool, everything, labels = features(classes=3)
    rows = torch.tensor(labelled)
    learner = head(
        rows, labels[rows], pool, classes=4, kernel=kernel, prior_variances=(10.0,), temperature_scaling=True
    )
    probabilities = learner(everything)[0].softmax(dim=1)
    assert torch.isfinite(probabilities).all()
    assert (probabilities[rows].argmax(1) == labels[rows]).all()
    unlabelled = [number for number in range(4) if number not in labels[rows]]
    found = probabilities[rows][:, unlabelled]
    assert found.min() > 1e-4, "a class without a label is never ruled out"
    assert torch.allclose(found, found[:, :1].expand_as(found), atol=0.05), "nothing tells such classes apart"


def test_the_same_label_twice_says_more() -> None:
    pool, everything, labels = features()
    once, twice = (head(torch.tensor(rows), labels[rows], pool, prior_variances=(5.0,)) for rows in ([0, 1], [0, 1, 0]))
    first, second = (learner(everything[:1])[0].softmax(dim=1)[0, 0] for learner in (once, twice))
    assert second > first + 0.01


def test_one_class_that_is_all_there_is() -> None:
    pool, everything, labels = features()
    learner = head(torch.arange(3), torch.zeros(3, dtype=torch.long), pool, classes=1)
    assert torch.allclose(learner(everything)[0], torch.zeros(60, 1), atol=1e-6)


def test_features_that_never_vary_do_not_matter() -> None:
    pool, everything, labels = features()
    padded = torch.cat([everything, torch.full((60, 20), 7.0)], dim=1)
    wide = ImageSet(pool.ids, pool.paths, padded)
    plain = head(torch.arange(9), labels[:9], pool, prior_variances=(1.0,))
    more = head(torch.arange(9), labels[:9], wide, prior_variances=(2.0,))  # the variance is shared by all features
    found, other = plain.process.inputs, more.process.inputs
    assert torch.allclose(found @ found.T / 20, 2 * other @ other.T / 40, atol=1e-4)
    assert not more.process.inputs[:, 20:].any()


def test_too_many_labels_are_refused() -> None:
    count = 2001
    pool = ImageSet([f"{i:016x}" for i in range(count)], [""] * count, normal(count, 2).float())
    call = registry.find("learner", "gp_head").call
    for classes, most in ((3, 2000), (1000, math.isqrt(2**28 // 1000))):
        learner = call(Identity(2), Views((0.0,), (1.0,), flip=False), classes)
        with pytest.raises(BadInput, match=f"at most {most} labels of {classes} classes.*linear_probe.*budget"):
            learner.see(pool, torch.arange(most + 1), torch.zeros(most + 1, dtype=torch.long))
        learner.see(pool, torch.arange(10), torch.zeros(10, dtype=torch.long))


def test_a_rare_class_does_not_pull_the_others_apart() -> None:
    """The pool's mean lies in its largest class: without a constant the classes could not be told apart there."""
    labels = torch.tensor([0] * 450 + [1] * 50)
    rows = (normal(500, 16) + 3 * normal(2, 16, seed=1)[labels]).float()
    pool = ImageSet([f"{i:016x}" for i in range(500)], [""] * 500, rows)
    known = torch.tensor([*range(30), 450, 451, 452])
    learner = head(known, labels[known], pool, classes=2)
    learner.tune(rows[known], labels[known])
    learner.solve(rows[known], labels[known])
    with torch.no_grad():
        found = learner(rows)[0].argmax(dim=1)
    peer = LogisticRegression().fit(rows[known].numpy(), labels[known].numpy()).score(rows.numpy(), labels.numpy())
    assert (found == labels).float().mean() > 0.95 and peer > 0.95


def test_one_class_alone_is_what_it_predicts() -> None:
    pool, rows, _ = features()
    learner = head(torch.arange(8), torch.zeros(8, dtype=torch.long), pool)
    learner.tune(rows[:8], torch.zeros(8, dtype=torch.long))
    learner.solve(rows[:8], torch.zeros(8, dtype=torch.long))
    with torch.no_grad():
        assert (learner(rows)[0].argmax(dim=1) == 0).float().mean() > 0.9
