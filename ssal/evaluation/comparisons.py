"""The numbers of one arm against another, and of all arms against one: what verdict.json holds, before any words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ssal.evaluation.efficiency import efficiencies
from ssal.evaluation.ranking import CONVENTION, penalties, penalty_matrix
from ssal.evaluation.results import Row, arms_in, oracles_in, scores
from ssal.evaluation.significance import (
    ALPHA,
    detectable_difference,
    effect_size,
    holm,
    more_seeds,
    needed_to_reject,
    sign_flip_test,
    smallest_p,
)
from ssal.evaluation.statistics import (
    Interval,
    Scores,
    aubc,
    bca_interval,
    comparable,
    independent,
    paired_differences,
    paired_interval,
)
from ssal.evaluation.table import budgets_in, lines

BESIDE = ("balanced_accuracy", "macro_f1")
"""Metrics whose last difference is given beside accuracy's."""
DELTA = 0.01
"""The true difference, one point, that the power is given for."""


class Pair(NamedTuple):
    """Two arms over the label counts and seeds that both have.

    `before` and `after` hold (units, label counts): a curve per seed, or per encoder where several seeds share a few.
    """

    budgets: list[int]
    seeds: list[int]
    before: np.ndarray
    after: np.ndarray

    def gains(self, log: bool = False) -> list[float]:
        """Return the difference of the areas under the budget curves of every unit."""
        pairs = zip(self.before, self.after, strict=True)
        return [aubc(self.budgets, high, log) - aubc(self.budgets, low, log) for low, high in pairs]


def pair_of(low: Scores, high: Scores, encoders: int | None = None) -> Pair | None:
    """Return the curves of two arms over what both have, in units that are independent; None where that is nothing."""
    budgets, seeds = comparable(set(low) & set(high))
    if not budgets:
        return None

    def curves(arm: Scores) -> np.ndarray:
        return np.array([independent({s: arm[s, labels] for s in seeds}, encoders) for labels in budgets]).T

    return Pair(budgets, seeds, curves(low), curves(high))


def comparison(pair: Pair) -> dict[str, Any]:
    """Return areas, last scores, effect size and sign-flip test of one pair, as JSON values."""
    gains = pair.gains()
    found = paired_interval(gains)
    flips = sign_flip_test(gains)
    return {
        "labels": [pair.budgets[0], pair.budgets[-1]],
        "seeds": len(pair.seeds),
        "n": found.n,
        "aubc": _areas(pair),
        "aubc_log": _areas(pair, log=True) if pair.budgets[0] > 0 else None,
        "final": {"labels": pair.budgets[-1], **_last(pair)},
        "effect_size": effect_size(found)._asdict(),
        "sign_flip": {**flips._asdict(), "smallest_p": smallest_p(flips.n)},
    }


def _areas(pair: Pair, log: bool = False) -> dict[str, Any]:
    means = [float(np.mean([aubc(pair.budgets, one, log) for one in arm])) for arm in (pair.before, pair.after)]
    return {"baseline": means[0], "treatment": means[1], **intervals(pair.gains(log))}


def _last(pair: Pair) -> dict[str, Any]:
    before, after = pair.before[:, -1], pair.after[:, -1]
    return {"baseline": float(before.mean()), "treatment": float(after.mean()), **intervals(after - before)}


def intervals(differences: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """Return the paired t interval and the BCa one of the same differences, as JSON values."""
    bca = bca_interval(differences)
    return {"difference": paired_interval(differences)._asdict(), "bca": {"low": bca.low, "high": bca.high}}


def beside_accuracy(
    results: Sequence[Row], baseline: str, treatment: str, pair: Pair, encoders: int | None
) -> dict[str, Any]:
    """Return metric -> its last scores and difference, over the pair's own seeds, where both arms have it."""
    found = {}
    for metric in BESIDE:
        low, high = (scores(results, arm, metric) for arm in (baseline, treatment))
        here = {(seed, pair.budgets[-1]) for seed in pair.seeds}
        if here <= set(low) & set(high):
            last = pair_of({key: low[key] for key in here}, {key: high[key] for key in here}, encoders)
            if last:
                found[metric] = _last(last)
    return found


def by_labels(low: Scores, high: Scores, pair: Pair, encoders: int | None) -> list[dict[str, Any]]:
    """Return per label count every seed's difference, with both intervals over independent units."""
    pairs = paired_differences(low, high)
    found = []
    for labels in pair.budgets:
        by_seed = {seed: pairs[labels][seed] for seed in pair.seeds}
        both = intervals(independent(by_seed, encoders))
        found.append({"labels": labels, "seeds": by_seed, **both["difference"], "bca": both["bca"]})
    return found


def family(
    results: Sequence[Row], baseline: str, encoders: int | None = None, metric: str = "accuracy"
) -> dict[str, Any]:
    """Return every arm against `baseline`: its numbers, and its sign-flip p corrected over all of them (Holm, 1979).

    Oracle arms have their numbers and no corrected p: they are no part of the family. Arms that share no seed and label
    count with the baseline, or end before its last one, are named under `not_comparable`.
    """
    oracles, low = oracles_in(results), scores(results, baseline, metric)
    whole = pair_of(low, low)
    arms: list[dict[str, Any]] = []
    not_comparable = []
    for arm in arms_in(results):
        if arm == baseline:
            continue
        pair = pair_of(low, scores(results, arm, metric), encoders)
        if pair is None or whole is None or pair.budgets[-1] < whole.budgets[-1]:
            not_comparable.append(arm)
        else:
            arms.append({"arm": arm, "oracle": arm in oracles, **comparison(pair)})
    inside = {} if baseline in oracles else {one["arm"]: one["sign_flip"]["p"] for one in arms if not one["oracle"]}
    corrected = holm(inside)
    return {
        "baseline": baseline,
        "comparisons": len(inside),
        "needed_to_reject": needed_to_reject(len(inside)) if inside else None,
        "arms": [{**one, "holm_p": corrected.get(one["arm"])} for one in arms],
        "not_comparable": not_comparable,
    }


def penalty(results: Sequence[Row], encoders: int | None = None) -> dict[str, Any]:
    """Return the penalty matrix of all arms but oracles over the label counts of the table, as JSON values."""
    oracles = oracles_in(results)
    table = [line for line in lines(results) if not line.reference and line.name not in oracles]
    budgets = budgets_in(table)
    settings = [
        {line.name: {seed: score for (seed, at), score in line.points.items() if at == labels} for line in table}
        for labels in budgets
    ]
    matrix = penalty_matrix(settings, encoders)
    return {"convention": CONVENTION, "labels": budgets, "matrix": matrix, "column_means": penalties(matrix)}


def efficiency_at_counts(pair: Pair) -> list[dict[str, Any]]:
    """Return the label efficiency at the baseline's best score up to each label count, as JSON values."""
    if len(pair.budgets) < 2 or pair.budgets[0] <= 0:
        return []
    return [one._asdict() for one in efficiencies(pair.budgets, pair.before, pair.after)]


def power(found: Interval, unit: str) -> dict[str, Any] | None:
    """Return what as many seeds can show, and how many more would show one point; None where one leaves no spread."""
    if found.sd is None:
        return None
    return {
        "test": "paired t, two-sided",
        "alpha": ALPHA,
        "power": 0.8,
        "unit": unit,
        "n": found.n,
        "sd": found.sd,
        "detectable": detectable_difference(found.sd, found.n),
        "difference": DELTA,
        "more": more_seeds(found.sd, found.n, DELTA),
    }
