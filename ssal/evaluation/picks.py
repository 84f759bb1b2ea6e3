"""What strategies picked from one pool, side by side: how alike, of which classes, how often the learner is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from rich.table import Table
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

Overlap = Mapping[str, Mapping[str, float]]
"""Strategy -> strategy -> share of picks that both have."""
LONGEST = 20
"""Letters of a name that stays in one piece on a terminal: ssal's own do, a path is folded."""


def overlap(picks: Mapping[str, Collection[str]]) -> dict[str, dict[str, float]]:
    """Return for every two strategies the share of their ids that both picked, from 0 to 1; all pick as many."""
    sets = {name: set(ids) for name, ids in picks.items()}
    return {one: {two: len(sets[one] & sets[two]) / len(sets[one]) for two in sets} for one in sets}


def most_alike(shares: Overlap, name: str) -> tuple[str, float]:
    """Return the strategy that shares most with `name`, the first of equals, and the share; "" where it is alone."""
    others = {other: share for other, share in shares[name].items() if other != name}
    other = max(others, key=others.__getitem__, default="")
    return other, others.get(other, 0.0)


def mean_overlap(shares: Overlap, name: str) -> float:
    """Return the mean share of `name` with all others; 0 where it is alone."""
    return fmean([share for other, share in shares[name].items() if other != name] or [0.0])


def alike_order(shares: Overlap) -> list[str]:
    """Return the strategies so that those alike stand together (average linkage; Bar-Joseph et al., 2001).

    Of two shares that differ, as where one picked more than the other, the mean counts.
    """
    names = list(shares)
    if len(names) < 3:
        return names
    matrix = np.array([[shares[one][two] for two in names] for one in names])
    distances = 1 - (matrix + matrix.T) / 2
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), method="average", optimal_ordering=True)
    return [names[place] for place in leaves_list(tree)]


def class_mix(ids: Iterable[str], class_of: Mapping[str, str], classes: Sequence[str]) -> dict[str, int]:
    """Return how many of `ids` are of each class."""
    return dict.fromkeys(classes, 0) | Counter(class_of[id] for id in ids)


def error_rate(ids: Collection[str], predicted: Mapping[str, str], labels: Mapping[str, str]) -> float:
    """Return the share of `ids` whose prediction is not their label."""
    return fmean(predicted[id] != labels[id] for id in ids)


def side_by_side(
    picks: Mapping[str, Collection[str]],
    predicted: Mapping[str, str],
    labels: Mapping[str, str],
    classes: Sequence[str],
) -> dict[str, Any]:
    """Return the facts of the whole pool, which is all that has a prediction, of each strategy, and all overlaps.

    Error rates are there where labels are, and shares out of class where some labels are none of `classes`: whatever
    is predicted of these images is wrong.
    """
    shares = overlap(picks)
    outside = set(labels.values()) - set(classes)

    def of(ids: Collection[str]) -> dict[str, Any]:
        error = {"oracle_error": error_rate(ids, predicted, labels)} if labels else {}
        if outside:
            error["oracle_out_of_class"] = fmean(labels[id] in outside for id in ids)
        return {**error, "class_mix": class_mix(ids, predicted, classes)}

    def alike(name: str) -> dict[str, Any]:
        other, share = most_alike(shares, name)
        return {"mean_overlap": mean_overlap(shares, name), "most_alike": other, "most_alike_overlap": share}

    return {
        "whole_pool": of(list(predicted)),
        "strategies": {name: {**alike(name), **of(ids)} for name, ids in picks.items()},
        "overlap": {"order": alike_order(shares), "shares": shares},
    }


def picks_table(found: Mapping[str, Any]) -> Table:
    """Return query.json as a table for the terminal: a row per strategy, seconds, errors and overlap."""
    oracle = bool(found["oracle"])
    title = (
        f"arm {found['arm']}, seed {found['seed']}, round {found['round']}: {found['learner']} on {found['labels']} "
        f"labels\neach strategy picks {found['size']} of {found['pool']} images"
    )
    chance = f"two random draws share {100 * found['size'] / found['pool']:.1f} % on average"
    table = Table(title=title, title_justify="left", caption=chance, caption_justify="left")
    whole = all(len(name) <= LONGEST for name in found["strategies"])
    table.add_column("strategy", overflow="fold", no_wrap=whole)
    table.add_column("seconds", justify="right", no_wrap=True)
    if oracle:
        table.add_column("% wrong (oracle)", justify="right")
    outside = "oracle_out_of_class" in found["whole_pool"]
    if outside:
        table.add_column("% out of class (oracle)", justify="right")
    table.add_column("mean overlap %", justify="right")
    table.add_column("most alike, %", overflow="fold", no_wrap=whole)
    for name, one in found["strategies"].items():
        alike = f"{one['most_alike']} {100 * one['most_alike_overlap']:.0f}" if one["most_alike"] else "–"
        error = _percents(one)
        mark = " *" if one["fitted_afterwards"] else ""
        table.add_row(name + mark, f"{one['seconds']:.2f}", *error, f"{100 * one['mean_overlap']:.1f}", alike)
    if oracle:
        table.add_row("all of the pool", "", *_percents(found["whole_pool"]), "", "", style="dim")
    return table


def _percents(facts: Mapping[str, Any]) -> list[str]:
    return [f"{100 * facts[name]:.1f}" for name in ("oracle_error", "oracle_out_of_class") if name in facts]


def picks_notes(found: Mapping[str, Any]) -> list[str]:
    """Return the lines below the table: what is marked, what could not run, and what is an oracle's."""
    lines = []
    if any(one["fitted_afterwards"] for one in found["strategies"].values()):
        lines.append("* fits something of its own beside the learner, which stays as it is")
    if found["not_runnable"]:
        lines.append("not runnable here:")
        lines += [f"  {name}, because: {why}" for name, why in found["not_runnable"].items()]
    if "oracle_out_of_class" in found["whole_pool"]:
        lines.append("% out of class: images of none of the classes, of which every prediction is wrong")
    return lines + [found["oracle"]] * bool(found["oracle"])
