"""The words that follow from a comparison's numbers: they follow the number of seeds, and never go further."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ssal.errors import listing
from ssal.evaluation.statistics import Interval

INTERVALS_FROM = 5
"""With fewer seeds the words are exploratory: at 3 a difference must be 3.3 standard deviations to be found."""
SIGNIFICANT_FROM = 10
"""With fewer seeds the word `significant` is not used."""


def level_of(seeds: int) -> str:
    """Return how much may be said: `exploratory`, `interval` or `significant`."""
    return "significant" if seeds >= SIGNIFICANT_FROM else "interval" if seeds >= INTERVALS_FROM else "exploratory"


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


def last_scores(final: Mapping[str, Any], baseline: str, treatment: str) -> list[str]:
    """Say the two mean scores at the last label count and their difference, then those of other metrics."""
    said = [
        f"At {final['labels']} labels: {treatment} {100 * final['treatment']:.1f} %, {baseline} "
        f"{100 * final['baseline']:.1f} %, difference {_spread(final)}."
    ]
    names = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}
    beside = [f"{names[metric]} {_spread(found)}" for metric, found in final["beside"].items()]
    return said + [f"Beside accuracy, at {final['labels']} labels: {', '.join(beside)}."] * bool(beside)


def log_area(areas: Mapping[str, Any] | None, budgets: Sequence[int]) -> list[str]:
    """Say the difference over log label counts; `areas` is None where a count is zero."""
    if areas is None or len(budgets) < 2:
        return []
    return [f"Averaged over log label counts, where the first labels weigh more: {_spread(areas)}."]


def shared_encoders(seeds: int, encoders: int) -> list[str]:
    """Say what follows where `seeds` seeds have fewer encoders."""
    if encoders >= seeds:
        return []
    if encoders == 1:
        return [f"All {seeds} seeds share one encoder: the interval says nothing about another encoder."]
    return [f"The {seeds} seeds share {encoders} encoders: each one's seeds are averaged, so n is {encoders}."]


def against(found: Interval, labels: int, arm: str, other: str, without: Collection[int], unit: str) -> str:
    """Say where an arm stands against another one, or against a reference; `without` are the seeds left out."""
    side = "above" if found.mean > 0 else "below" if found.mean < 0 else "level with"
    spread = "one seed" if found.low is None else f"{interval(found)}, {found.n} {unit}s"
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
    text = signed(value) if sign else f"{100 * value:.1f}"
    return f"{text} point{'' if text.lstrip('+−') == '1.0' else 's'}"


def interval(found: Interval) -> str:
    """Return the interval in words, in percentage points."""
    if found.low is None or found.high is None:
        return "no interval"
    return f"95 % interval {signed(found.low)} to {signed(found.high)}"


def _spread(found: Mapping[str, Any]) -> str:
    """Return a difference and its interval, where it has one."""
    difference = Interval(**found["difference"])
    return points(difference.mean) + ("" if difference.low is None else f" ({interval(difference)})")


def signed(value: float, scale: int = 100) -> str:
    """Return `scale` times a number with its sign and one decimal, with a true minus sign."""
    text = f"{scale * value:+.1f}"
    return "0.0" if text in ("-0.0", "+0.0") else text.replace("-", "−")
