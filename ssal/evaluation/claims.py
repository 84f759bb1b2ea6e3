"""What may be claimed in words: the difference, its tests, and the labels that it saves. Words follow seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssal.evaluation.results import reference_words
from ssal.evaluation.sentences import INTERVALS_FROM, interval, level_of, points, signed
from ssal.evaluation.significance import ALPHA
from ssal.evaluation.statistics import Interval


def claim(
    area: Interval,
    baseline: str,
    treatment: str,
    budgets: Sequence[int],
    unit: str,
    sign_flip: Mapping[str, Any],
    family: Mapping[str, Any],
    power: Mapping[str, Any] | None,
) -> str:
    """Say what the treatment adds to the baseline over the budgets; `area` has one difference per `unit`.

    `sign_flip`, `family` and `power` are as in verdict.json.
    """
    over = f"averaged over {budgets[0]} to {budgets[-1]} labels" if len(budgets) > 1 else f"at {budgets[0]} labels"
    seeds = f"{area.n} {unit}{'s' if area.n > 1 else ''}"
    level = level_of(area.n)
    if level == "exploratory":
        return f"Exploratory: {seeds}, no claim. " + _explored(area, baseline, treatment, over, unit)
    if not area.excludes_zero or points(area.mean) == points(0.0):
        missed = ""
        if power and points(power["detectable"]) != points(0.0):
            missed = (
                f"; a true difference under {points(power['detectable'], sign=False)} would be missed more often than "
                f"one time in five with as many {unit}s"
            )
        return (
            f"{treatment} did not measurably beat {baseline}: no difference could be shown with {seeds}"
            f"{_more(power)}. {points(area.mean)} {over}, {interval(area)}{missed}."
        )
    side = "above" if area.mean > 0 else "below"
    holm_p = sign_flip["holm_p"]
    clearly = tested = ""
    if level == "significant" and holm_p is not None:
        test = f"{_method(sign_flip)} with Holm's correction over {_comparisons(family)}"
        clearly = "significantly " if significant(area, holm_p) else ""
        tested = f"; {test}: {_p(holm_p)}" if clearly else f", but the {test} does not agree: {_p(holm_p)}"
    lost = "" if area.mean > 0 else f" {treatment} did not beat {baseline}."
    return (
        f"{treatment} is {clearly}{side} {baseline} by {points(abs(area.mean), sign=False)} {over}, "
        f"{interval(area)}, {seeds}{tested}.{lost}"
    )


def significant(area: Interval, holm_p: float | None) -> bool:
    """Say whether the word may be used: SIGNIFICANT_FROM units, no zero in the interval, a corrected test that agrees,
    and a difference that is not zero to one decimal.

    `holm_p` is None for an arm outside of the family, which never is.
    """
    enough = level_of(area.n) == "significant" and area.excludes_zero and points(area.mean) != points(0.0)
    return enough and holm_p is not None and holm_p <= ALPHA


def tests(compared: Mapping[str, Any], family: Mapping[str, Any], unit: str) -> list[str]:
    """Say what the sign-flip test gives and how large the effect is; with few seeds, only how many the test needs."""
    found, sizes = compared["sign_flip"], compared["effect_size"]
    needs = f"needs at least {family['needed_to_reject']} {unit}s to reject at all"
    over = f"over {_comparisons(family)} with {family['baseline']}"
    if level_of(found["n"]) == "exploratory":
        return [f"With Holm's correction {over}, a sign-flip test {needs}."] if family["comparisons"] else []
    corrected = (
        "" if found["holm_p"] is None else f"; {_p(found['holm_p'])} with Holm's correction {over}, which {needs}"
    )
    effect = ""
    if sizes["hedges_g"] is not None:
        effect = f" Effect size: d_z {signed(sizes['cohens_d_z'], 1)}, Hedges' g {signed(sizes['hedges_g'], 1)}."
    return [f"{_method(found).capitalize()} of {found['n']} paired differences: {_p(found['p'])}{corrected}.{effect}"]


def planned(power: Mapping[str, Any] | None) -> list[str]:
    """Say how many more seeds a claim needs where there are few: at least as many as intervals take."""
    if not power or level_of(power["n"]) != "exploratory":
        return []
    more, shown = max(power["more"], INTERVALS_FROM - power["n"]), points(power["difference"], sign=False)
    units = f"{more} more {power['unit']}{'s' if more > 1 else ''}"
    return [f"With as much spread, {units} would show a true difference of {shown} or more."]


def bootstrap(area: Interval, bca: Mapping[str, Any]) -> list[str]:
    """Say so where the BCa interval and the t interval of the same differences do not agree about zero."""
    found = area._replace(**bca)
    if found.low is None or level_of(area.n) == "exploratory" or found.excludes_zero == area.excludes_zero:
        return []
    leaves = "leaves out" if found.excludes_zero else "holds"
    return [f"The BCa bootstrap {interval(found)}, {leaves} zero, and the t interval of the same differences does not."]


def given_encoders(family: Mapping[str, Any] | None, encoders: int) -> list[str]:
    """Say which arms differ from the baseline for these encoders, the seeds' draws being the only chance.

    `family` holds a difference per seed; None where no seeds share encoders.
    """
    tested = [one for one in family["arms"] if one["holm_p"] is not None] if family else []
    if not family or not tested or level_of(min(one["n"] for one in tested)) != "significant":
        return []
    areas = {one["arm"]: Interval(**one["aubc"]["difference"]) for one in tested}
    shown = {one["arm"] for one in tested if significant(areas[one["arm"]], one["holm_p"])}
    order = sorted(areas, key=lambda arm: -areas[arm].mean)
    sides = {
        "significantly above": [arm for arm in order if arm in shown and areas[arm].mean > 0],
        "significantly below": [arm for arm in order if arm in shown and areas[arm].mean < 0],
        "not shown to differ": [arm for arm in order if arm not in shown],
    }
    words = [
        f"{side}: {', '.join(f'{arm} {_short(areas[arm])}' for arm in arms)}" for side, arms in sides.items() if arms
    ]
    return [
        f"For these {encoders} encoders alone, where only the draws are chance, the areas of arms beside "
        f"{family['baseline']}'s (points, 95 % interval; sign-flip tests with Holm's correction over "
        f"{_comparisons(family)}) are {'; '.join(words)}."
    ]


def elsewhere(reference: str, family: Mapping[str, Any], encoders: int) -> list[str]:
    """Say what a classifier that picked no labels gains from those that arms bought, beside the baseline's.

    `family` holds the differences of its own areas, one per seed; with few seeds nothing is said. `encoders` are those
    that the seeds which picked share, 0 where each has its own.
    """
    areas = {one["arm"]: Interval(**one["aubc"]["difference"]) for one in family["arms"] if not one["oracle"]}
    if not areas or level_of(min(area.n for area in areas.values())) == "exploratory":
        return []
    gains = [f"{arm} {_short(areas[arm])}" for arm in sorted(areas, key=lambda arm: -areas[arm].mean)]
    alone = f"For these {encoders} encoder{'s' if encoders > 1 else ''} alone: " if encoders else ""
    return [
        f"{alone}{reference_words(reference)}, on the labels that each arm bought beside those of {family['baseline']} "
        f"(points averaged over the label counts, 95 % interval over {max(area.n for area in areas.values())} seeds): "
        f"{', '.join(gains)}."
    ]


def efficiency(baseline: str, treatment: str, budgets: Sequence[int], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how many labels the treatment needs for the baseline's best mean score, the last of `found`."""
    if not found:
        return []
    last = found[-1]
    slow, fast, missed = last["baseline_labels"], last["treatment_labels"], last["treatment_not_reached"]
    sure = missed is not None and level_of(last["n"]) != "exploratory"
    best = f"{baseline}'s best mean accuracy, {100 * last['score']:.1f} %,"
    if fast is None:
        did = f" It did in {_percent(1 - missed)} of resamples." if sure and missed < 1 else ""
        return [f"{treatment} did not reach {best} with {budgets[-1]} labels.{did}"]
    if fast == slow == budgets[0]:
        return [f"Both reach {best} with the first {budgets[0]} labels already."]
    spread = f" (95 % interval {_saved(last['low'], last['high'])})" if sure else ""
    spread += f"; it is not reached in {_percent(missed)} of resamples" if sure and missed else ""
    if round(fast) == round(slow):
        return [f"{treatment} needs as many labels as {baseline} for {best} about {slow:.0f}{spread}."]
    share = f"{_labels(last['ratio'])}{spread}"
    return [f"{treatment} reaches {best} with about {fast:.0f} labels instead of {slow:.0f}: {share}."]


