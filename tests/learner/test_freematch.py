"""FreeMatch: worked numbers of the thresholds and the sign of the fairness term."""

from __future__ import annotations

import math

import pytest
import torch
from on_vectors import batch, learner_of_logits
from torch.nn.functional import cross_entropy

from ssal.learner.freematch import FreeMatch, SelfAdaptiveThresholds, fairness, over

PROBABILITIES = torch.tensor([[0.8, 0.2], [0.6, 0.4]])


def test_averages_move_before_thresholds_are_read() -> None:
    adaptive = SelfAdaptiveThresholds(2, decay=0.9, highest=1.0)
    thresholds = adaptive(PROBABILITIES)
    assert adaptive.confidence.item() == pytest.approx(0.52)
    assert adaptive.probabilities.tolist() == pytest.approx([0.52, 0.48])
    assert adaptive.shares.tolist() == pytest.approx([0.55, 0.45])
    assert thresholds.tolist() == pytest.approx([0.52, 0.48])


def test_the_global_threshold_may_be_capped() -> None:
    adaptive = SelfAdaptiveThresholds(2, decay=0.9, highest=0.51)
    assert adaptive(PROBABILITIES).tolist() == pytest.approx([0.51, 0.51 * 0.48 / 0.52])


def test_probabilities_over_shares() -> None:
    found = over(torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.75, 0.25, 0.0]))
    assert found.tolist() == pytest.approx([0.8 / 2, 1.2 / 2, 0])


def test_fairness_is_minus_a_cross_entropy() -> None:
    logits = torch.tensor([[0.8, 0.2], [0.4, 0.6], [0.9, 0.1]]).log()
    counted = torch.tensor([True, True, False])
    # mean (.6, .4), each class predicted once: Q = (.6, .4); P ∝ (.52/.55, .48/.45)
    first, second = 0.52 / 0.55, 0.48 / 0.45
    expected = (first * math.log(0.6) + second * math.log(0.4)) / (first + second)
    found = fairness(logits, counted, torch.tensor([0.52, 0.48]), torch.tensor([0.55, 0.45]))
    assert found.item() == pytest.approx(expected, abs=1e-6) and expected < 0


def test_fairness_is_nothing_where_nothing_is_counted() -> None:
    logits = torch.randn(3, 2, requires_grad=True)
    found = fairness(logits, torch.zeros(3, dtype=torch.bool), torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5]))
    found.backward()
    assert found.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_a_class_that_no_image_is_given_leaves_fairness_finite() -> None:
    logits = torch.tensor([[2.0, 0, 0], [0, 2, 0]], requires_grad=True)
    found = fairness(logits, torch.tensor([True, True]), torch.tensor([0.5, 0.5, 1e-30]), torch.tensor([0.5, 0.5, 0]))
    found.backward()
    assert found.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


def test_the_loss_is_masked_by_the_thresholds_of_this_step() -> None:
    learner = learner_of_logits("freematch", 2, 2, [0], [0], threshold_decay=0.0, fairness_weight=0.5)
    assert isinstance(learner, FreeMatch)
    logits = PROBABILITIES.log()
    loss = learner.loss(batch([[0.0, 0.0]], [0], logits.tolist()), "t").item()
    # without memory τ = .7 and p̃ = (.7, .3): .8 counts, .6 does not. Only class 0 is given: Q = (1, 0), P = (1, 0)
    taught = cross_entropy(logits[:1], torch.tensor([0])).item() / 2
    assert loss == pytest.approx(math.log(2) + taught, abs=1e-5)


def test_fairness_reaches_the_loss_with_its_sign() -> None:
    losses = []
    for weight in (0.0, 1.0):
        learner = learner_of_logits("freematch", 2, 2, [0], [0], fairness_weight=weight)
        unlabelled = torch.tensor([[0.8, 0.2], [0.4, 0.6]]).log().tolist()
        losses.append(learner.loss(batch([[0.0, 0.0]], [0], unlabelled), "t").item())
    # p̃ and h̃ are still about equal after one step, so P = (.5, .5); both images count, so Q = (.6, .4)
    assert losses[1] - losses[0] == pytest.approx(0.5 * (math.log(0.6) + math.log(0.4)), abs=0.02)
