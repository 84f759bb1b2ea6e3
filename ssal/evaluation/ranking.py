"""Many arms side by side: who beats whom over label counts, and their ranks over data sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import NamedTuple

import numpy as np
from scipy import stats

from ssal.errors import BadInput, listing
from ssal.evaluation.significance import ALPHA
from ssal.evaluation.statistics import independent, paired_interval

CONVENTION = (
    "row beats column: share of the label counts at which a two-sided paired t test at 0.05 says that the row's arm is "
    "better than the column's; a low mean of a column is a good arm"
)
"""How a penalty matrix is read."""
DATA_SETS_FROM = 5
"""Data sets from which ranks over them are tested."""
ARMS_FROM = 3
"""Arms from which there is a Friedman test."""

Shares = dict[str, dict[str, float | None]]
"""Arm -> arm -> share of tests that the first one won against the second."""


class Ranking(NamedTuple):
    """Mean ranks over data sets, best first, 1 the best; `groups` are the arms that do not differ from each other.

    `critical_difference` is the Nemenyi test's: mean ranks that far apart, or further, differ. An arm may be in several
    groups, or in none.
    """

    ranks: dict[str, float]
    datasets: int
    statistic: float
    p: float
    critical_difference: float
    groups: list[list[str]]


def penalty_matrix(settings: Iterable[Mapping[str, Mapping[int, float]]], encoders: int | None = None) -> Shares:
    """Return the pairwise penalty matrix (Ash et al., 2020; Lüth et al., 2023): entry [a][b], row beats column.

    Each setting, a label count or a data set and a label count, is arm -> {seed: score}. Entry [a][b] is the share of
    settings with both arms at which a two-sided paired t test at 0.05, n - 1 degrees of freedom, says that a's scores
    are higher than b's; None where no setting has two shared seeds. Pairs are joined by seed, and the seeds of one of a
    few `encoders` are averaged. An arm against itself is 0. The start that arms share counts as a draw.
    """
    settings = list(settings)
    arms = list(dict.fromkeys(arm for setting in settings for arm in setting))
    return {one: {two: _share_won(settings, one, two, encoders) for two in arms} for one in arms}


def _share_won(
    settings: Iterable[Mapping[str, Mapping[int, float]]], one: str, two: str, encoders: int | None
) -> float | None:
    if one == two:
        return 0.0
    won = []
    for setting in settings:
        mine, theirs = setting.get(one, {}), setting.get(two, {})
        differences = independent({seed: mine[seed] - theirs[seed] for seed in sorted({*mine} & {*theirs})}, encoders)
        if len(differences) > 1:
            found = paired_interval(differences, 1 - ALPHA)
            won.append(found.excludes_zero and found.mean > 0)
    return fmean(won) if won else None


def penalties(matrix: Shares) -> dict[str, float | None]:
    """Return arm -> mean of its column, the share of tests that it lost to another arm: lower is better."""
    columns = {arm: [row[arm] for other, row in matrix.items() if other != arm] for arm in matrix}
    known = {arm: [share for share in shares if share is not None] for arm, shares in columns.items()}
    return {arm: fmean(shares) if shares else None for arm, shares in known.items()}


def friedman(table: Mapping[str, Mapping[str, float]]) -> Ranking:
    """Return mean ranks of arms over data sets, their test (Friedman, 1937), and Nemenyi's groups (Demšar, 2006).

    `table` is data set -> {arm: score}, higher is better; equal scores share their mean rank, for which the statistic
    is corrected. Arms are in one group where their mean ranks are less than the critical difference apart; where the
    Friedman test does not reject at 0.05 all are in one. Raises BadInput under five data sets or three arms, and where
    a data set lacks an arm.
    """
    arms = list(dict.fromkeys(arm for scores in table.values() for arm in scores))
    if len(table) < DATA_SETS_FROM or len(arms) < ARMS_FROM:
        raise BadInput(
            f"ranks over data sets: expected at least {DATA_SETS_FROM} data sets and {ARMS_FROM} arms, got "
            f"{len(table)} and {len(arms)}; run more data sets, or read each one's penalty matrix"
        )
    absent = [f"{arm} on {data}" for data, scores in table.items() for arm in arms if arm not in scores]
    if absent:
        raise BadInput(f"ranks over data sets: expected every arm on every data set, got no {listing(absent)}; run it")
    scores = np.array([[row[arm] for arm in arms] for row in table.values()], dtype=float)
    if not np.isfinite(scores).all():
        raise BadInput("ranks over data sets: expected finite scores, got some that are not; run those cells again")
    ranks = stats.rankdata(-scores, axis=1).mean(axis=0)
    order = sorted(range(len(arms)), key=lambda arm: (ranks[arm], arms[arm]))
    ranked = {arms[arm]: float(ranks[arm]) for arm in order}
    if (np.ptp(scores, axis=1) == 0).all():
        statistic, p = 0.0, 1.0  # all ranks are ties, and their correction divides by zero
    else:
        statistic, p = map(float, stats.friedmanchisquare(*scores.T))
    apart = critical_difference(len(arms), len(table))
    return Ranking(ranked, len(table), statistic, p, apart, _groups(ranked, apart) if p <= ALPHA else [list(ranked)])


def critical_difference(arms: int, datasets: int) -> float:
    """Return by how much mean ranks must differ (Nemenyi, 1963; Demšar, 2006): q sqrt(k (k + 1) / (6 N)), at 0.05.

    q is the studentised range's quantile for infinite degrees of freedom, divided by the square root of 2.
    """
    quantile = float(stats.studentized_range.ppf(1 - ALPHA, arms, np.inf)) / 2**0.5
    return quantile * (arms * (arms + 1) / (6 * datasets)) ** 0.5


def _groups(ranked: Mapping[str, float], apart: float) -> list[list[str]]:
    """Return the longest runs of arms, by rank, of which none differs from another; single arms are no group."""
    names = list(ranked)
    groups: list[list[str]] = []
    reached = 0
    for first, name in enumerate(names):
        last = max(place for place in range(len(names)) if ranked[names[place]] - ranked[name] < apart)
        if last > max(first, reached):
            groups.append(names[first : last + 1])
            reached = last
    return groups
