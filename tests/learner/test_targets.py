"""Targets and ramps: the worked numbers that learners are made of."""

from __future__ import annotations

import math

import pytest
import torch

from ssal.learner.targets import (
    Alignment,
    RecentMean,
    align,
    confident_cross_entropy,
    half_cosine_ramp,
    linear_ramp,
    sharpen,
    soft_cross_entropy,
    squared_difference,
)

WEAK = torch.tensor([[4.0, 0, 0], [1, 0.5, 0], [0, 0, 5]]).softmax(dim=1)
STRONG = torch.tensor([[1.0, 0, 0], [0, 1, 0], [2, 0, 0]])


def test_fixmatch_worked_numbers() -> None:
    assert confident_cross_entropy(WEAK, STRONG, 0.95).item() == pytest.approx(0.9303298, abs=1e-6)


def test_threshold_extremes() -> None:
    strong = STRONG.clone().requires_grad_()
    loss = confident_cross_entropy(WEAK, strong, 1.01)
    loss.backward()
    assert loss.item() == 0 and strong.grad is not None and not strong.grad.any()
    every = torch.tensor([0.5514447, 1.5514447, 2.2395448]).mean()
    assert confident_cross_entropy(WEAK, STRONG, 0.0).item() == pytest.approx(every.item(), abs=1e-6)


def test_one_threshold_per_image() -> None:
    thresholds = torch.tensor([1.01, 0.5, 1.01])
    assert confident_cross_entropy(WEAK, STRONG, thresholds).item() == pytest.approx(1.5514447 / 3, abs=1e-6)


def test_threshold_is_reached_by_equality() -> None:
    even = torch.full((1, 2), 0.5)
    assert confident_cross_entropy(even, torch.zeros(1, 2), 0.5).item() == pytest.approx(math.log(2))


def test_targets_have_no_gradient() -> None:
    for call in (soft_cross_entropy, squared_difference, lambda p, z: confident_cross_entropy(p, z, 0.5)):
        targets, logits = WEAK.clone().requires_grad_(), STRONG.clone().requires_grad_()
        call(targets, logits).sum().backward()
        assert targets.grad is None and logits.grad is not None


def test_soft_cross_entropy_of_one_hot_targets_is_cross_entropy() -> None:
    hard = torch.eye(3)[[2, 0, 1]]
    expected = torch.nn.functional.cross_entropy(STRONG, torch.tensor([2, 0, 1]), reduction="none")
    assert torch.allclose(soft_cross_entropy(hard, STRONG), expected)


def test_squared_difference_is_a_mean_over_classes() -> None:
    assert squared_difference(torch.tensor([[1.0, 0]]), torch.zeros(1, 2)).item() == pytest.approx(0.25)


def test_sharpened_worked_numbers() -> None:
    sharp = sharpen(torch.tensor([[0.7, 0.2, 0.1]]), 0.5)
    assert sharp[0].tolist() == pytest.approx([0.9074, 0.0741, 0.0185], abs=1e-4)


def test_ramps() -> None:
    assert [linear_ramp(step, 4) for step in (0, 1, 4, 9)] == [0, 0.25, 1, 1] and linear_ramp(0, 0) == 1
    assert [half_cosine_ramp(step, 4) for step in (0, 2, 4)] == pytest.approx([0, 0.5, 1])


def test_alignment_gives_guesses_the_wanted_shares() -> None:
    alignment, shares = Alignment(2), torch.tensor([0.5, 0.5])
    guesses = torch.tensor([[0.9, 0.1], [0.7, 0.3]])
    aligned = alignment(guesses, shares)
    # by hand: average (.8, .2); ratios .625 and 2.5; (.5625, .25) and (.4375, .75), normalised
    expected = torch.tensor([[0.5625 / 0.8125, 0.25 / 0.8125], [0.4375 / 1.1875, 0.75 / 1.1875]])
    assert torch.allclose(aligned, expected, atol=1e-4)
    for _ in range(20):
        alignment(guesses, shares)
    assert torch.allclose(alignment.total / alignment.total.sum(), torch.tensor([0.8, 0.2]))


def test_aligned_worked_numbers() -> None:
    guesses = torch.tensor([[0.6, 0.4], [0.9, 0.1]])
    aligned = align(guesses, torch.tensor([0.8, 0.2]), guesses.mean(dim=0))  # ratios 1.0667 and .8
    assert torch.allclose(aligned, torch.tensor([[0.6667, 0.3333], [0.9231, 0.0769]]), atol=1e-4)


def test_recent_mean_forgets_what_is_older_than_its_length() -> None:
    first, second, third = (torch.tensor([[share, 1 - share]]) for share in (0.9, 0.5, 0.1))
    mean, pulled = RecentMean(2, 2), RecentMean(2, 2, start=0.5)
    assert mean(first)[0].item() == pytest.approx(0.9) and pulled(first)[0].item() == pytest.approx(0.7)
    assert mean(second)[0].item() == pytest.approx(0.7) and pulled(second)[0].item() == pytest.approx(0.7)
    assert mean(third)[0].item() == pytest.approx(0.3)


def test_very_low_temperatures_leave_the_most_probable_class() -> None:
    found = sharpen(torch.tensor([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]]), 0.005)
    assert torch.allclose(found, torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
