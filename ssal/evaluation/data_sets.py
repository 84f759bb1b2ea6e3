"""The arms over several data sets: their mean ranks, and which of them cannot be told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from ssal.errors import listing
from ssal.evaluation.ranking import ARMS_FROM, DATA_SETS_FROM, Ranking, friedman
from ssal.evaluation.results import Row, arms_in, oracles_in, scores
from ssal.evaluation.significance import ALPHA
from ssal.evaluation.statistics import aubc, comparable


class Areas(NamedTuple):
    """Arm -> mean area under the budget curve over `seeds`, each with the same label counts for all arms."""

    labels: list[int]
    seeds: list[int]
    arms: dict[str, float]


def over_data_sets(results: Mapping[str, Mapping[str, Sequence[Row]]]) -> dict[str, Any] | None:
    """Return mean ranks of the arms but oracles over data sets, and which do not differ, in words and as JSON values.

    `results` is data set -> condition -> rows. Arms are ranked by their mean area under the budget curve, which the
    conditions on one data set are averaged over. Left out, and named, are data sets without a result that arms share,
    and arms that lack one there. None under DATA_SETS_FROM data sets; where too little is left, only words.
    """
    if len(results) < DATA_SETS_FROM:
        return None
    found = {data: _areas_on(conditions) for data, conditions in results.items()}
    table = {data: _means(parts) for data, parts in found.items() if parts}
    every = list(dict.fromkeys(arm for parts in found.values() for part in parts.values() for arm in part.arms))
    every += _without_areas(results, every)
    left_out = {arm: lacks for arm in every if (lacks := [data for data in table if arm not in table[data]])}
    table = {data: {arm: area for arm, area in row.items() if arm not in left_out} for data, row in table.items()}
    arms = [arm for arm in every if arm not in left_out]
    enough = len(table) >= DATA_SETS_FROM and len(arms) >= ARMS_FROM
    ranking = friedman(table) if enough else None
    return {
        "sentence": _ranked(ranking) if ranking else _unranked(len(table), len(arms)),
        "details": _left_out(left_out, [data for data in results if data not in table]),
        "data_sets": [
            {
                "data_set": data,
                "conditions": [
                    {"condition": name, "labels": part.labels, "seeds": part.seeds}
                    for name, part in found[data].items()
                ],
                "areas": row,
            }
            for data, row in table.items()
        ],
        "ranks": ranking.ranks if ranking else {},
        "statistic": ranking.statistic if ranking else None,
        "p": ranking.p if ranking else None,
        "critical_difference": ranking.critical_difference if ranking else None,
        "groups": ranking.groups if ranking else [],
        "left_out": left_out,
    }


def areas(results: Sequence[Row], arms: Iterable[str]) -> Areas | None:
    """Return the mean area under the budget curve of `arms` over the seeds and label counts that all of them have.

    An arm without the label count that most arms have, the largest of them, is left out: so is one that has all labels
    from the start, and one that has a single label count where others have a curve, which it would cut down to a point.
    None where no arm has a score, or they share no seed and label count.
    """
    curves = {arm: found for arm in arms if (found := scores(results, arm))}
    steps = {arm: len({labels for _, labels in found}) for arm, found in curves.items()}
    curves = {arm: found for arm, found in curves.items() if steps[arm] > 1 or max(steps.values()) == 1}
    counts = Counter(labels for found in curves.values() for labels in {labels for _, labels in found})
    if not counts:
        return None
    common = max(counts, key=lambda labels: (counts[labels], labels))
    curves = {arm: found for arm, found in curves.items() if any(labels == common for _, labels in found)}
    budgets, seeds = comparable(set[tuple[int, int]].intersection(*map(set, curves.values())))
    if not budgets:
        return None
    means = {
        arm: fmean(aubc(budgets, [found[seed, labels] for labels in budgets]) for seed in seeds)
        for arm, found in curves.items()
    }
    return Areas(budgets, seeds, means)


def _areas_on(conditions: Mapping[str, Sequence[Row]]) -> dict[str, Areas]:
    """Return the areas under each condition on one data set; conditions without any are left away."""
    found = {name: areas(rows, _tested(rows)) for name, rows in conditions.items()}
    return {name: part for name, part in found.items() if part is not None}


def _tested(results: Sequence[Row]) -> list[str]:
    oracles = oracles_in(results)
    return [arm for arm in arms_in(results) if arm not in oracles]


def _means(parts: Mapping[str, Areas]) -> dict[str, float]:
    """Return arm -> mean over the conditions, of the arms that every one of them has."""
    shared = [arm for arm in next(iter(parts.values())).arms if all(arm in part.arms for part in parts.values())]
    return {arm: fmean(part.arms[arm] for part in parts.values()) for arm in shared}


def _without_areas(results: Mapping[str, Mapping[str, Sequence[Row]]], known: Sequence[str]) -> list[str]:
    """Return the arms that have rows and nowhere an area."""
    arms = (arm for conditions in results.values() for rows in conditions.values() for arm in _tested(rows))
    return [arm for arm in dict.fromkeys(arms) if arm not in known]


def _ranked(found: Ranking) -> str:
    """Say the mean ranks, and which arms cannot be told apart."""
    ranks = ", ".join(f"{arm} {rank:.2f}" for arm, rank in found.ranks.items())
    test = f"Friedman test, p = {found.p:.2g}"
    if found.p > ALPHA:
        return (
            f"Over {found.datasets} data sets the arms cannot be told apart by mean rank, 1 the best ({test}): {ranks}."
        )
    apart = f"the critical difference of {found.critical_difference:.2f}"
    alike = "; ".join(f"{', '.join(group[:-1])} and {group[-1]}" for group in found.groups)
    told = f"less than {apart} apart, and so not told apart, are {alike}" if alike else f"all lie {apart} or more apart"
    return f"Over {found.datasets} data sets the arms differ by mean rank, 1 the best ({test}): {ranks}; {told}."


def _unranked(data_sets: int, arms: int) -> str:
    return (
        f"The arms are not ranked over data sets: that takes at least {DATA_SETS_FROM} data sets and {ARMS_FROM} arms "
        f"with results on all of them, and there are {data_sets} and {arms}."
    )


def _left_out(arms: Mapping[str, Sequence[str]], data_sets: Sequence[str]) -> list[str]:
    """Say which arms and data sets are not in the ranks."""
    told = [
        f"{arm}, which has no result on {listing(lacks)} at the other arms' label counts" for arm, lacks in arms.items()
    ]
    told += [f"the data sets without results that arms share, {listing(data_sets)}"] * bool(data_sets)
    return [f"Left out of the ranks over data sets: {'; '.join(told)}."] * bool(told)
