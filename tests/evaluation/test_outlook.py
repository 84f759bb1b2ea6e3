"""Accuracy on audited images and what more labels add: hand-worked numbers, and intervals that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from ssal.evaluation.outlook import accuracy, forecast

LABELS = [40, 80, 120, 160, 200]


def test_the_accuracy_has_wilson_s_interval() -> None:
    """By hand: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), z = 1.96, p = 0.8, n = 50."""
    found = accuracy([True] * 40 + [False] * 10)
    assert found == pytest.approx((0.8, 0.6696, 0.8876, 50), abs=1e-4)
    assert accuracy([]) is None
    assert accuracy([True] * 5) == pytest.approx((1.0, 0.5655, 1.0, 5), abs=1e-4)


def test_nobody_can_tell_from_few_images_or_learners() -> None:
    rng = np.random.default_rng(0)
    many = rng.random((5, 60)) < 0.7
    assert forecast(LABELS, many, 240) is not None
    assert forecast(LABELS, many[:, :29], 240) is None and forecast(LABELS[:2], many[:2], 120) is None
    assert forecast(LABELS, many, 240) == forecast(LABELS, many, 240), "the same numbers say the same"


def test_a_straight_line_goes_on() -> None:
    """Learners that are right on 60, 70, 77 and 82 of 100 lie on a line over log labels, and the next is on it."""
    labels, right = [50, 100, 200, 400], [60, 70, 78, 85]
    correct = np.arange(100) < np.asarray(right)[:, None]
    found = forecast(labels, correct, 800)
    assert found is not None
    slope, level = np.polyfit(np.log(labels), logit((np.asarray(right) + 0.5) / 101), 1)
    by_hand = expit(level + slope * np.log(800)) - expit(level + slope * np.log(400))
    assert found.gain == pytest.approx(by_hand, abs=1e-9) and found.low < found.gain < found.high
    assert found.low > 0, "labels have clearly helped so far"


def simulated(rng: np.random.Generator, slope: float, images: int) -> tuple[np.ndarray, float]:
    """Return what five learners get right of the same images, some of which are hard for all, and the true gain."""

    def height(labels: np.ndarray | int) -> np.ndarray:
        return 0.8 + slope * np.log(np.asarray(labels) / 100)

    hard = rng.normal(0, 1.5, images)
    trained = height(np.asarray(LABELS)) + rng.normal(0, 0.1, len(LABELS))
    population = rng.normal(0, 1.5, 20_000)
    correct = rng.random((len(LABELS), images)) < expit(trained[:, None] + hard)
    gain = expit(height(240) + population).mean() - expit(height(200) + population).mean()
    return correct, float(gain)


@pytest.mark.parametrize(("slope", "images"), [(0.0, 40), (0.6, 40), (0.6, 150), (1.2, 80)])
def test_the_interval_holds_the_true_gain_as_often_as_it_says(slope: float, images: int) -> None:
    rng = np.random.default_rng(1)
    held = []
    for _ in range(200):
        correct, gain = simulated(rng, slope, images)
        found = forecast(LABELS, correct, 240)
        assert found is not None
        held.append(found.low <= gain <= found.high)
    assert np.mean(held) >= 0.92
    assert found.high - found.low < 0.25, "an interval as wide as that says nothing"
