"""Paired statistics of two arms. Runs are joined by what they share, never by their order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

Scores = Mapping[tuple[int, int], float]
"""(seed, labels) -> score of one arm."""


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


def paired_interval(differences: Iterable[float], level: float = 0.95) -> Interval:
    """Return mean and two-sided t interval of paired differences (Student, 1908): n - 1 degrees of freedom, ddof 1."""
    values = np.asarray(list(differences), dtype=float)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"expected at least one finite difference, got {values.tolist()}")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, None, None, None, 1)
    sd = float(values.std(ddof=1))
    reach = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * sd / len(values) ** 0.5
    return Interval(mean, mean - reach, mean + reach, sd, len(values))


def detectable_difference(sd: float, seeds: int, power: float = 0.8, level: float = 0.95) -> float:
    """Return the true mean difference that a paired t test with `seeds` seeds finds with probability `power`."""
    quantile = float(stats.t.ppf((1 + level) / 2, seeds - 1))

    def lacking(shift: float) -> float:  # the other tail is below 1e-5 where the power is 0.8
        return float(stats.nct.sf(quantile, seeds - 1, shift)) - power

    return float(optimize.brentq(lacking, 0.1, 2 * quantile + 4)) / seeds**0.5 * sd


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


def labels_needed(labels: Sequence[int], scores: Sequence[float], score: float) -> float | None:
    """Return the label count at which a curve first reaches `score`, or None where it never does.

    The curve is made monotone first (running maximum), then interpolated linearly. A curve that starts at or above
    `score` gives its first count, which is then an upper bound.
    """
    best = np.maximum.accumulate(np.asarray(scores, dtype=float))
    reached = np.flatnonzero(best >= score)
    if not len(reached):
        return None
    at = int(reached[0])
    if at == 0:
        return float(labels[0])
    share = (score - best[at - 1]) / (best[at] - best[at - 1])
    return float(labels[at - 1] + share * (labels[at] - labels[at - 1]))


def label_efficiency(
    baseline: tuple[Sequence[int], Sequence[float]], treatment: tuple[Sequence[int], Sequence[float]], score: float
) -> float | None:
    """Return labels the baseline needs / labels the treatment needs for `score` (Beck et al., 2021).

    Each curve is (labels, scores), treated as `labels_needed` says. None where either never reaches `score`.
    """
    slow, fast = labels_needed(*baseline, score), labels_needed(*treatment, score)
    return None if slow is None or fast is None else slow / fast
