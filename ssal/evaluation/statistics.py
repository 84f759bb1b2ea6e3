"""Curves of paired runs and the intervals of their differences. Runs are joined by what they share, never by order."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from scipy import stats

from ssal.streams import stream

Scores = Mapping[tuple[int, int], float]
"""(seed, labels) -> score of one arm."""
ROUNDING = 1e-12
"""Scores are shares of images: differences closer together than this are equal but for floating point."""
RESAMPLES = 9_999
"""Bootstrap resamples of an interval (scipy's own default)."""


class Interval(NamedTuple):
    """Mean of `n` differences with its interval; `low` and `high` are None where one seed leaves no spread."""

    mean: float
    low: float | None
    high: float | None
    sd: float | None
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Say whether the whole interval lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def paired_differences(baseline: Scores, treatment: Scores) -> dict[int, dict[int, float]]:
    """Return labels -> {seed: treatment - baseline}, for every (seed, labels) that both arms have."""
    differences: dict[int, dict[int, float]] = {}
    for seed, labels in sorted(set(baseline) & set(treatment), key=lambda key: (key[1], key[0])):
        differences.setdefault(labels, {})[seed] = treatment[seed, labels] - baseline[seed, labels]
    return differences


def comparable(results: Collection[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the label counts and the seeds, both rising, of which every one has a result with every other.

    `results` holds (seed, labels). A mean over them is over the same seeds at every label count. The last label count
    is the largest that more than half of the seeds have, else the one that most have: seeds that did not get there are
    left out. So are label counts that a remaining seed lacks, as when only some runs stopped there and were extended.
    """
    if not results:
        return [], []
    seeds_at: dict[int, set[int]] = {}
    for seed, labels in results:
        seeds_at.setdefault(labels, set()).add(seed)
    half = len({seed for seed, _ in results}) / 2
    last = max(seeds_at, key=lambda labels: (min(len(seeds_at[labels]), half + 0.5), labels))
    return sorted(labels for labels, seeds in seeds_at.items() if seeds_at[last] <= seeds), sorted(seeds_at[last])


def independent(by_seed: Mapping[int, float], encoders: int | None = None) -> list[float]:
    """Return one value per independent unit: per seed, or the mean of each encoder's seeds where they share a few.

    Seed s has encoder s % `encoders`. Where all seeds share one encoder it is one value per seed, which then says
    nothing about another encoder.
    """
    shared: dict[int, list[float]] = {}
    for seed, value in by_seed.items():
        shared.setdefault(seed % encoders if encoders else seed, []).append(value)
    return list(by_seed.values()) if len(shared) == 1 else [fmean(values) for values in shared.values()]


def finite(differences: Iterable[float]) -> np.ndarray:
    """Return the differences as an array. Raises ValueError where there is none, or one that is not finite."""
    values = np.asarray(list(differences), dtype=float)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"expected at least one finite difference, got {values.tolist()}")
    return values


def paired_interval(differences: Iterable[float], level: float = 0.95) -> Interval:
    """Return mean and two-sided t interval of paired differences (Student, 1908): n - 1 degrees of freedom, ddof 1."""
    values = finite(differences)
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, None, None, None, 1)
    sd = float(values.std(ddof=1))
    reach = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * sd / len(values) ** 0.5
    return Interval(mean, mean - reach, mean + reach, sd, len(values))


def bca_interval(differences: Iterable[float], level: float = 0.95) -> Interval:
    """Return mean and BCa bootstrap interval of paired differences (Efron, 1987): bias-corrected and accelerated.

    The resamples come from a stream named by the number of differences, so that equal data give equal intervals, and
    label counts with as many seeds the same resamples. `low` and `high` are None where the interval is undefined: under
    three differences, or all of them equal.
    """
    values = finite(differences)
    found = paired_interval(values, level)._replace(low=None, high=None)
    if len(values) < 3 or np.ptp(values) < ROUNDING:
        return found
    draw = np.random.default_rng(stream("statistics", "bca", len(values)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        low, high = stats.bootstrap(
            (values,), np.mean, n_resamples=RESAMPLES, confidence_level=level, method="BCa", rng=draw
        ).confidence_interval
    return found._replace(low=float(low), high=float(high)) if np.isfinite([low, high]).all() else found


def share_interval(right: int, images: int, level: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a share, `right` of `images` (Wilson, 1927); inside [0, 1] also at few images."""
    found = stats.binomtest(right, images).proportion_ci(confidence_level=level, method="wilson")
    return float(found.low), float(found.high)


def aubc(labels: Sequence[int], scores: Sequence[float], log: bool = False) -> float:
    """Return the area under the budget curve, as a mean score over the budgets (Zhan et al., 2021).

    Trapezoids over the label counts as they are, equally spaced or not, divided by their range; `log` takes the
    logarithm of the counts. One budget gives its own score. Raises ValueError where counts do not increase.
    """
    counts = np.asarray(labels, dtype=float)
    if len(counts) != len(scores) or not len(counts) or (np.diff(counts) <= 0).any() or (log and counts[0] <= 0):
        raise ValueError(f"expected as many scores as label counts, and counts that increase; got {list(labels)}")
    if len(counts) == 1:
        return float(scores[0])
    counts = np.log(counts) if log else counts
    return float(np.trapezoid(np.asarray(scores, dtype=float), counts) / (counts[-1] - counts[0]))
