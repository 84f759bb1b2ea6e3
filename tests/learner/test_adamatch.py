"""AdaMatch: worked numbers of threshold and alignment, the interpolation, and BatchNorm under two forwards."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from on_vectors import batch, learner_of_logits
from torch import nn
from torch.nn.functional import cross_entropy

from ssal.learner.adamatch import AdaMatch, relative_threshold
from ssal.learner.targets import RecentMean, align

LABELLED = torch.tensor([[0.9, 0.1], [0.7, 0.3]])
UNLABELLED = torch.tensor([[0.6, 0.4], [0.9, 0.1]])


def test_the_threshold_is_relative_to_labelled_images() -> None:
    assert relative_threshold(LABELLED, 0.9).item() == pytest.approx(0.72)


def test_aligned_worked_numbers() -> None:
    aligned = align(UNLABELLED, LABELLED.mean(dim=0), RecentMean(2, 1)(UNLABELLED))
    expected = torch.tensor([[0.6667, 0.3333], [0.9231, 0.0769]])
    assert torch.allclose(aligned, expected, atol=1e-4)


def adamatch(classes: int = 2, **options: Any) -> AdaMatch:
    learner = learner_of_logits("adamatch", classes, 4, [0, 1], [0, 0], **options)
    assert isinstance(learner, AdaMatch)
    return learner


@pytest.fixture
def full_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AdaMatch, "global_step", property(lambda self: self.steps // 2))


GIVEN = batch(LABELLED.log().tolist(), [0, 0], UNLABELLED.log().tolist())


def test_nothing_unlabelled_is_taught_at_first() -> None:
    expected = cross_entropy(LABELLED.log(), torch.zeros(2, dtype=torch.long))
    assert adamatch().loss(GIVEN, "t").item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_loss_by_hand(full_weight: None) -> None:
    learner = adamatch(alignment_batches=1, steps=10)
    assert learner.labelled_decay == 0  # ten steps: the labelled average is this batch's
    loss = learner.loss(GIVEN, "t").item()
    labelled = -(math.log(0.9) + math.log(0.7)) / 2
    unlabelled = -math.log(0.9) / 2  # aligned .667 misses .72, .923 does not
    assert loss == pytest.approx(labelled + unlabelled, abs=1e-5)


def test_balanced_batches_do_not_align_to_equal_shares(full_weight: None) -> None:
    learner = adamatch(class_balanced=True, alignment_batches=1, steps=10)  # all labels are of class 0
    found = learner._aligned(UNLABELLED, torch.full((2, 2), 0.5))
    expected = align(UNLABELLED, torch.tensor([1.0, 0.0]), UNLABELLED.mean(dim=0))
    assert torch.allclose(found, expected, atol=1e-6)


def test_defaults_are_the_authors() -> None:
    learner = adamatch()
    assert (learner.unlabelled_batch_size, learner.weight_decay, learner.threshold_share) == (192, 1e-3, 0.9)
    assert learner.unlabelled_mean.batches.shape == (128, 2) and bool((learner.unlabelled_mean.batches == 0.5).all())
    assert learner.labelled_decay == 0.999


class Normed(nn.Module):
    """BatchNorm of vectors, as an encoder."""

    num_features = 2

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.norm(vectors)


def normed() -> AdaMatch:
    learner = adamatch()
    learner.network.encoder = Normed()
    return learner


def test_logits_alone_differ_and_leave_no_trace_in_running_statistics() -> None:
    learner, vectors = normed(), torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    before = {name: value.clone() for name, value in learner.network.named_buffers()}
    alone = learner._logits_of_labelled_alone(vectors)
    assert torch.allclose(alone, torch.tensor([[-1.0, 1.0], [1.0, -1.0]]), atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in learner.network.named_buffers())
    alone.sum().backward()
    assert learner.network.encoder.norm.bias.grad.any(), "both forwards learn"


def test_labelled_logits_lie_between_those_of_the_two_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, seen = normed(), []
    monkeypatch.setattr(learner, "labelled_loss", lambda logits, labels: seen.append(logits) or logits.sum())
    given = batch([[1.0, 2.0], [3.0, 0.0]], [0, 1], [[9.0, 9.0], [8.0, 7.0]])
    for name in ("a", "a", "b"):
        learner.loss(given, name)
    together, _ = learner.network(torch.cat([given["labelled"].repeat(2, 1), given["unlabelled"].repeat(2, 1)]))
    alone, _ = learner.network(given["labelled"].repeat(2, 1))
    share = (seen[0] - alone) / (together[:4] - alone)
    assert bool(((share >= 0) & (share <= 1)).all()) and share.std() > 0.1, "a share of its own for every logit"
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2]), "drawn from the stream of the step"
