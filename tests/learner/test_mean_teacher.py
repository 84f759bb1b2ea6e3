"""Mean Teacher: early decays, the loss by hand, and a teacher that is another network than the student."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from normed import Normed
from on_vectors import batch, learner_of_logits
from torch import nn

from ssal.learner.mean_teacher import MeanTeacher
from ssal.learner.schedules import early_decay

LABELLED = torch.tensor([[0.8, 0.2], [0.5, 0.5]])
UNLABELLED = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
GIVEN = batch(LABELLED.log().tolist(), [0, 1], UNLABELLED.log().tolist())
SUPERVISED = -(math.log(0.8) + math.log(0.5)) / 2


def mean_teacher(**options: Any) -> MeanTeacher:
    learner = learner_of_logits("mean_teacher", 2, 4, [0, 1], [0, 1], **{"warm_up": 0.0, **options})
    assert isinstance(learner, MeanTeacher)
    with torch.no_grad():  # a teacher that takes the first class for the second
        learner.average.head.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        learner.average.head.bias.zero_()
    return learner


def test_early_decay_worked_numbers() -> None:
    found = [early_decay(step, 0.999) for step in (1, 2, 10, 2000)]
    assert found == pytest.approx([0.5, 0.6667, 0.9091, 0.999], abs=1e-4)


def test_the_loss_by_hand() -> None:
    squared = (0.8**2 + 0.4**2) / 2
    assert mean_teacher().loss(GIVEN, "t").item() == pytest.approx(SUPERVISED + 50 * squared, abs=1e-4)
    assert mean_teacher(warm_up=0.4).loss(GIVEN, "t").item() == pytest.approx(SUPERVISED, abs=1e-6)


def test_the_student_learns_from_the_teacher_and_the_teacher_does_not() -> None:
    learner, logits = mean_teacher(unlabelled_weight=1.0), UNLABELLED.log().requires_grad_()
    learner.loss({**GIVEN, "unlabelled": logits}, "t").backward()
    student = UNLABELLED.log().requires_grad_()
    (UNLABELLED.flip(1) - student.softmax(dim=1)).square().mean().backward()
    assert logits.grad is not None and student.grad is not None
    assert torch.allclose(logits.grad, student.grad, atol=1e-6) and logits.grad.any()
    assert all(p.grad is None for p in learner.average.parameters())


def test_the_teacher_sees_batches_as_in_training_and_keeps_its_statistics() -> None:
    learner = mean_teacher(unlabelled_weight=1.0)
    learner.network.encoder, learner.average.encoder = Normed(), Normed()
    learner.average.encoder.norm.running_mean.fill_(1e6)  # would show in every probability
    loss = learner.loss(GIVEN, "t").item()
    labelled = nn.functional.cross_entropy(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), torch.tensor([0, 1])).item()
    sure = torch.tensor([1.0, -1.0]).softmax(dim=0)[0].item()  # two rows, normalised, are (1, −1) and (−1, 1)
    assert loss == pytest.approx(labelled + (2 * sure - 1) ** 2, abs=1e-3)
    assert learner.average.encoder.norm.num_batches_tracked == 0
    assert learner.network.encoder.norm.num_batches_tracked == 1, "the labelled batch alone"


@pytest.mark.parametrize(
    ("step", "options", "teacher"),
    [
        (1, {}, 0.5),
        (9, {}, 0.1),
        (9, {"steps": 20}, 0.5),  # the shortened decay is below 1 − 1/10
        (9, {"steps": 20, "swa_from": 0.25}, 0.25),  # the fourth network of an equal average
        (5, {"steps": 20, "swa_from": 0.25}, 0.5),  # none of that average yet
        (6, {"steps": 20, "swa_from": 0.25}, 1.0),  # its first one
    ],
)
def test_how_far_the_teacher_follows(
    step: int, options: dict[str, Any], teacher: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = mean_teacher(**options)
    monkeypatch.setattr(MeanTeacher, "global_step", step)
    with torch.no_grad():
        learner.network.head.bias.fill_(1.0)
    learner.on_train_batch_end(None, None, 0)
    assert learner.average.head.bias.tolist() == pytest.approx([teacher, teacher])
