"""Π-model: the loss by hand, with views that differ."""

from __future__ import annotations

import math

import pytest
import torch
from normed import Normed
from on_vectors import SameViews, batch, learner_of_logits
from torch import Tensor

from ssal.learner.base import Learner

LABELLED = torch.tensor([[0.8, 0.2], [0.5, 0.5]])
UNLABELLED = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
GIVEN = batch(LABELLED.log().tolist(), [0, 1], UNLABELLED.log().tolist())
SUPERVISED = -(math.log(0.8) + math.log(0.5)) / 2


class Mirrored(SameViews):
    """Swaps the classes in the second view."""

    def weak(self, images: Tensor, *names: int | str) -> Tensor:
        return images.flip(1) if names[-1] == 2 else images


def pi_model(**options: float) -> Learner:
    learner = learner_of_logits("pi_model", 2, 4, [0, 1], [0, 1], warm_up=0.0, **options)
    learner.views = Mirrored((), (), flip=False)
    return learner


def test_the_loss_by_hand() -> None:
    squared = (0.8**2 + 0.4**2) / 2  # both classes differ by .8 and by .4; mean over classes, then images
    assert pi_model().loss(GIVEN, "t").item() == pytest.approx(SUPERVISED + 10 * squared, abs=1e-5)
    assert pi_model(unlabelled_weight=0.5).loss(GIVEN, "t").item() == pytest.approx(SUPERVISED + squared / 2, abs=1e-5)


def test_equal_views_leave_the_labelled_loss() -> None:
    learner = pi_model()
    learner.views = SameViews((), (), flip=False)
    assert learner.loss(GIVEN, "t").item() == pytest.approx(SUPERVISED, abs=1e-6)


def test_only_the_second_view_learns() -> None:
    learner, logits = pi_model(unlabelled_weight=1.0), UNLABELLED.log().requires_grad_()
    learner.loss({**GIVEN, "unlabelled": logits}, "t").backward()
    second = UNLABELLED.flip(1).log().requires_grad_()
    (UNLABELLED - second.softmax(dim=1)).square().mean().backward()
    assert logits.grad is not None and second.grad is not None
    assert torch.allclose(logits.grad, second.grad.flip(1), atol=1e-6) and logits.grad.any()


def test_nothing_unlabelled_is_taught_at_first() -> None:
    learner = learner_of_logits("pi_model", 2, 4, [0, 1], [0, 1])
    learner.views = Mirrored((), (), flip=False)
    assert learner.loss(GIVEN, "t").item() == pytest.approx(SUPERVISED, abs=1e-6)
    assert (learner.unlabelled_weight, learner.warm_up, learner.unlabelled_batch_size) == (10.0, 0.4, 64)


def test_running_statistics_are_those_of_labelled_images_and_every_group_is_normalised_apart() -> None:
    learner = pi_model(unlabelled_weight=1.0)
    learner.network.encoder = Normed()
    loss = learner.loss(GIVEN, "t").item()
    norm = learner.network.encoder.norm
    assert torch.allclose(norm.running_mean, LABELLED.log().mean(dim=0)) and norm.num_batches_tracked == 1
    supervised = torch.nn.functional.cross_entropy(torch.tensor([[1.0, -1], [-1, 1]]), torch.tensor([0, 1])).item()
    sure = torch.tensor([1.0, -1]).softmax(dim=0)[0].item()  # two rows, normalised, are (1, −1) and (−1, 1)
    assert loss == pytest.approx(supervised + (2 * sure - 1) ** 2, abs=1e-3)
