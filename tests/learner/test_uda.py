"""UDA: worked numbers of the annealing schedules and of the loss."""

from __future__ import annotations

import math

import pytest
import torch
from on_vectors import batch, learner_of_logits
from torch.nn.functional import cross_entropy

from ssal.learner.uda import annealed_bar, annealed_cross_entropy


@pytest.mark.parametrize(("schedule", "bar"), [("linear", 0.55), ("log", 0.926124), ("exp", 0.173876), ("none", 1.0)])
def test_annealing_halfway(schedule: str, bar: float) -> None:
    assert annealed_bar(schedule, 0.5, classes=10) == pytest.approx(bar, abs=1e-6)


@pytest.mark.parametrize(
    ("schedule", "ends"), [("linear", (0.1, 1)), ("log", (0.1, 1)), ("exp", (0.1, 1)), ("none", (1, 1))]
)
def test_the_bar_rises_from_chance_to_certainty(schedule: str, ends: tuple[float, float]) -> None:
    found = [annealed_bar(schedule, progress, classes=10) for progress in (0.0, 1.0)]
    assert found == pytest.approx(ends, abs=0.9 * math.exp(-5) + 1e-9)


LOGITS = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]).log()
LABELS = torch.tensor([0, 1, 1])
"""The right classes have .9, .5 and .2."""


def test_images_that_are_right_beyond_the_bar_are_left_out() -> None:
    kept = -(math.log(0.5) + math.log(0.2)) / 2  # a mean over those that are kept, unlike the unlabelled loss
    assert annealed_cross_entropy(LOGITS, LABELS, 0.55).item() == pytest.approx(kept, abs=1e-6)


def test_no_image_is_left_out_at_a_bar_of_one_and_all_may_be() -> None:
    plain = cross_entropy(LOGITS, LABELS, label_smoothing=0.1)
    assert annealed_cross_entropy(LOGITS, LABELS, 1.0, 0.1).item() == pytest.approx(plain.item(), abs=1e-6)
    assert annealed_cross_entropy(LOGITS, LABELS, 0.1).item() == 0


def test_targets_are_sharp_and_the_mask_is_not() -> None:
    learner = learner_of_logits("uda", 2, 3, [0], [0], temperature=0.5)
    unlabelled = torch.tensor([[0.75, 0.25], [0.9, 0.1]]).log().tolist()
    loss = learner.loss(batch([[0.0, 0.0]], [0], unlabelled), "t").item()
    sharp = [0.81 / 0.82, 0.01 / 0.82]  # .75 sharpens to .9, but only .9 is sure as it is; the mean is over both
    expected = math.log(2) - (sharp[0] * math.log(0.9) + sharp[1] * math.log(0.1)) / 2
    assert loss == pytest.approx(expected, abs=1e-6)


def test_annealing_reaches_the_loss() -> None:
    sure = {"labelled": [[3.0, 0.0]], "labels": [0], "unlabelled": [[0.0, 0.0]]}
    plain = learner_of_logits("uda", 2, 3, [0], [0]).loss(batch(**sure), "t")
    annealed = learner_of_logits("uda", 2, 3, [0], [0], training_signal_annealing="linear").loss(batch(**sure), "t")
    assert plain.item() == pytest.approx(math.log1p(math.exp(-3)), abs=1e-6) and annealed.item() == 0
