"""The words that follow from a comparison's numbers: they follow the number of seeds, and never go further."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ssal.errors import listing
from ssal.evaluation.statistics import Interval, detectable_difference, labels_needed

INTERVALS_FROM = 5
"""With fewer seeds the words are exploratory: at 3 a difference must be 3.3 standard deviations to be found."""
SIGNIFICANT_FROM = 10
"""With fewer seeds the word `significant` is not used."""


def level_of(seeds: int) -> str:
    """Return how much may be said: `exploratory`, `interval` or `significant`."""
    return "significant" if seeds >= SIGNIFICANT_FROM else "interval" if seeds >= INTERVALS_FROM else "exploratory"


def claim(area: Interval, baseline: str, treatment: str, budgets: Sequence[int], unit: str) -> str:
    """Say what the treatment adds to the baseline over the budgets; `area` has one difference per `unit`."""
    over = f"averaged over {budgets[0]} to {budgets[-1]} labels" if len(budgets) > 1 else f"at {budgets[0]} labels"
    seeds = f"{area.n} {unit}{'s' if area.n > 1 else ''}"
    level = level_of(area.n)
    if level == "exploratory":
        return f"Exploratory: {seeds}, no claim. " + _explored(area, baseline, treatment, over, unit)
    if not area.excludes_zero or points(area.mean) == points(0.0):
        power = ""
        if area.sd:
            missed = points(detectable_difference(area.sd, area.n), sign=False)
            power = (
                f"; a true difference under {missed} would be missed more often than one time in five with as many "
                f"{unit}s"
            )
        return (
            f"{treatment} did not measurably beat {baseline}: no difference could be shown with {seeds}. "
            f"{points(area.mean)} {over}, {interval(area)}{power}."
        )
    side = "above" if area.mean > 0 else "below"
    clearly = "significantly " if level == "significant" else ""
    lost = "" if area.mean > 0 else f" {treatment} did not beat {baseline}."
    return (
        f"{treatment} is {clearly}{side} {baseline} by {points(abs(area.mean), sign=False)} {over}, "
        f"{interval(area)}, {seeds}.{lost}"
    )


def companions(notes: Mapping[str, str]) -> list[str]:
    """Say which arms train a head beside the learner; `notes` are arm -> the heads in words, empty where none."""
    return [
        f"The learner of {listing(names)} is trained with a companion head: {note}."
        for note, names in _alike(notes).items()
    ]


def noisy(shares: Mapping[str, float]) -> list[str]:
    """Say which arms learn from answers that are wrong on purpose; `shares` are arm -> how many, 0 where none."""
    return [
        f"On purpose {100 * share:g} % of the answers that {listing(names)} bought are wrong on average "
        "(labelling.noise); test labels are as they are."
        for share, names in _alike(shares).items()
    ]


def without_class(counts: Mapping[str, float], labels: int) -> list[str]:
    """Say how many of the `labels` answers of each arm gave no label; `counts` are arm -> mean over its seeds."""
    told = listing((f"{count:g} of {arm}'s" for arm, count in counts.items()), 20)
    return [f"Of {labels} answers bought, these were that the image is of none of the classes: {told}."] * any(
        counts.values()
    )


def _alike(notes: Mapping[str, Any]) -> dict[Any, list[str]]:
    """Return note -> the arms that have it; those without one are left out."""
    arms: dict[Any, list[str]] = {}
    for arm, note in notes.items():
        if note:
            arms.setdefault(note, []).append(arm)
    return arms


def unlike(baseline: str, treatment: str, notes: Mapping[str, str]) -> list[str]:
    """Say so where two arms do not train the same heads: then they differ in more than what they ask for."""
    before, after = notes.get(baseline, ""), notes.get(treatment, "")
    if before == after:
        return []
    return [
        f"{treatment} and {baseline} do not train the same heads beside the learner ({after or 'none'}; "
        f"{before or 'none'}), and a head that is not always detached changes what is learned."
    ]


def _explored(area: Interval, baseline: str, treatment: str, over: str, unit: str) -> str:
    if area.low is None:
        sides = "ahead of" if area.mean > 0 else "not ahead of"
        return f"{treatment} is {sides} {baseline} {over} ({points(area.mean)}); one {unit} has no interval."
    if area.mean <= 0:
        return f"{treatment} did not beat {baseline}: {points(area.mean)} {over}, {interval(area)}."
    if area.excludes_zero:
        gain = points(area.mean, sign=False)
        return f"In these runs {treatment} was ahead of {baseline} by {gain} {over}, {interval(area)}."
    return (
        f"No difference between {treatment} and {baseline} could be shown with {area.n} {unit}s: "
        f"{points(area.mean)} {over}, {interval(area)}."
    )


def last_scores(final: Interval, baseline: str, treatment: str, labels: int, before: float, after: float) -> str:
    """Say the two mean scores at the last label count, and their paired difference."""
    spread = "" if final.low is None else f" ({interval(final)})"
    return (
        f"At {labels} labels: {treatment} {100 * after:.1f} %, {baseline} {100 * before:.1f} %, "
        f"difference {points(final.mean)}{spread}."
    )


def efficiency(
    baseline: str, treatment: str, budgets: Sequence[int], before: Sequence[float], after: Sequence[float]
) -> list[str]:
    """Say how many labels the treatment needs for the baseline's best mean score; curves are means over seeds."""
    if len(budgets) < 2:
        return []
    goal = max(before)
    slow, fast = labels_needed(budgets, before, goal), labels_needed(budgets, after, goal)
    best = f"{baseline}'s best mean accuracy, {100 * goal:.1f} %,"
    if slow is None or fast is None:
        return [f"{treatment} did not reach {best} with {budgets[-1]} labels."]
    if fast == slow == budgets[0]:
        return [f"Both reach {best} with the first {budgets[0]} labels already."]
    if round(fast) == round(slow):
        return [f"{treatment} needs as many labels as {baseline} for {best} about {slow:.0f}."]
    word, share = ("fewer", 1 - fast / slow) if fast < slow else ("more", fast / slow - 1)
    return [
        f"{treatment} reaches {best} with about {fast:.0f} labels instead of {slow:.0f}: {100 * share:.0f} % {word}."
    ]