def _labels(ratio: float | None) -> str:
    """Return how many labels a label efficiency saves, or that there is none."""
    if ratio is None:
        return "not reached"
    return f"{100 * abs(1 - 1 / ratio):.0f} % {'fewer' if ratio >= 1 else 'more'}"


def _saved(low: float | None, high: float | None) -> str:
    """Return an interval of label efficiencies in words, e.g. `18 to 42 % fewer`."""
    ends = [_labels(low), _labels(high)]
    words = [end.split(" % ") for end in ends]
    if len(words[0]) < 2 or words[0][1:] != words[1][1:]:
        return " to ".join(ends)
    return f"{' to '.join(sorted((word[0] for word in words), key=int))} % {words[0][1]}"


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


def _more(power: Mapping[str, Any] | None) -> str:
    """Say how many more seeds would show one point, or that there are enough."""
    if not power:
        return ""
    shown = f"would show a true difference of {points(power['difference'], sign=False)} or more"
    return f"; {power['more']} more {shown}" if power["more"] else f", which {shown} four times in five"


def _method(sign_flip: Mapping[str, Any]) -> str:
    exact = sign_flip["method"] == "exact"
    return "exact sign-flip test" if exact else f"sign-flip test ({sign_flip['patterns']:,} drawn patterns)"


def _comparisons(family: Mapping[str, Any]) -> str:
    return f"{family['comparisons']} comparison{'s' if family['comparisons'] > 1 else ''}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _short(found: Interval) -> str:
    """Return a difference in points with its interval in brackets, e.g. +1.9 [+1.1, +2.7]."""
    if found.low is None or found.high is None:
        return signed(found.mean)
    return f"{signed(found.mean)} [{signed(found.low)}, {signed(found.high)}]"


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"
