"""How much of what one arm bought other arms bought too, with the same seed, up to each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from statistics import fmean
from typing import Any, NamedTuple

from ssal.evaluation.picks import alike_order

Rounds = Sequence[frozenset[str]]
"""The ids that one arm bought with one seed, round by round."""
Bought = Mapping[str, Mapping[int, Rounds]]
"""Arm -> seed -> what was bought."""


class Common(NamedTuple):
    """The share of what one arm bought that another bought too, and what it would be had the other drawn at random."""

    share: float
    chance: float


def common(one: Rounds, two: Rounds, until: int, askable: int) -> Common | None:
    """Return how much of what `one` bought up to round `until` `two` has bought by then; None where `one` has nothing.

    Where both bought the same in the first round, that start is left out: nobody chose it over the other's. A random
    draw of n of the `askable` images holds a share n / askable of any set.
    """
    start = one[0] if one[0] == two[0] else frozenset()
    ours, theirs = (frozenset().union(*arm[: until + 1]) - start for arm in (one, two))
    if not ours:
        return None
    return Common(len(ours & theirs) / len(ours), len(theirs) / (askable - len(start)))


def overlaps(bought: Bought, askable: Mapping[str, int]) -> dict[str, Any] | None:
    """Return the shares of every two arms in the end, and the mean share of each with all others up to each round.

    `askable` holds how many images of an arm's pool can be asked for. Shares are means over the seeds with which both
    arms got that far; an arm of fewer rounds keeps what it has. `chance` is the mean over pairs of what random draws
    would share, `spread` its least and largest in the end. None where arms bought nothing but a start that they share.
    """
    last = {arm: max(map(len, seeds.values()), default=0) - 1 for arm, seeds in bought.items()}
    found = {
        until: {
            (one, two): pair
            for one, two in permutations(bought, 2)
            if (
                pair := _mean(bought, one, two, {arm: min(until, last[arm]) for arm in (one, two)}, until, askable[one])
            )
        }
        for until in range(max(last.values(), default=-1) + 1)
    }
    found = {until: pairs for until, pairs in found.items() if pairs}
    if not found:
        return None
    end = found[max(found)]
    chances = [pair.chance for pair in end.values()]
    shares = {one: {two: end[one, two].share for two in bought if (one, two) in end} for one in bought}
    whole = len(end) == len(bought) * (len(bought) - 1)
    return {
        "order": alike_order({arm: {**row, arm: 1.0} for arm, row in shares.items()}) if whole else list(bought),
        "shares": shares,
        "rounds": list(found),
        "by_round": {arm: _with_others(found, arm) for arm in bought},
        "chance": {until: fmean(pair.chance for pair in pairs.values()) for until, pairs in found.items()},
        "spread": [min(chances), max(chances)],
    }


def _mean(bought: Bought, one: str, two: str, needed: Mapping[str, int], until: int, askable: int) -> Common | None:
    """Return the mean over the seeds with which both arms have the rounds that are `needed`; None where none has."""
    seeds = [
        seed
        for seed in sorted(bought[one].keys() & bought[two].keys())
        if all(len(bought[arm][seed]) > number >= 0 for arm, number in needed.items())
    ]
    pairs = [pair for seed in seeds if (pair := common(bought[one][seed], bought[two][seed], until, askable))]
    return Common(fmean(pair.share for pair in pairs), fmean(pair.chance for pair in pairs)) if pairs else None


def _with_others(found: Mapping[int, Mapping[tuple[str, str], Common]], arm: str) -> dict[int, float]:
    """Return round -> mean share of what the arm bought that another one bought too, over all others."""
    every = {until: [pair.share for (one, _), pair in pairs.items() if one == arm] for until, pairs in found.items()}
    return {until: fmean(shares) for until, shares in every.items() if shares}
