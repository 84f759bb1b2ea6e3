"""What a methods section says of seeds, pairs, intervals and tests: those that the verdict used, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssal.evaluation import claims, efficiency, metrics, ranking, sentences, significance, statistics
from ssal.evaluation.comparisons import BESIDE
from ssal.evaluation.references import NETWORK, REFERENCES
from ssal.evaluation.results import Row, arms_in, oracles_in, references_in
from ssal.method import citations
from ssal.recipe import Arm, Recipe
from ssal.recipe.skeleton import NO_PRETEXT
from ssal.report.citing import Citing, listed
from ssal.report.comparison import Comparison

HIDDEN = "hidden"
"""What data.labels is where a run begins without a label."""
METRICS = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}


def seeds(results: Sequence[Row]) -> list[str]:
    """Say how many runs the arms had."""
    counts = sorted({len({row["seed"] for row in results if row["arm"] == arm}) for arm in arms_in(results)})
    often = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    return [f"Every arm was run with {often} seed{'s' * (counts[-1] > 1)}."]


def compared(recipe: Recipe, comparisons: Sequence[Comparison], citing: Citing) -> list[str]:
    """Say how the claim was made under each condition; what holds under all is said once."""
    found = [one for one in comparisons if one.verdict.get("aubc")]
    lines = {
        one.condition: [
            *_pairs(recipe, one),
            *_outcome(one.verdict, citing),
            *_tests(one.verdict, citing),
            *_beside(one.verdict, citing),
        ]
        for one in found
    }
    said = []
    if found and len(comparisons) > 1:
        many = f"The conditions {listed([*lines])} were compared each on its own."
        said = [many if len(found) > 1 else f"Of {len(comparisons)} conditions only {found[0].condition} was compared."]
    for line in _merged(list(lines.values())):
        under = [condition for condition, own in lines.items() if line in own]
        said.append(line if len(under) == len(found) else f"Under {listed(under)}: {line}")
    return said


def _merged(texts: Sequence[Sequence[str]]) -> list[str]:
    """Return every line of the texts once, a new one before the next that an earlier text has as well."""
    merged: list[str] = []
    for text in texts:
        for place, line in enumerate(text):
            if line not in merged:
                following = (merged.index(later) for later in text[place + 1 :] if later in merged)
                merged.insert(next(following, len(merged)), line)
    return merged


def _pairs(recipe: Recipe, one: Comparison) -> list[str]:
    """Say what the runs of a pair share, and how many of them are independent."""
    said = one.verdict
    low, high = (recipe.arms[one.arms[said[name]]] for name in ("baseline", "treatment"))
    lines = [f"“{said['treatment']}” was compared with “{said['baseline']}” in pairs of runs with the same seed"]
    shares = _shared(low, high)
    lines[0] += f", which share {listed(shares)}." if shares else "."
    used = {int(seed) for seed in said["differences"][-1]["seeds"]}
    if low.encoders and low.pretext_method != NO_PRETEXT:
        lines += sentences.shared_encoders(len(used), len({low.encoder_seed(seed) for seed in used}))
    return lines


def _shared(low: Arm, high: Arm) -> list[str]:
    """Return what two runs of one seed have in common by the recipe."""
    if [low.data, low.encoders, low.encoder(0)] != [high.data, high.encoders, high.encoder(0)]:
        return []
    first = [(arm.first_round, arm.first_options, arm.first_size) for arm in (low, high)]
    encoder = ["the encoder"] * (low.pretext_method != NO_PRETEXT)
    return encoder + [f"the first {low.first_size} labels"] * (first[0] == first[1] and low.data["labels"] == HIDDEN)


def _outcome(said: Mapping[str, Any], citing: Citing) -> list[str]:
    """Say what was compared, how much may be said with so many seeds, and which intervals there are."""
    first, last = (said["differences"][place]["labels"] for place in (0, -1))
    what = f"test accuracy at {last} labels"
    if first != last:
        what = f"area under the curve of test accuracy over {first} to {last} labels, by trapezoids and divided by that"
        what += f" range{citing.function(statistics.aubc)}"
        what += ", and beside it over the logarithm of the label counts" if said["aubc_log"] else ""
    lines = [f"The outcome is the paired difference of the {what}."]
    n, found = said["independent"], said["aubc"]
    if said["level"] == "exploratory":
        units = f"{n} {said['unit']}{'s' * (n > 1)}"
        lines.append(f"With {units} the comparison is exploratory: differences are described, and nothing is claimed.")
    intervals = []
    if found["difference"]["low"] is not None:
        student = citing.function(statistics.paired_interval)
        intervals.append(f"two-sided 95 % t intervals of the paired differences{student}")
    if found["bca"]["low"] is not None:
        efron = citing.function(statistics.bca_interval)
        intervals.append(f"BCa bootstrap intervals with {statistics.RESAMPLES:,} resamples{efron}")
    return [*lines, f"Intervals are {listed(intervals)}."] if intervals else lines


def _tests(said: Mapping[str, Any], citing: Citing) -> list[str]:
    """Say which tests there were, what they were corrected over and how large effects are; none with few seeds."""
    lines = []
    if said["level"] != "exploratory":
        many = said["family"]["comparisons"] > 1 and said["sign_flip"]["holm_p"] is not None
        lines.append(f"p values are those of {_sign_flips(said['sign_flip'], said['family'], many, citing)}.")
        if said["level"] == "significant" and said["sign_flip"]["holm_p"] is not None:
            lines.append(f"A difference was called significant where {_significant(many, said['unit'])}.")
        if said["effect_size"]["hedges_g"] is not None:
            sizes = citing.function(significance.effect_size)
            lines.append(f"Effect sizes are Cohen's d of paired differences and Hedges' g{sizes}.")
    family = said.get("given_encoders")
    if family and claims.given_encoders(family, said["independent"]):
        test = next(one["sign_flip"] for one in family["arms"] if one["holm_p"] is not None)
        lines.append(
            "For these encoders alone, where only the draws are chance, every seed has its own difference: p values "
            f"are those of {_sign_flips(test, family, True, citing)}. It was called significant where "
            f"{_significant(True, 'seed')}."
        )
    return lines


def _sign_flips(found: Mapping[str, Any], family: Mapping[str, Any], corrected: bool, citing: Citing) -> str:
    """Return what a sign-flip test is called, and what it was corrected over."""
    sources = citations(significance.sign_flip_test.__doc__)
    if found["method"] == "exact":
        test = f"two-sided exact sign-flip tests{citing.cite(sources[:1])}"
    else:
        test = f"two-sided sign-flip tests with {significance.PATTERNS:,} drawn patterns{citing.cite(sources)}"
    if not corrected:
        return test
    over = f"{family['comparisons']} comparison{'s' * (family['comparisons'] > 1)} with “{family['baseline']}”"
    return f"{test}, corrected over {over}{citing.function(significance.holm)}"


def _significant(corrected: bool, unit: str) -> str:
    """Return what claims.significant asks of a difference."""
    p = f"{'corrected ' * corrected}p value"
    return (
        f"it has {sentences.SIGNIFICANT_FROM} {unit}s or more, its t interval leaves out zero, its {p} is at most "
        f"{significance.ALPHA:g} and it does not round to {sentences.points(0.0)}"
    )


def _beside(said: Mapping[str, Any], citing: Citing) -> list[str]:
    """Say what label efficiency and who beats whom mean, where there are such numbers."""
    lines = []
    if found := said["label_efficiency"]:
        drawn = found[-1]["baseline_not_reached"] is not None
        source = citing.function(efficiency.efficiencies if drawn else efficiency.label_efficiency)
        lines.append(
            f"Label efficiency is the number of labels that “{said['baseline']}” needs over the number that "
            f"“{said['treatment']}” needs for the same mean accuracy"
            f"{', with percentile bootstrap intervals' * drawn}{source}."
        )
    matrix = said["penalty"]["matrix"]
    if said["level"] != "exploratory" and any(share for row in matrix.values() for share in row.values()):
        lines.append(
            "Arms were set against each other by the share of label counts at which a two-sided paired t test at "
            f"{significance.ALPHA:g} finds one better{citing.function(ranking.penalty_matrix)}."
        )
    return lines


def ranked(found: Mapping[str, Any] | None, citing: Citing) -> list[str]:
    """Say how arms were ranked over data sets, and, where the first test lets them, told apart."""
    if not found or not found["ranks"]:
        return []
    test = f"the Friedman test at {significance.ALPHA:g}{citing.function(ranking.friedman)}"
    after = f", then by Nemenyi's critical difference{citing.function(ranking.critical_difference)}"
    return [
        f"On each of {len(found['data_sets'])} data sets arms were ranked by their mean area under the curve of test "
        f"accuracy{citing.function(statistics.aubc)}; mean ranks were compared with {test}"
        f"{after if found['p'] <= significance.ALPHA else ''}."
    ]


def outside(results: Sequence[Row]) -> list[str]:
    """Name the arms that read what a real project does not have."""
    found = [arm for arm in arms_in(results) if arm in oracles_in(results)]
    what = "used labels that a real project does not have, and stood outside of all tests"
    return [f"{listed([f'“{arm}”' for arm in found])} {what}."] if found else []


def measured(results: Sequence[Row], citing: Citing, audited: bool = False) -> list[str]:
    """Say what was measured on test images, and on what else they were tried; or that others alone were `audited`."""
    if not any("accuracy" in row for row in results):
        interval = f"with score intervals{citing.function(statistics.share_interval)}" if audited else ""
        told = f"; accuracy is that on the images drawn at random, {interval}" if audited else ": nothing was measured"
        return [f"There were no test images{told}."]
    names = [METRICS[name] for name in BESIDE if any(name in row for row in results)]
    if any("expected_calibration_error" in row for row in results):
        how = citing.function(metrics.expected_calibration_error)
        names.append(f"expected calibration error over {metrics.BINS} bins of confidence{how}")
    beside = f", with {listed(names)} beside it" if names else ""
    lines = [f"Accuracy on the test images was measured after every training{beside}."]
    found = references_in(results)
    if references := [name for name in found if name in REFERENCES]:
        told = listed([name.replace("_", " ") + citing.function(REFERENCES[name]) for name in references])
        lines.append(f"For reference, {told} learned from the same labels on raw inputs.")
    if networks := [name.removeprefix(NETWORK) for name in found if name not in REFERENCES]:
        why = "to see whether labels that one network asks for serve another"
        told = f"{listed(networks)} learned from the same labels as each arm's own network does"
        lines.append(f"{told}, {why}{citing.function(Arm.network)}.")
    return lines