def shared_encoders(seeds: int, encoders: int) -> list[str]:
    """Say what follows where `seeds` seeds have fewer encoders."""
    if encoders >= seeds:
        return []
    if encoders == 1:
        return [f"All {seeds} seeds share one encoder: the interval says nothing about another encoder."]
    return [f"The {seeds} seeds share {encoders} encoders: each one's seeds are averaged, so n is {encoders}."]


def against(found: Interval, labels: int, arm: str, other: str, without: Collection[int]) -> str:
    """Say where an arm stands against another one, or against a reference; `without` are the seeds left out."""
    side = "above" if found.mean > 0 else "below" if found.mean < 0 else "level with"
    spread = "one seed" if found.low is None else f"{interval(found)}, {found.n} seeds"
    less = f", without {seeds_named(without)}" if without else ""
    return f"At {labels} labels {arm} is {points(abs(found.mean), sign=False)} {side} {other} ({spread}{less})."


def unequal(labels: Collection[int], seeds: Sequence[str]) -> list[str]:
    """Say in one sentence which label counts were left out, and what `seeds` says of single seeds and arms."""
    counts = (
        [f"those at {listing(map(str, sorted(labels)))} labels are left out, as not every run has them"]
        if labels
        else []
    )
    return [f"Not all runs have the same results: {'; '.join([*counts, *seeds])}."] if labels or seeds else []


def seeds_named(seeds: Collection[int]) -> str:
    """Return `seed 2` or `seeds 2, 3`."""
    return f"seed{'s' if len(seeds) > 1 else ''} {listing(map(str, sorted(seeds)))}"


def points(value: float, sign: bool = True) -> str:
    """Return a difference of accuracies in percentage points, with a true minus sign."""
    text = _signed(value) if sign else f"{100 * value:.1f}"
    return f"{text} point{'' if text.lstrip('+−') == '1.0' else 's'}"


def interval(found: Interval) -> str:
    """Return the interval in words, in percentage points."""
    if found.low is None or found.high is None:
        return "no interval"
    return f"95 % interval {_signed(found.low)} to {_signed(found.high)}"


def _signed(value: float) -> str:
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("-0.0", "+0.0") else text.replace("-", "−")
