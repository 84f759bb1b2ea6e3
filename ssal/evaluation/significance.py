"""Tests of paired differences, their correction over a family, their size, and the seeds that they need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

from ssal.evaluation.statistics import ROUNDING, Interval, finite
from ssal.streams import stream

ALPHA = 0.05
"""Two-sided error of every test."""
EXACT_UP_TO = 32
"""Differences up to which every sign pattern is counted; two sorted halves of 2^16 sums stand for all 2^32."""
PATTERNS = 99_999
"""Sign patterns that are drawn where there are more differences than that."""
MOST_SEEDS = 1_000_000
"""Seeds at which `more_seeds` gives up."""


class SignFlip(NamedTuple):
    """Two-sided p of `n` differences; `method` is exact or monte carlo, `patterns` how many were counted or drawn."""

    p: float
    n: int
    method: str
    patterns: int


class EffectSize(NamedTuple):
    """Mean of paired differences in their own standard deviations, None where they have none; see `effect_size`."""

    cohens_d_z: float | None
    hedges_g: float | None


def sign_flip_test(differences: Iterable[float]) -> SignFlip:
    """Return the two-sided p of the sum of paired differences under flipped signs (Fisher, 1935).

    Every pattern of signs is counted up to EXACT_UP_TO differences. Beyond, PATTERNS are drawn from a stream named by
    the number of differences, and the observed one counts as drawn too: p = (as extreme + 1) / (PATTERNS + 1)
    (Phipson & Smyth, 2010). Zeros stay in. Raises ValueError where a difference is not finite or there is none.
    """
    values = finite(differences)
    n = len(values)
    # sums that are equal but for the order of their additions are ties
    reach = abs(values.sum()) - ROUNDING * np.abs(values).sum()
    if n > EXACT_UP_TO:
        draw = np.random.default_rng(stream("statistics", "sign flip", n))
        signs = draw.integers(2, size=(PATTERNS, n), dtype=np.int8) * 2 - 1
        extreme = int((np.abs(signs @ values) >= reach).sum())
        return SignFlip((extreme + 1) / (PATTERNS + 1), n, "monte carlo", PATTERNS)
    if reach <= 0:
        return SignFlip(1.0, n, "exact", 2**n)
    first, second = _sums(values[: n // 2]), np.sort(_sums(values[n // 2 :]))
    above = int((len(second) - np.searchsorted(second, reach - first, side="left")).sum())
    return SignFlip(min(1.0, 2 * above / 2**n), n, "exact", 2**n)  # each sum above has its mirror image below


def _sums(values: np.ndarray) -> np.ndarray:
    """Return the 2^n sums of `values` under all patterns of signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums - value, sums + value])
    return sums


def smallest_p(n: int) -> float:
    """Return the smallest p that the exact two-sided sign-flip test can give with `n` differences."""
    return 2.0 ** (1 - n)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return name -> p corrected over all of them (Holm, 1979): step-down, never over 1, never against their order."""
    corrected: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        corrected[name] = largest
    return {name: corrected[name] for name in p_values}


def needed_to_reject(comparisons: int, alpha: float = ALPHA) -> int:
    """Return how many differences an exact sign-flip test needs to reject at all after Holm over `comparisons`."""
    return math.ceil(1 + math.log2(comparisons / alpha))


def effect_size(found: Interval) -> EffectSize:
    """Return Cohen's d_z (Cohen, 1988), mean / standard deviation of paired differences, and Hedges' g (Hedges, 1981).

    g is d_z times the exact factor gamma(m/2) / (sqrt(m/2) gamma((m-1)/2)), m = n - 1, which takes out the bias of few
    differences; it needs three of them. Equal differences have no spread, and neither number.
    """
    if found.sd is None or found.sd < ROUNDING:
        return EffectSize(None, None)
    size, freedom = found.mean / found.sd, found.n - 1
    if freedom < 2:
        return EffectSize(size, None)
    factor = math.exp(special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return EffectSize(size, size * factor)


def detectable_difference(sd: float, seeds: int, power: float = 0.8, level: float = 0.95) -> float:
    """Return the true mean difference that a paired t test with `seeds` seeds finds with probability `power`."""
    return _detectable_shift(seeds, power, level) / seeds**0.5 * sd


@lru_cache(maxsize=256)
def _detectable_shift(seeds: int, power: float, level: float) -> float:
    quantile = float(stats.t.ppf((1 + level) / 2, seeds - 1))

    def lacking(shift: float) -> float:  # the other tail is below 1e-5 where the power is 0.8
        return float(stats.nct.sf(quantile, seeds - 1, shift)) - power

    return float(optimize.brentq(lacking, 0.1, 2 * quantile + 4))


def more_seeds(sd: float, seeds: int, difference: float, power: float = 0.8, level: float = 0.95) -> int:
    """Return how many seeds beside `seeds` a paired t test needs to find a true mean `difference`, at the observed SD.

    The smallest number for which the two-sided test finds it with probability `power`, 0 where there are enough. Raises
    ValueError where `difference` is not positive, or so small that MOST_SEEDS would not do.
    """
    if difference <= 0:
        raise ValueError(f"expected a difference above 0, got {difference}")

    def enough(n: int) -> bool:
        quantile = float(stats.t.ppf((1 + level) / 2, n - 1))
        return sd < ROUNDING or float(stats.nct.sf(quantile, n - 1, difference / sd * n**0.5)) >= power

    low = max(seeds, 2)
    if enough(low):
        return low - seeds
    high = 2 * low
    while not enough(high):
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            raise ValueError(f"expected a difference that {MOST_SEEDS:,} seeds can show, got {difference}, SD {sd}")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high - seeds
