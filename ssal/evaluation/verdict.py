"""What a comparison shows, in plain words. The words follow the number of seeds; they never go further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from ssal.evaluation.results import Row, arms_in, references_in, scores
from ssal.evaluation.statistics import (
    Interval,
    aubc,
    detectable_difference,
    labels_needed,
    paired_differences,
    paired_interval,
)

INTERVALS_FROM = 5
"""With fewer seeds the words are exploratory: at 3 a difference must be 3.3 standard deviations to be found."""
SIGNIFICANT_FROM = 10
"""With fewer seeds the word `significant` is not used."""


def verdict(
    results: Sequence[Row], baseline: str | None, treatment: str | None, encoders: int | None = None
) -> dict[str, Any]:
    """Return what `treatment` adds to `baseline`, as a sentence and as the numbers under it (JSON values).

    The claim is the paired difference of the area under the budget curve: same seeds, same label counts. `encoders`
    says that the seeds share so many pretrained encoders (seed s has encoder s % encoders): the seeds of one encoder
    are then averaged first, and one shared encoder is named as a limit.
    """
    missing = _missing(results, baseline, treatment)
    if missing or baseline is None or treatment is None:
        return {
            "baseline": baseline,
            "treatment": treatment,
            "seeds": 0,
            "level": "none",
            "sentence": missing,
            "details": [],
            "others": [],
            "differences": [],
        }
    low, high = scores(results, baseline), scores(results, treatment)
    differences = paired_differences(low, high)
    budgets, seeds, left_out = _complete(differences)
    before, after = (
        {seed: aubc(budgets, [curve[seed, labels] for labels in budgets]) for seed in seeds} for curve in (low, high)
    )
    gains = {seed: after[seed] - before[seed] for seed in seeds}
    area = paired_interval(_by_encoder(gains, encoders))
    final = paired_interval(_by_encoder({seed: differences[budgets[-1]][seed] for seed in seeds}, encoders))
    level = "significant" if area.n >= SIGNIFICANT_FROM else "interval" if area.n >= INTERVALS_FROM else "exploratory"
    oracle = [arm for arm in (baseline, treatment) if _peeks(results, arm)]

    details = [
        _final(low, high, baseline, treatment, seeds, budgets[-1], final),
        *_efficiency(low, high, baseline, treatment, seeds, budgets),
    ]
    if encoders and encoders < len(seeds):
        details.append(
            f"All {len(seeds)} seeds share one encoder: the interval says nothing about another encoder."
            if encoders == 1
            else f"The {len(seeds)} seeds share {encoders} encoders: each one's seeds are averaged, so n is {area.n}."
        )
    if left_out:
        details.append(f"Left out, because an arm lacks some label counts: seed {', '.join(map(str, left_out))}.")
    unit = "encoder" if encoders and 1 < encoders < len(seeds) else "seed"
    sentence = _sentence(area, baseline, treatment, budgets, level, unit)
    if oracle:
        sentence = f"No claim: {' and '.join(oracle)} uses labels that a real project does not have. {sentence}"
    return {
        "baseline": baseline,
        "treatment": treatment,
        "seeds": area.n,
        "level": level,
        "sentence": sentence,
        "details": details,
        "others": _others(results, (treatment, baseline)),
        "aubc": {"baseline": fmean(before.values()), "treatment": fmean(after.values()), "difference": area._asdict()},
        "final": {"labels": budgets[-1], "difference": final._asdict()},
        "differences": [
            {"labels": labels, "seeds": by_seed, **paired_interval(_by_encoder(by_seed, encoders))._asdict()}
            for labels, by_seed in differences.items()
        ],
    }


def _peeks(results: Sequence[Row], arm: str) -> bool:
    """Say whether a row of the arm is tagged as one that used hidden or test labels."""
    return any(str(row.get("oracle", "")).lower() not in ("", "false", "none") for row in results if row["arm"] == arm)


def _missing(results: Sequence[Row], baseline: str | None, treatment: str | None) -> str:
    """Return why nothing can be compared, or an empty string."""
    if not baseline or not treatment:
        return "No verdict: the recipe names no baseline and treatment under compare."
    absent = [arm for arm in (baseline, treatment) if not scores(results, arm)]
    if absent:
        return f"No verdict: {' and '.join(absent)} has no finished round with a test accuracy."
    if not paired_differences(scores(results, baseline), scores(results, treatment)):
        return f"No verdict: {baseline} and {treatment} share no seed and label count."
    return ""


def _complete(differences: Mapping[int, Mapping[int, float]]) -> tuple[list[int], list[int], list[int]]:
    """Return label counts and the seeds that have them all in both arms, and the seeds left out.

    Where no seed has them all, the label counts that every seed has are taken instead.
    """
    every = sorted({seed for by_seed in differences.values() for seed in by_seed})
    whole = [seed for seed in every if all(seed in by_seed for by_seed in differences.values())]
    if whole:
        return list(differences), whole, [seed for seed in every if seed not in whole]
    most = max(len(by_seed) for by_seed in differences.values())
    seeds = sorted(next(by_seed for by_seed in differences.values() if len(by_seed) == most))
    budgets = [labels for labels, by_seed in differences.items() if set(seeds) <= set(by_seed)]
    return budgets, seeds, [seed for seed in every if seed not in seeds]


def _by_encoder(by_seed: Mapping[int, float], encoders: int | None) -> list[float]:
    """Return one difference per independent unit: per seed, or per encoder where several seeds share a few."""
    if not encoders or encoders == 1 or encoders >= len(by_seed):
        return list(by_seed.values())
    shared: dict[int, list[float]] = {}
    for seed, value in by_seed.items():
        shared.setdefault(seed % encoders, []).append(value)
    return [fmean(values) for values in shared.values()]


def _sentence(area: Interval, baseline: str, treatment: str, budgets: list[int], level: str, unit: str) -> str:
    over = f"averaged over {budgets[0]} to {budgets[-1]} labels" if len(budgets) > 1 else f"at {budgets[0]} labels"
    seeds = f"{area.n} {unit}{'s' if area.n > 1 else ''}"
    if level == "exploratory":
        start = f"Exploratory: {seeds}, no claim. "
        if area.low is None:
            sides = "ahead of" if area.mean > 0 else "not ahead of"
            return f"{start}{treatment} is {sides} {baseline} {over} ({points(area.mean)}); one {unit} has no interval."
        if area.mean <= 0:
            return f"{start}{treatment} did not beat {baseline}: {points(area.mean)} {over}, {interval(area)}."
        if not area.excludes_zero:
            return (
                f"{start}No difference between {treatment} and {baseline} could be shown with {seeds}: "
                f"{points(area.mean)} {over}, {interval(area)}."
            )
        return (
            f"{start}In these runs {treatment} was ahead of {baseline} by {points(area.mean, sign=False)} {over}, "
            f"{interval(area)}."
        )
    if not area.excludes_zero:
        missed = points(detectable_difference(area.sd or 0.0, area.n), sign=False)
        return (
            f"{treatment} did not measurably beat {baseline}: no difference could be shown with {seeds}. "
            f"{points(area.mean)} {over}, {interval(area)}; a true difference under {missed} would be missed "
            f"more often than one time in five with as many {unit}s."
        )
    side = "above" if area.mean > 0 else "below"
    clearly = "significantly " if level == "significant" else ""
    lost = "" if area.mean > 0 else f" {treatment} did not beat {baseline}."
    return (
        f"{treatment} is {clearly}{side} {baseline} by {points(abs(area.mean), sign=False)} {over}, "
        f"{interval(area)}, {seeds}.{lost}"
    )


def _final(
    low: Mapping[tuple[int, int], float],
    high: Mapping[tuple[int, int], float],
    baseline: str,
    treatment: str,
    seeds: list[int],
    labels: int,
    final: Interval,
) -> str:
    before, after = (fmean(curve[seed, labels] for seed in seeds) for curve in (low, high))
    spread = "" if final.low is None else f" ({interval(final)})"
    return (
        f"At {labels} labels: {treatment} {100 * after:.1f} %, {baseline} {100 * before:.1f} %, "
        f"difference {points(final.mean)}{spread}."
    )


def _efficiency(
    low: Mapping[tuple[int, int], float],
    high: Mapping[tuple[int, int], float],
    baseline: str,
    treatment: str,
    seeds: list[int],
    budgets: list[int],
) -> list[str]:
    """Say how many labels the treatment needs for the baseline's best mean score; curves are means over seeds."""
    if len(budgets) < 2:
        return []
    before, after = ([fmean(curve[seed, labels] for seed in seeds) for labels in budgets] for curve in (low, high))
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


def _others(results: Sequence[Row], compared: tuple[str, str]) -> list[str]:
    """Say where both arms stand against every other arm, and against each reference on the same labels."""
    said = []
    for other in (arm for arm in arms_in(results) if arm not in compared):
        for arm in compared:
            pairs = paired_differences(scores(results, other), scores(results, arm))
            said += _against(arm, other, pairs)
    for reference in references_in(results):
        for arm in compared:
            pairs = paired_differences(scores(results, arm, f"{reference}_accuracy"), scores(results, arm))
            said += _against(arm, f"{reference} on pixels with the same labels", pairs)
    return said


def _against(arm: str, other: str, pairs: Mapping[int, Mapping[int, float]]) -> list[str]:
    if not pairs:
        return []
    labels = max(pairs)
    found = paired_interval(pairs[labels].values())
    side = "above" if found.mean > 0 else "below" if found.mean < 0 else "level with"
    spread = "one seed" if found.low is None else f"{interval(found)}, {found.n} seeds"
    return [f"At {labels} labels {arm} is {points(abs(found.mean), sign=False)} {side} {other} ({spread})."]


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
