"""FlexMatch: worked numbers of the thresholds, and what is remembered of the pool."""

from __future__ import annotations

import math

import pytest
import torch
from on_vectors import batch, learner_of_logits

from ssal.learner.flexmatch import FlexMatch, class_thresholds

COUNTS = torch.tensor([4, 2, 0, 4])
"""Of ten images, four are without a class."""


def test_thresholds_follow_the_counts() -> None:
    assert class_thresholds(COUNTS, 0.95, True).tolist() == pytest.approx([0.95, 0.316667, 0], abs=1e-6)


def test_images_without_a_class_hold_thresholds_down() -> None:
    many = torch.tensor([4, 2, 0, 8])  # β = (.5, .25, 0)
    assert class_thresholds(many, 0.95, True).tolist() == pytest.approx([0.95 / 3, 0.95 / 7, 0], abs=1e-6)
    assert class_thresholds(many, 0.95, False).tolist() == pytest.approx([0.95, 0.316667, 0], abs=1e-6)


@pytest.mark.parametrize("warm_up", [True, False])
def test_thresholds_start_at_zero(warm_up: bool) -> None:
    assert class_thresholds(torch.tensor([0, 0, 10]), 0.95, warm_up).tolist() == [0, 0]


def flexmatch(**options: object) -> FlexMatch:
    learner = learner_of_logits("flexmatch", 2, 4, [0], [0], **options)
    assert isinstance(learner, FlexMatch)
    return learner


def test_only_sure_predictions_are_remembered_and_the_last_one_counts() -> None:
    learner = flexmatch()
    assert learner.assigned.tolist() == [2, 2, 2, 2] and learner.counts.tolist() == [0, 0, 4]
    learner.assign(torch.tensor([3, 1]), torch.tensor([1, 0]), torch.tensor([True, False]))
    assert learner.assigned.tolist() == [2, 2, 2, 1] and learner.counts.tolist() == [0, 1, 3]
    learner.assign(torch.tensor([1, 3]), torch.tensor([0, 0]), torch.tensor([True, True]))
    assert learner.assigned.tolist() == [2, 0, 2, 0] and learner.counts.tolist() == [2, 0, 2]
    learner.assign(torch.tensor([1, 3]), torch.tensor([1, 1]), torch.tensor([False, False]))
    assert learner.assigned.tolist() == [2, 0, 2, 0] and learner.counts.tolist() == [2, 0, 2]


def test_an_image_twice_in_a_batch_keeps_its_last_sure_class() -> None:
    learner = flexmatch()
    rows, classes = torch.tensor([2, 0, 2, 2]), torch.tensor([0, 1, 1, 0])
    learner.assign(rows, classes, torch.tensor([True, True, True, False]))
    assert learner.assigned.tolist() == [1, 2, 1, 2] and learner.counts.tolist() == [0, 2, 2]


def test_the_counts_are_those_of_what_is_remembered() -> None:
    learner, generator = flexmatch(), torch.Generator().manual_seed(0)
    for _ in range(50):
        rows, classes = torch.randint(4, (6,), generator=generator), torch.randint(2, (6,), generator=generator)
        learner.assign(rows, classes, torch.rand(6, generator=generator) < 0.3)
        assert torch.equal(learner.counts, torch.bincount(learner.assigned, minlength=3))


def test_a_lower_threshold_lets_images_in_but_not_into_what_is_remembered() -> None:
    learner = flexmatch(threshold=0.9)
    learner.assigned.copy_(torch.tensor([0, 0, 1, 2]))
    learner.counts.copy_(torch.tensor([2, 1, 1]))
    unlabelled = torch.tensor([[0.3, 0.7], [0.7, 0.3], [0.05, 0.95]]).log().tolist()
    loss = learner.loss(batch([[0.0, 0.0]], [0], unlabelled, unlabelled_rows=[0, 1, 3]), "t").item()
    # τ = .9 for class 0 and .3 for class 1; image 3 moves the counts after the mask, not before it
    assert loss == pytest.approx(math.log(2) - (math.log(0.7) + math.log(0.95)) / 3, abs=1e-6)
    assert learner.assigned.tolist() == [0, 0, 1, 1] and learner.counts.tolist() == [2, 2, 0]


def test_what_is_remembered_is_part_of_checkpoints() -> None:
    learner, other = flexmatch(), flexmatch()
    learner.assign(torch.tensor([3]), torch.tensor([1]), torch.tensor([True]))
    other.load_state_dict(learner.state_dict())
    assert torch.equal(other.assigned, learner.assigned) and torch.equal(other.counts, learner.counts)
