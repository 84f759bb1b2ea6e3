"""Pseudo-label: the loss by hand, its ramp, and whose BatchNorm statistics are kept."""

from __future__ import annotations

import math

import pytest
import torch
from normed import Normed
from on_vectors import batch, learner_of_logits

from ssal.learner.base import Learner
from ssal.learner.pseudo_label import PseudoLabel

LABELLED = torch.tensor([[0.8, 0.2], [0.5, 0.5]])
UNLABELLED = torch.tensor([[0.99, 0.01], [0.9, 0.1], [0.04, 0.96], [0.5, 0.5]])
GIVEN = batch(LABELLED.log().tolist(), [0, 1], UNLABELLED.log().tolist())
SUPERVISED = -(math.log(0.8) + math.log(0.5)) / 2


def pseudo_label(**options: float) -> Learner:
    return learner_of_logits("pseudo_label", 2, 4, [0, 1], [0, 1], **options)


def test_the_loss_by_hand() -> None:
    loss = pseudo_label(warm_up=0.0).loss(GIVEN, "t").item()
    assert loss == pytest.approx(SUPERVISED - (math.log(0.99) + math.log(0.96)) / 4, abs=1e-6), "over all four"


@pytest.mark.parametrize(("step", "share"), [(0, 0.0), (10, 0.25), (40, 1.0), (99, 1.0)])
def test_the_weight_rises_over_two_fifths_of_the_steps(
    step: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PseudoLabel, "global_step", step)
    learner = pseudo_label(steps=100, threshold=0.0, unlabelled_weight=2.0)
    every = -(math.log(0.99) + math.log(0.9) + math.log(0.96) + math.log(0.5)) / 4
    assert learner.loss(GIVEN, "t").item() == pytest.approx(SUPERVISED + 2 * share * every, abs=1e-6)


def test_its_own_label_has_no_gradient_and_the_prediction_has() -> None:
    learner = pseudo_label(warm_up=0.0, threshold=0.0)
    logits = UNLABELLED.log().requires_grad_()
    learner.loss({**GIVEN, "unlabelled": logits}, "t").backward()
    expected = (UNLABELLED - torch.tensor([[1.0, 0], [1, 0], [0, 1], [1, 0]])) / 4  # softmax minus one-hot
    assert logits.grad is not None and torch.allclose(logits.grad, expected, atol=1e-6)


def test_running_statistics_are_those_of_labelled_images() -> None:
    learner = pseudo_label()
    learner.network.encoder = Normed()
    learner.loss(GIVEN, "t")
    norm = learner.network.encoder.norm
    assert torch.allclose(norm.running_mean, LABELLED.log().mean(dim=0)) and norm.num_batches_tracked == 1
