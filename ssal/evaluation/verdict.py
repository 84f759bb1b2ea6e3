"""What a comparison shows: the numbers from its rows, over the label counts and seeds that both arms have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ssal.evaluation import claims, sentences
from ssal.evaluation.comparisons import (
    Pair,
    beside_accuracy,
    by_labels,
    comparison,
    efficiency_at_counts,
    family,
    pair_of,
    penalty,
    power,
)
from ssal.evaluation.results import Row, arms_in, companions_in, oracles_in, reference_words, references_in, scores
from ssal.evaluation.statistics import Interval, Scores, paired_interval


def verdict(
    results: Sequence[Row], baseline: str | None, treatment: str | None, encoders: int | None = None
) -> dict[str, Any]:
    """Return what `treatment` adds to `baseline`, as a sentence and as the numbers under it (JSON values).

    The claim is the paired difference of the area under the budget curve: same seeds, same label counts. It is called
    significant where the interval leaves out zero and the sign-flip test, corrected over all arms against the baseline,
    agrees. `encoders` says that the seeds share so many pretrained encoders (seed s has encoder s % encoders): the
    seeds of one encoder are then averaged first, and one shared encoder is named as a limit. Only `given_encoders` has
    a difference per seed: what holds for these encoders, of which it says nothing beyond them. So has `references`:
    what another classifier gains from the labels that each arm bought.
    """
    missing = _missing(results, baseline, treatment)
    low, high = (scores(results, arm) if arm else {} for arm in (baseline, treatment))
    pair = pair_of(low, high, encoders)
    if missing or baseline is None or treatment is None or pair is None:
        nothing: dict[str, Any] = {"details": [], "others": [], "differences": [], "label_efficiency": []}
        said = {"baseline": baseline, "treatment": treatment, "seeds": 0, "level": "none", "sentence": missing}
        nothing |= {"family": None, "given_encoders": None, "references": {}, "penalty": penalty(results, encoders)}
        return said | nothing
    compared, against_all = comparison(pair), family(results, baseline, encoders)
    area = Interval(**compared["aubc"]["difference"])
    used = len({seed % encoders for seed in pair.seeds}) if encoders else len(pair.seeds)
    unit = "encoder" if 1 < used < len(pair.seeds) else "seed"
    holm_p = next((one["holm_p"] for one in against_all["arms"] if one["arm"] == treatment), None)
    compared["sign_flip"]["holm_p"] = holm_p
    compared["final"]["beside"] = beside_accuracy(results, baseline, treatment, pair, encoders)
    efficiency, shown = efficiency_at_counts(pair), power(area, unit)
    conditional = family(results, baseline) if unit == "encoder" else None
    shared = used if used < len(pair.seeds) else 0
    elsewhere = {one: family(results, baseline, metric=f"{one}_accuracy") for one in references_in(results)}
    oracle = [arm for arm in (baseline, treatment) if arm in oracles_in(results)]
    peeking = f"No claim: {' and '.join(oracle)} uses labels that a real project does not have. " if oracle else ""
    sentence = claims.claim(area, baseline, treatment, pair.budgets, unit, compared["sign_flip"], against_all, shown)
    return {
        "baseline": baseline,
        "treatment": treatment,
        "seeds": len(pair.seeds),
        "independent": area.n,
        "unit": unit,
        "level": sentences.level_of(area.n),
        "significant": claims.significant(area, holm_p),
        "sentence": peeking + sentence,
        "details": [
            *sentences.last_scores(compared["final"], baseline, treatment),
            *sentences.log_area(compared["aubc_log"], pair.budgets),
            *claims.bootstrap(area, compared["aubc"]["bca"]),
            *claims.tests(compared, against_all, unit),
            *claims.planned(shown),
            *claims.efficiency(baseline, treatment, pair.budgets, efficiency),
            *sentences.shared_encoders(len(pair.seeds), used),
            *claims.given_encoders(conditional, used),
            *(line for one, found in elsewhere.items() for line in claims.elsewhere(one, found, shared)),
            *sentences.unlike(baseline, treatment, companions_in(results)),
            *_left_out(low, high, pair),
        ],
        "others": _others(results, (treatment, baseline), encoders),
        **{name: compared[name] for name in ("aubc", "aubc_log", "final", "effect_size", "sign_flip")},
        "differences": by_labels(low, high, pair, encoders),
        "family": against_all,
        "given_encoders": conditional,
        "references": elsewhere,
        "penalty": penalty(results, encoders),
        "label_efficiency": efficiency,
        "power": shown,
    }


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


def _left_out(low: Scores, high: Scores, pair: Pair) -> list[str]:
    """Say what one of the two arms has and the comparison has not."""
    every = {*low, *high}
    without = {seed for seed, _ in every} - set(pair.seeds)
    counts = {labels for seed, labels in every if seed in pair.seeds} - set(pair.budgets)
    named = sentences.seeds_named(without)
    return sentences.unequal(counts, [f"{named} left out, with no pair at {pair.budgets[-1]} labels"] * bool(without))


def _others(results: Sequence[Row], compared: tuple[str, str], encoders: int | None) -> list[str]:
    """Say where both arms stand against every other arm, and against each reference on the same labels."""
    oracles = oracles_in(results)
    against = [
        (arm, f"{other}, an oracle outside of all tests," if other in oracles else other, scores(results, other))
        for other in arms_in(results)
        if other not in compared
        for arm in compared
    ]
    against += [
        (arm, f"{reference_words(one)} with the same labels", scores(results, arm, f"{one}_accuracy"))
        for one in references_in(results)
        for arm in compared
    ]
    said = []
    for arm, other, low in against:
        high = scores(results, arm)
        pair, whole = pair_of(low, high, encoders), pair_of(high, high)
        if pair and whole and pair.budgets[-1] == whole.budgets[-1]:
            found = paired_interval(pair.after[:, -1] - pair.before[:, -1])
            without = {seed for seed, _ in {*low, *high}} - set(pair.seeds)
            unit = "seed" if found.n == len(pair.seeds) else "encoder"
            said.append(sentences.against(found, pair.budgets[-1], arm, other, without, unit))
    return said
