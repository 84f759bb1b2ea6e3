"""Label efficiency: how many labels one arm needs for a score, against another; what is not reached stays in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ssal.streams import stream

RESAMPLES = 2_000
"""Bootstrap resamples of an interval."""


class Efficiency(NamedTuple):
    """Labels that the baseline needs / labels that the treatment needs for `score`, with its bootstrap interval.

    `labels` is the baseline's label count that sets the score, None for a score that was given. Labels and `ratio` are
    None where the score is not reached. `low` is None where the interval goes down to a treatment that never reaches
    the score, `high` where it goes up to such a baseline. The last two are the shares of resamples in which an arm does
    not reach it. Under three units there is no interval: the last four are None.
    """

    labels: int | None
    score: float
    baseline_labels: float | None
    treatment_labels: float | None
    ratio: float | None
    n: int
    low: float | None = None
    high: float | None = None
    baseline_not_reached: float | None = None
    treatment_not_reached: float | None = None


def labels_needed(labels: Sequence[int], scores: Sequence[float], score: float) -> float | None:
    """Return the label count at which a curve first reaches `score`, or None where it never does.

    The curve is made monotone first (running maximum), then interpolated linearly. A curve that starts at or above
    `score` gives its first count, which is then an upper bound.
    """
    return _or_none(_needed(labels, np.asarray([scores], dtype=float), np.asarray([score], dtype=float))[0])


def label_efficiency(
    baseline: tuple[Sequence[int], Sequence[float]], treatment: tuple[Sequence[int], Sequence[float]], score: float
) -> float | None:
    """Return labels the baseline needs / labels the treatment needs for `score` (Beck et al., 2021).

    Each curve is (labels, scores), treated as `labels_needed` says. None where either never reaches `score`.
    """
    slow, fast = labels_needed(*baseline, score), labels_needed(*treatment, score)
    return None if slow is None or fast is None else slow / fast


def efficiencies(
    labels: Sequence[int],
    baseline: np.ndarray,
    treatment: np.ndarray,
    scores: Sequence[float] | None = None,
    level: float = 0.95,
) -> list[Efficiency]:
    """Return the label efficiency of the mean curves (Beck et al., 2021) for each score, with bootstrap intervals.

    `baseline` and `treatment` hold (units, label counts), row i of both being the same seed or encoder: whole rows are
    resampled, the same ones in both arms (percentile interval; Efron, 1979). Without `scores` the targets are the
    baseline's best mean score up to each label count, taken anew in every resample. A resample in which one arm does
    not reach the score stands at that arm's end of the interval; one in which neither does, at both ends.
    Raises ValueError where a label count is not above 0: it has no ratio.
    """
    if min(labels) <= 0:
        raise ValueError(f"expected label counts above 0, got {list(labels)}")
    units = len(baseline)
    targets = labels if scores is None else scores
    means = [curves.mean(axis=0, keepdims=True) for curves in (baseline, treatment)]
    draws = None
    if units > 2:
        draw = np.random.default_rng(stream("statistics", "label efficiency", units))
        rows = draw.integers(units, size=(RESAMPLES, units))
        draws = [curves[rows].mean(axis=1) for curves in (baseline, treatment)]
    found = []
    for place in range(len(targets)):
        given = None if scores is None else scores[place]
        goal = _goals(means[0], place, given)
        slow, fast = (_or_none(_needed(labels, curves, goal)[0]) for curves in means)
        ratio = None if slow is None or fast is None else slow / fast
        one = Efficiency(labels[place] if given is None else None, float(goal[0]), slow, fast, ratio, units)
        if draws:
            goals = _goals(draws[0], place, given)
            often_slow, often_fast = (_needed(labels, curves, goals) for curves in draws)
            one = _with_interval(one, often_slow, often_fast, level)
        found.append(one)
    return found


def _goals(curves: np.ndarray, place: int, score: float | None) -> np.ndarray:
    """Return one target per curve: the score that is given, or the curve's best up to a label count."""
    return np.full(len(curves), score, dtype=float) if score is not None else curves[:, : place + 1].max(axis=1)


def _needed(labels: Sequence[int], curves: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """Return one label count per curve and goal, infinite where the goal is not reached; `curves` are (curves, L)."""
    counts, best = np.asarray(labels, dtype=float), np.maximum.accumulate(curves, axis=1)
    reached = best >= goals[:, None]
    after = reached.argmax(axis=1)
    before, rows = np.maximum(after - 1, 0), np.arange(len(curves))
    rise = best[rows, after] - best[rows, before]
    share = np.divide(goals - best[rows, before], rise, out=np.zeros(len(curves)), where=rise > 0)
    return np.where(reached.any(axis=1), counts[before] + share * (counts[after] - counts[before]), np.inf)


def _with_interval(one: Efficiency, slow: np.ndarray, fast: np.ndarray, level: float) -> Efficiency:
    neither = np.isinf(slow) & np.isinf(fast)
    with np.errstate(invalid="ignore"):
        ratios = slow / fast  # 0 where only the treatment, infinite where only the baseline does not reach the score
    # a quantile that is one of the resamples: nothing is interpolated between a number and "not reached"
    low = np.quantile(np.where(neither, 0.0, ratios), (1 - level) / 2, method="inverted_cdf")
    high = np.quantile(np.where(neither, np.inf, ratios), (1 + level) / 2, method="inverted_cdf")
    return one._replace(
        low=float(low) if low > 0 and np.isfinite(low) else None,
        high=float(high) if high > 0 and np.isfinite(high) else None,
        baseline_not_reached=float(np.isinf(slow).mean()),
        treatment_not_reached=float(np.isinf(fast).mean()),
    )


def _or_none(labels: float) -> float | None:
    return float(labels) if np.isfinite(labels) else None
