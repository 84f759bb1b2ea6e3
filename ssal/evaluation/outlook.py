"""How good a project's classifier is on images drawn at random, and what more labels may add: with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ssal.evaluation.statistics import share_interval
from ssal.streams import stream

IMAGES_FROM, LEARNERS_FROM = 30, 3
"""Audited images and learners from which there is a forecast."""
DRAWS = 4_000
SPREAD, WORTH = 0.15, 3.0
"""How far trainings on as many labels are apart on the logit scale, before any was seen: a prior worth so many."""


class Accuracy(NamedTuple):
    """A share of right answers among `n` audited images, with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


class Forecast(NamedTuple):
    """What accuracy gains on average between two label counts, with a 95 % interval."""

    labels: int
    """Label count after the next batch."""
    gain: float
    low: float
    high: float


def accuracy(correct: Sequence[bool] | NDArray[np.bool_]) -> Accuracy | None:
    """Return the share of true entries with its score interval; None without any."""
    n = len(correct)
    if not n:
        return None
    return Accuracy(float(np.mean(correct)), *share_interval(int(np.sum(correct)), n), n)


def forecast(labels: Sequence[int], correct: NDArray[np.bool_], after: int) -> Forecast | None:
    """Return what training on `after` labels adds to the accuracy of the last learner; None while nobody can tell.

    `labels` are the label counts of the learners, rising, and `correct` (learners, images) says which of the same
    audited images each took for what it is. The logit of accuracy is taken for a straight line over the logarithm of
    the label count. The interval comes from drawing images anew (Efron, 1979), and from trainings that differ by
    chance: their spread is that of the learners around the line, held to SPREAD where few have been seen.
    """
    learners, images = correct.shape
    if learners < LEARNERS_FROM or images < IMAGES_FROM or labels[0] < 1:
        return None
    draw = np.random.default_rng(stream("outlook", learners, images))
    counts = draw.multinomial(images, np.full(images, 1 / images), size=DRAWS)
    heights = np.vstack([correct.mean(axis=1), counts @ correct.T / images])
    # Half an image more on either side keeps a learner without a mistake on the line.
    heights = logit((heights * images + 0.5) / (images + 1))
    places = np.log(np.asarray(labels, dtype=float))
    middle, spread = places.mean(), places - places.mean()
    slopes = heights @ spread / (spread @ spread)
    levels = heights.mean(axis=1)
    left = heights[0] - levels[0] - slopes[0] * spread
    chance = np.sqrt((WORTH * SPREAD**2 + left @ left) / (WORTH + learners - 2))
    slopes[1:] += draw.normal(0, chance / np.sqrt(spread @ spread), DRAWS)
    levels[1:] += draw.normal(0, chance / np.sqrt(learners), DRAWS)
    now, then = (expit(levels + slopes * (place - middle)) for place in (places[-1], np.log(after)))
    low, high = np.quantile((then - now)[1:], [0.025, 0.975])
    return Forecast(after, float((then - now)[0]), float(low), float(high))
