"""What a comparison shows: the numbers from its rows, over the label counts and seeds that both arms have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from ssal.evaluation import sentences
from ssal.evaluation.results import Row, arms_in, companions_in, references_in, scores
from ssal.evaluation.statistics import Scores, aubc, comparable, paired_differences, paired_interval


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
        nothing: dict[str, Any] = {"details": [], "others": [], "differences": []}
        said = {"baseline": baseline, "treatment": treatment, "seeds": 0, "level": "none", "sentence": missing}
        return said | nothing
    low, high = scores(results, baseline), scores(results, treatment)
    budgets, seeds = comparable(set(low) & set(high))
    before, after = (_curves(curve, budgets, seeds) for curve in (low, high))
    gains = {seed: aubc(budgets, after[seed]) - aubc(budgets, before[seed]) for seed in seeds}
    pairs = paired_differences(low, high)
    differences = {labels: {seed: pairs[labels][seed] for seed in seeds} for labels in budgets}
    area, final = (paired_interval(_by_encoder(by_seed, encoders)) for by_seed in (gains, differences[budgets[-1]]))
    used = len({seed % encoders for seed in seeds}) if encoders else len(seeds)
    unit = "encoder" if 1 < used < len(seeds) else "seed"
    oracle = [arm for arm in (baseline, treatment) if _peeks(results, arm)]
    peeking = f"No claim: {' and '.join(oracle)} uses labels that a real project does not have. " if oracle else ""
    means = [[fmean(values) for values in zip(*curves.values(), strict=True)] for curves in (before, after)]
    return {
        "baseline": baseline,
        "treatment": treatment,
        "seeds": len(seeds),
        "independent": area.n,
        "level": sentences.level_of(area.n),
        "sentence": peeking + sentences.claim(area, baseline, treatment, budgets, unit),
        "details": [
            sentences.last_scores(final, baseline, treatment, budgets[-1], means[0][-1], means[1][-1]),
            *sentences.efficiency(baseline, treatment, budgets, *means),
            *sentences.shared_encoders(len(seeds), used),
            *sentences.unlike(baseline, treatment, companions_in(results)),
            *_left_out(low, high, budgets, seeds),
        ],
        "others": _others(results, (treatment, baseline)),
        "aubc": {
            "baseline": fmean(aubc(budgets, curve) for curve in before.values()),
            "treatment": fmean(aubc(budgets, curve) for curve in after.values()),
            "difference": area._asdict(),
        },
        "final": {"labels": budgets[-1], "difference": final._asdict()},
        "differences": [
            {"labels": labels, "seeds": by_seed, **paired_interval(_by_encoder(by_seed, encoders))._asdict()}
            for labels, by_seed in differences.items()
        ],
    }


def _curves(curve: Scores, budgets: Sequence[int], seeds: Sequence[int]) -> dict[int, list[float]]:
    return {seed: [curve[seed, labels] for labels in budgets] for seed in seeds}


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
    if not set(scores(results, baseline)) & set(scores(results, treatment)):
        return f"No verdict: {baseline} and {treatment} share no seed and label count."
    return ""


def _left_out(low: Scores, high: Scores, budgets: Sequence[int], seeds: Sequence[int]) -> list[str]:
    """Say what one of the two arms has and the comparison has not."""
    every = {*low, *high}
    without = {seed for seed, _ in every} - set(seeds)
    counts = {labels for seed, labels in every if seed in seeds} - set(budgets)
    lacking = [f"{sentences.seeds_named(without)} left out, with no pair at {budgets[-1]} labels"] if without else []
    return sentences.unequal(counts, lacking)


def _by_encoder(by_seed: Mapping[int, float], encoders: int | None) -> list[float]:
    """Return one difference per independent unit: per seed, or per encoder where several seeds share a few."""
    shared: dict[int, list[float]] = {}
    for seed, value in by_seed.items():
        shared.setdefault(seed % encoders if encoders else seed, []).append(value)
    return list(by_seed.values()) if len(shared) == 1 else [fmean(values) for values in shared.values()]


def _others(results: Sequence[Row], compared: tuple[str, str]) -> list[str]:
    """Say where both arms stand against every other arm, and against each reference on the same labels."""
    said = []
    for other in (arm for arm in arms_in(results) if arm not in compared):
        for arm in compared:
            said += _against(arm, other, scores(results, arm), scores(results, other))
    for reference in references_in(results):
        for arm in compared:
            theirs = scores(results, arm, f"{reference}_accuracy")
            said += _against(arm, f"{reference} on raw inputs with the same labels", scores(results, arm), theirs)
    return said


def _against(arm: str, other: str, high: Scores, low: Scores) -> list[str]:
    pairs = paired_differences(low, high)
    budgets, seeds = comparable(set(low) & set(high))
    if not pairs:
        return []
    found = paired_interval(pairs[budgets[-1]][seed] for seed in seeds)
    without = {seed for seed, _ in {*low, *high}} - set(seeds)
    return [sentences.against(found, budgets[-1], arm, other, without)]
