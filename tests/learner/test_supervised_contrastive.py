"""Supervised contrastive: worked numbers, agreement with two independent forms, and what the learner makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from lightly.loss import NTXentLoss
from test_learners import make, tiny_images
from torch.nn.functional import normalize

from ssal.data import batches
from ssal.learner.contrasts import supervised_contrastive_loss
from ssal.streams import stream


def test_worked_numbers() -> None:
    """Cosines of 1 and 0: a pair and a stranger; with e^1 and e^0 each of the pair costs log((e + 1) / e)."""
    vectors, labels = torch.tensor([[2.0, 0], [5, 0], [0, 1]]), torch.tensor([4, 4, 1])
    pair = math.log((math.e + 1) / math.e)
    assert supervised_contrastive_loss(vectors, labels, 1.0).item() == pytest.approx(pair, abs=1e-6)
    three = supervised_contrastive_loss(vectors, torch.tensor([0, 0, 0]), 1.0).item()
    first, last = math.log(math.e + 1) - 0.5, math.log(2)
    assert three == pytest.approx((2 * first + last) / 3, abs=1e-6), "the mean over partners stands outside the log"
    assert supervised_contrastive_loss(vectors, torch.arange(3), 1.0).item() == 0, "nobody has a partner"


def by_hand(vectors: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The paper's formula 2, sums and all."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    terms = []
    for i in range(len(unit)):
        others = [a for a in range(len(unit)) if a != i]
        total = sum(np.exp(unit[i] @ unit[a] / temperature) for a in others)
        partners = [p for p in others if labels[p] == labels[i]]
        if partners:
            terms.append(-np.mean([np.log(np.exp(unit[i] @ unit[p] / temperature) / total) for p in partners]))
    return float(np.mean(terms))


@pytest.mark.parametrize("temperature", [0.07, 0.1, 0.5])
def test_it_is_the_formula_of_the_paper(temperature: float) -> None:
    random = np.random.default_rng(0)
    vectors, labels = random.normal(size=(20, 6)), random.integers(0, 5, size=20)
    labels[0] = 9  # alone in its class
    found = supervised_contrastive_loss(torch.from_numpy(vectors), torch.from_numpy(labels), temperature)
    assert found.item() == pytest.approx(by_hand(vectors, labels, temperature), rel=1e-5)


def test_with_a_class_for_every_image_it_is_lightlys_nt_xent() -> None:
    views = torch.randn(2, 12, 6, generator=torch.Generator().manual_seed(0))
    found = supervised_contrastive_loss(views.flatten(0, 1), torch.arange(12).repeat(2), 0.2)
    assert found.item() == pytest.approx(NTXentLoss(0.2)(*views).item(), abs=1e-5)


def test_gradients_stay_finite_and_bfloat16_hardly_matters() -> None:
    vectors = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.arange(16) % 3
    loss = supervised_contrastive_loss(vectors, labels, 0.1)
    loss.backward()
    assert vectors.grad is not None and vectors.grad.isfinite().all() and vectors.grad.any()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert supervised_contrastive_loss(vectors, labels, 0.1).item() == pytest.approx(loss.item(), abs=1e-5)


def test_the_loss_is_cross_entropy_plus_the_weighted_contrast_of_two_views() -> None:
    images, labels = tiny_images()
    rows = torch.arange(20)
    batch = next(iter(batches.labelled_and_unlabelled(images, range(1), rows, labels[rows], 16, 0, (0, "t"))))
    found = {}
    for weight in (0.0, 1.0, 2.5):
        learner = make("supervised_contrastive", images, {"contrast_weight": weight, "temperature": 0.3})
        found[weight] = learner.loss(batch, 0, "step", 0)
    weak = learner.views.weak(batch["labelled"], 0, "step", 0, "labelled")
    strong = [
        learner.views.contrastive(
            batch["labelled"], stream(0, "step", 0, "contrast", view), strength=0.5, min_scale=0.2
        )
        for view in (1, 2)
    ]
    logits, features = learner.network(torch.cat([weak, *strong]))
    vectors = normalize(learner.network.get_submodule("projection")(features[16:]), dim=1)
    contrast = supervised_contrastive_loss(vectors, batch["labels"].repeat(2), 0.3)
    assert found[0.0].item() == pytest.approx(learner.labelled_loss(logits[:16], batch["labels"]).item(), abs=1e-5)
    for weight, loss in found.items():
        assert loss.item() == pytest.approx(found[0.0].item() + weight * contrast.item(), abs=1e-4)
    found[2.5].backward()
    projection = dict(make("supervised_contrastive", images, {}).average.named_parameters())
    assert {"projection.0.weight", "projection.2.bias"} <= projection.keys(), "averaged and saved with the network"
