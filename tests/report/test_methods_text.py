"""The text for a paper's methods section, sentence by sentence: what recipe and verdict did, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from synthetic_report import synthetic_report
from synthetic_results import synthetic_results, untested

from ssal import registry
from ssal.backbones import WideResNet
from ssal.evaluation import efficiency, metrics, ranking, significance, statistics
from ssal.evaluation.references import REFERENCES
from ssal.evaluation.results import renamed
from ssal.evaluation.verdict import verdict
from ssal.method import Method, citations
from ssal.recipe import Arm, Recipe, load
from ssal.report.citing import Citing, apart, bibliography
from ssal.report.comparison import Comparison
from ssal.report.methods import MethodsText, methods_text

TWO_ARMS = """
name: small
seeds: [0, 1, 2]
data: {source: digits, size: 8}
backbone: {name: wrn_10_1}
pretext: {method: none}
learner: {method: supervised, steps: 5}
acquisition: {strategy: random, first_size: 10, query_size: 5, budget: 20}
compare: {baseline: random, treatment: margin}
arms:
  random: {}
  margin: {acquisition: {strategy: margin}}
"""
METHODS = [method for kind in registry.FOLDERS for method in registry.methods(kind).values()]
FUNCTIONS = [
    WideResNet,
    Arm.network,
    statistics.aubc,
    statistics.paired_interval,
    statistics.bca_interval,
    statistics.share_interval,
    significance.sign_flip_test,
    significance.holm,
    significance.effect_size,
    efficiency.efficiencies,
    efficiency.label_efficiency,
    ranking.penalty_matrix,
    ranking.friedman,
    ranking.critical_difference,
    metrics.expected_calibration_error,
    *REFERENCES.values(),
]


def recipe_of(folder: Path, text: str = TWO_ARMS, **changes: str) -> Recipe:
    for old, new in changes.items():
        text = text.replace(f"{old}:", new, 1)
    (folder / "r.yaml").write_text(text)
    return load(folder / "r.yaml")


def text_of(recipe: Recipe, rows: list[dict[str, Any]]) -> MethodsText:
    comparisons = []
    for condition, arms in recipe.conditions.items():
        some = renamed(rows, arms)
        said = verdict(some, recipe.baseline, recipe.treatment, next(iter(recipe.arms.values())).encoders)
        comparisons.append(Comparison(condition, arms, some, said))
    found = methods_text(recipe, rows, comparisons, {"ssal": "0.1.0", "torch": "2.11.0"})
    assert found is not None
    return found


def rows_of(seeds: int, gain: float = 0.02, **arms: tuple[float, float]) -> list[dict[str, Any]]:
    rows = synthetic_results(seeds, (10, 15, 20), arms=arms or {"random": (0.4, 0.8), "margin": (0.4, 0.8 + gain)})
    return [{key: value for key, value in row.items() if key != "svm_accuracy"} for row in rows]


def test_three_seeds_are_exploratory_and_no_test_is_named(tmp_path: Path) -> None:
    first, second, third = text_of(recipe_of(tmp_path), rows_of(3)).paragraphs
    assert first == (
        "The data were digits (Alpaydin & Kaynak, 1998) at 8 × 8 pixels. "
        "The network was wrn_10_1 (Zagoruyko & Komodakis, 2016). "
        "Training began from random weights. "
        "Classifiers were trained with supervised. "
        "Every run bought 10 labels in the first round and 5 a round from then on, 20 in all. "
        "The images of the first round were chosen with random. "
        "All others were chosen with random in “random”; margin (Scheffer et al., 2001) in “margin”. "
        "Answers were the labels of the data, hidden until they were asked for. "
        "No label was held out for validation: the label counts hold every label that a run had."
    )
    assert second == (
        "Every arm was run with 3 seeds. "
        "“margin” was compared with “random” in pairs of runs with the same seed, which share the first 10 labels. "
        "The outcome is the paired difference of the area under the curve of test accuracy over 10 to 20 labels, by "
        "trapezoids and divided by that range (Zhan et al., 2021), and beside it over the logarithm of the label "
        "counts. "
        "With 3 seeds the comparison is exploratory: differences are described, and nothing is claimed. "
        "Intervals are two-sided 95 % t intervals of the paired differences (Student, 1908) and BCa bootstrap "
        "intervals with 9,999 resamples (Efron, 1987). "
        "Label efficiency is the number of labels that “random” needs over the number that “margin” needs for the same "
        "mean accuracy, with percentile bootstrap intervals (Beck et al., 2021; Efron, 1979)."
    )
    assert third.startswith(
        "Accuracy on the test images was measured after every training, with balanced accuracy, macro-F1 and expected "
        "calibration error over 15 bins of confidence (Guo et al., 2017) beside it. "
        "Software: ssal 0.1.0, torch 2.11.0; recipe small with every option, fingerprint "
    )


def test_ten_seeds_name_the_tests_that_the_verdict_used(tmp_path: Path) -> None:
    arms = {"random": (0.4, 0.8), "margin": (0.4, 0.85), "entropy": (0.4, 0.83)}
    text = TWO_ARMS + "  entropy: {acquisition: {strategy: entropy}}\n"
    found = text_of(recipe_of(tmp_path, text), rows_of(10, **arms))
    assert (
        "p values are those of two-sided exact sign-flip tests (Fisher, 1935), corrected over 2 comparisons with "
        "“random” (Holm, 1979). A difference was called significant where it has 10 seeds or more, its t interval "
        "leaves out zero, its corrected p value is at most 0.05 and it does not round to 0.0 points. Effect sizes are "
        "Cohen's d of paired differences and Hedges' g (Cohen, 1988; Hedges, 1981). "
    ) in found.paragraphs[1]
    assert (
        "two-sided paired t test at 0.05 finds one better (Ash et al., 2020; Lüth et al., 2023)" in found.paragraphs[1]
    )
    assert "exploratory" not in found.paragraphs[1]
    assert [line[:12] for line in found.references[:3]] == ["Alpaydin, E.", "Ash, J. T., ", "Beck, N., Si"]


def test_one_seed_has_no_interval_and_one_comparison_no_correction(tmp_path: Path) -> None:
    one = text_of(recipe_of(tmp_path), rows_of(1))
    assert "Every arm was run with 1 seed." in one.paragraphs[1] and "With 1 seed the comparison" in one.paragraphs[1]
    assert "ntervals" not in one.paragraphs[1] and not any("Student" in line for line in one.references)
    five = text_of(recipe_of(tmp_path), rows_of(5))
    assert "p values are those of two-sided exact sign-flip tests (Fisher, 1935). " in five.paragraphs[1]
    assert "significant" not in five.paragraphs[1] and not any("Holm" in line for line in five.references)


def test_the_rule_for_significant_leaves_out_what_rounds_to_nothing(tmp_path: Path) -> None:
    rows = [{**row, "accuracy": 0.5 + 0.0001 * row["seed"]} for row in rows_of(10)]
    for row in rows:
        row["accuracy"] += (0.0003 + 0.00001 * row["seed"]) * (row["arm"] == "margin")
    recipe = recipe_of(tmp_path)
    said = verdict(rows, "random", "margin")
    low, p = said["aubc"]["difference"]["low"], said["sign_flip"]["holm_p"]
    assert low > 0 and p <= significance.ALPHA and said["seeds"] == 10 and not said["significant"]
    assert "p value is at most 0.05 and it does not round to 0.0 points. " in text_of(recipe, rows).paragraphs[1]


def test_what_is_never_called_significant_has_no_rule_for_it(tmp_path: Path) -> None:
    rows = [{**row, "oracle": "oracle_greedy" * (row["arm"] == "margin")} for row in rows_of(10)]
    told = text_of(recipe_of(tmp_path), rows).paragraphs[1]
    assert "sign-flip tests (Fisher, 1935). Effect sizes" in told and "significant" not in told


def test_drawn_sign_patterns_cite_how_they_are_counted(tmp_path: Path) -> None:
    told = text_of(recipe_of(tmp_path), rows_of(40)).paragraphs[1]
    assert "sign-flip tests with 99,999 drawn patterns (Fisher, 1935; Phipson & Smyth, 2010)." in told


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("source: folder, path: DIR/pets, size: 24", "images of the folder “pets” at 24 × 24 pixels."),
        ("source: folder, path: DIR/pets.tar, size: 24", "images of the tar “pets.tar” at 24 × 24 pixels."),
        ("source: csv, path: DIR/labels.csv", "images of the csv “labels.csv”."),
        ("source: folder, path: ., size: 24", "images of the folder “here” at 24 × 24 pixels."),
    ],
)
def test_data_of_ones_own_go_by_the_end_of_their_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, told: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = TWO_ARMS.replace("source: digits, size: 8", data.replace("DIR", str(tmp_path)))
    first = text_of(recipe_of(tmp_path, text), rows_of(3)).paragraphs[0]
    assert first.startswith(f"The data were {told} The network") and str(tmp_path) not in first


def test_data_whose_paths_end_alike_are_told_apart(tmp_path: Path) -> None:
    text = TWO_ARMS.replace("source: digits, size: 8", f"source: csv, path: {tmp_path}/cats/labels.csv")
    text = text.replace("margin: {", f"margin: {{data: {{path: {tmp_path}/dogs/labels.csv}}, ")
    first = text_of(recipe_of(tmp_path, text), rows_of(3)).paragraphs[0]
    assert first.startswith(
        "The data were images of the csv “cats/labels.csv” in “random”; images of the csv “dogs/labels.csv” in "
        "“margin”."
    )


def test_embeddings_go_by_their_file_and_have_no_network(tmp_path: Path) -> None:
    text = TWO_ARMS.replace("source: digits, size: 8", f"source: embeddings, path: {tmp_path}/clip.npy")
    text = text.replace("method: supervised, steps: 5", "method: linear_probe")
    first = text_of(recipe_of(tmp_path, text), rows_of(3)).paragraphs[0]
    assert first.startswith(
        "The data were embeddings “clip.npy” of images, computed beforehand. Classifiers were trained with linear_probe"
    )


def test_where_labels_are_given_no_first_round_is_told_apart(tmp_path: Path) -> None:
    text = TWO_ARMS.replace("size: 8}", "size: 8, labels: given}").replace(
        "compare:", "labelling: {answered_by: inbox}\ncompare:"
    )
    assert (
        "Every run bought 5 labels a round, 20 in all, beside those that the data came with. "
        "The images to label were chosen with random in “random”; margin (Scheffer et al., 2001) in “margin”. "
        "Answers were given by people. "
    ) in text_of(recipe_of(tmp_path, text), rows_of(3)).paragraphs[0]
    text += "  tod: {acquisition: {strategy: tod}, learner: {warm_start: true}}\n"
    arms = dict.fromkeys(("random", "margin", "tod"), (0.4, 0.8))
    assert (
        "The images of the first round were chosen with random in “tod”. "
        "All others were chosen with tod (Huang et al., 2021) from the second learner on in “tod”. "
        "The images to label were chosen with random in “random”; margin (Scheffer et al., 2001) in “margin”. "
    ) in text_of(recipe_of(tmp_path, text), rows_of(3, **arms)).paragraphs[0]


def test_pretexts_shared_encoders_and_heads(tmp_path: Path) -> None:
    text = TWO_ARMS.replace("method: none", "method: simclr, encoders: 2").replace(
        "method: supervised, steps: 5", "method: fixmatch"
    )
    text += "  ranked: {acquisition: {strategy: loss_prediction}, learner: {warm_start: true}}\n"
    first, second, _ = text_of(recipe_of(tmp_path, text), rows_of(6)).paragraphs
    assert (
        "Training began from an encoder that simclr (Chen et al., 2020) had trained on the pool without labels, from "
        "random weights. Classifiers were trained with fixmatch (Sohn et al., 2020). "
    ) in first
    assert "which share the encoder and the first 10 labels. The 6 seeds share 2 encoders: each one's seeds" in second
    assert "With 2 encoders the comparison is exploratory" in second
    arms = {"random": (0.4, 0.8), "margin": (0.4, 0.82), "ranked": (0.4, 0.81)}
    first = text_of(recipe_of(tmp_path, text), rows_of(6, **arms)).paragraphs[0]
    assert (
        "Classifiers were trained with fixmatch (Sohn et al., 2020) in “random” and “margin”; fixmatch (Sohn et al., "
        "2020) and a head for loss_prediction (Yoo & Kweon, 2019), each from the weights of the round before in "
        "“ranked”."
    ) in first
    assert "; loss_prediction (Yoo & Kweon, 2019) in “ranked”. Answers" in first


def test_options_that_differ_between_arms_with_one_learner_are_named(tmp_path: Path) -> None:
    text = TWO_ARMS + (
        "  averaged: {learner: {augmentation: strong, swa_from: 0.75, warm_start: true, class_balanced: true}}\n"
        "  linear: {learner: {method: linear_probe, penalty: 3.0}}\n"
    )
    arms = dict.fromkeys(("random", "margin", "averaged", "linear"), (0.4, 0.8))
    assert (
        "Classifiers were trained with supervised with augmentation weak, no swa_from and class_balanced false in "
        "“random” and “margin”; supervised with augmentation strong, swa_from 0.75 and class_balanced true, each from "
        "the weights of the round before in “averaged”; linear_probe (Chen et al., 2020) in “linear”. Every run"
    ) in text_of(recipe_of(tmp_path, text), rows_of(3, **arms)).paragraphs[0]
    # An arm that has no results has nothing to differ from.
    few = {arm: arms[arm] for arm in ("random", "margin", "linear")}
    told = text_of(recipe_of(tmp_path, text), rows_of(3, **few)).paragraphs[0]
    assert "trained with supervised in “random” and “margin”; linear_probe (Chen et al., 2020) in “linear”. " in told


def test_options_of_pretexts_and_strategies_that_differ_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import Tensor\nfrom ssal.registry import scores\n\n\n@scores\n"
        "def unsure(probabilities: Tensor) -> Tensor:\n    return -probabilities.max(1).values\n"
    )
    text = TWO_ARMS.replace("method: none", "method: simclr") + (
        "  short: {pretext: {epochs: 5}, acquisition: {first_round: kmeans, first_options: {iterations: 3}}}\n"
        "  long: {acquisition: {first_round: kmeans, first_options: {iterations: 9}}}\n"
        "  power: {acquisition: {strategy: stochastic, options: {scored_by: margin, form: power}}}\n"
        "  softmax: {acquisition: {strategy: stochastic, options: {scored_by: entropy, form: softmax}}}\n"
        "  one: {acquisition: {strategy: blend, options: {weights: {margin: 1.0, 'mine.py:unsure': 2.0}}}}\n"
        "  two: {acquisition: {strategy: blend, options: {weights: {margin: 3.0, 'mine.py:unsure': 2.0}}}}\n"
    )
    recipe = recipe_of(tmp_path, text)
    first = text_of(recipe, rows_of(3, **dict.fromkeys(recipe.arms, (0.4, 0.8)))).paragraphs[0]
    assert "simclr (Chen et al., 2020) with epochs 5 had trained on the pool without labels" in first
    assert "kmeans (Zhdanov, 2019) with iterations 3 in “short”; kmeans (Zhdanov, 2019) with iterations 9 in" in first
    assert "over margin (Scheffer et al., 2001) with form power in “power”; stochastic" in first
    assert "over entropy (Settles, 2009) with form softmax in “softmax”; blend" in first
    assert "over margin (Scheffer et al., 2001) and unsure with weights {margin: 1.0, mine.py:unsure: 2.0} in" in first
    assert str(tmp_path) not in first


def test_settings_of_signals_and_heads_that_differ_are_named(tmp_path: Path) -> None:
    text = TWO_ARMS + (
        "  ten: {acquisition: {strategy: consistency}, signals: {views: {views: 10}}}\n"
        "  fifty: {acquisition: {strategy: consistency}, signals: {views: {views: 50}}}\n"
        "  always: {acquisition: {strategy: loss_prediction}, signals: {loss_prediction: {detach: always}}}\n"
        "  late: {acquisition: {strategy: loss_prediction}, signals: {loss_prediction: {detach: late}}}\n"
    )
    recipe = recipe_of(tmp_path, text)
    first = text_of(recipe, rows_of(3, **dict.fromkeys(recipe.arms, (0.4, 0.8)))).paragraphs[0]
    assert (
        "supervised and a head for loss_prediction (Yoo & Kweon, 2019) with detach always in “always”; supervised and "
        "a head for loss_prediction (Yoo & Kweon, 2019) with detach late in “late”. "
    ) in first
    assert (
        "consistency (Gao et al., 2020) on views (Gao et al., 2020) with views 10 in “ten”; consistency (Gao et al., "
        "2020) on views (Gao et al., 2020) with views 50 in “fifty”; loss_prediction (Yoo & Kweon, 2019) in “always” "
        "and “late”. "
    ) in first


def test_what_holds_for_the_encoders_at_hand_names_its_own_tests(tmp_path: Path) -> None:
    text = TWO_ARMS.replace("method: none", "method: simclr, encoders: 2")
    told = text_of(recipe_of(tmp_path, text), rows_of(12)).paragraphs[1]
    assert (
        "With 2 encoders the comparison is exploratory: differences are described, and nothing is claimed. Intervals"
    ) in told
    assert (
        "For these encoders alone, where only the draws are chance, every seed has its own difference: p values are "
        "those of two-sided exact sign-flip tests (Fisher, 1935), corrected over 1 comparison with “random” (Holm, "
        "1979). It was called significant where it has 10 seeds or more, its t interval leaves out zero, its corrected "
        "p value is at most 0.05 and it does not round to 0.0 points. "
    ) in told


def test_arms_that_do_not_share_the_start_are_not_said_to(tmp_path: Path) -> None:
    told = text_of(
        recipe_of(
            tmp_path,
            TWO_ARMS.replace("{strategy: margin}", "{strategy: margin, first_round: kmeans}").replace(
                "method: none", "method: simclr"
            ),
        ),
        rows_of(3),
    )
    assert "pairs of runs with the same seed, which share the encoder. " in told.paragraphs[1]
    assert "first round were chosen with random in “random”; kmeans (Zhdanov, 2019) in “margin”." in told.paragraphs[0]


def test_wrappers_signals_own_files_and_own_rules(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import Tensor\nfrom ssal.registry import scores\n\n\n@scores\n"
        "def unsure(probabilities: Tensor) -> Tensor:\n"
        '    """Ask where no class is likely (Somebody et al., 2031)."""\n'
        "    return -probabilities.max(1).values\n"
    )
    text = TWO_ARMS + (
        "  own: {acquisition: {strategy: 'mine.py:unsure'}}\n"
        "  dropped: {acquisition: {strategy: bald}, learner: {dropout: 0.5}}\n"
        "  blended: {acquisition: {strategy: blend, options: {weights: {margin: 1.0, featdist: 1.0}}}}\n"
    )
    arms = dict.fromkeys(("random", "margin", "own", "dropped", "blended"), (0.4, 0.8))
    found = text_of(recipe_of(tmp_path, text), rows_of(3, **arms))
    told = found.paragraphs[0]
    assert "unsure (Somebody et al., 2031) of our own file mine.py in “own”" in told
    assert "bald (Houlsby et al., 2011) on mc_dropout (Gal & Ghahramani, 2016) in “dropped”" in told
    assert (
        "blend (Dwork et al., 2001) over margin (Scheffer et al., 2001) and featdist (ssal's own) in “blended”" in told
    )
    assert "Somebody et al., 2031." in found.references


def test_pools_that_were_changed_and_answers_that_are_wrong(tmp_path: Path) -> None:
    text = TWO_ARMS.replace("size: 8}", "size: 8, imbalance: 10, out_of_class: ['3', '4'], redundancy: 2}", 1)
    text = text.replace("compare:", "labelling: {noise: 0.1}\nevaluation: {references: [svm]}\ncompare:")
    rows = [{**row, "svm_accuracy": 0.5, "network_resnet18_accuracy": 0.5} for row in rows_of(3)]
    first, _, third = text_of(recipe_of(tmp_path, text), rows).paragraphs
    assert first.startswith(
        "The data were digits (Alpaydin & Kaynak, 1998) at 8 × 8 pixels, with 10 pool images of the most frequent "
        "class per one of the rarest, with images of 3 and 4 in the pool as images of no class, with 2 near-duplicates "
        "beside each pool image. "
    )
    assert "until they were asked for, 10 % of them replaced by a wrong one on average. " in first
    assert "For reference, svm (Cortes & Vapnik, 1995) learned from the same labels on raw inputs. " in third
    assert "resnet18 learned from the same labels as each arm's own network does, to see whether" in third
    assert "serve another (Munjal et al., 2020)." in third


def test_what_was_not_measured_is_not_told(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path)
    assert methods_text(recipe, [], [], {}) is None
    first, second, third = text_of(recipe, untested(rows_of(3))).paragraphs
    assert second == "Every arm was run with 3 seeds."
    assert third.startswith("There were no test images: nothing was measured. Software: ")
    audited = recipe_of(tmp_path, TWO_ARMS.replace("compare:", "labelling: {audit: 0.1}\ncompare:"))
    first, _, third = (found := text_of(audited, untested(rows_of(3)))).paragraphs
    assert "To measure accuracy, and never to train on, there were drawn at random 10 % of the images of" in first
    assert third.startswith("There were no test images; accuracy is that on the images drawn at random, with score int")
    assert "(Wilson, 1927). " in third and any(line.startswith("Wilson, E. B. (1927)") for line in found.references)
    rows = [{**row, "oracle": "oracle_greedy" if row["arm"] == "margin" else ""} for row in rows_of(3)]
    told = text_of(recipe, rows).paragraphs[1]
    assert told.endswith("“margin” used labels that a real project does not have, and stood outside of all tests.")


def test_conditions_are_told_once_and_compared_apart(tmp_path: Path) -> None:
    text = TWO_ARMS + "grid:\n  acquisition: {query_size: [5, 10]}\n"
    recipe = recipe_of(tmp_path, text)
    rows = rows_of(3, **{arm: (0.4, 0.8 + 0.01 * place) for place, arm in enumerate(recipe.arms)})
    first, second, _ = text_of(recipe, rows).paragraphs
    assert len(recipe.conditions) == 2 and "5 a round from then on, 20 in all in “" in first
    assert f"The conditions {' and '.join(recipe.conditions)} were compared each on its own." in second
    assert second.count("The outcome is the paired difference") == second.count("“margin” was compared with") == 1


def test_what_holds_under_some_conditions_says_under_which(tmp_path: Path) -> None:
    text = TWO_ARMS + "zip:\n  acquisition: {query_size: [5, 2, 10], budget: [20, 20, 30]}\n"
    recipe = recipe_of(tmp_path, text)
    counts = {arm: tuple(recipe.arms[arm].rounds()) for arm in recipe.arms}
    rows = [row for arm in counts for row in synthetic_results(10, counts[arm], arms={arm: (0.4, 0.8)})]
    second = text_of(recipe, rows).paragraphs[1]
    assert (
        "The conditions query_size_5, query_size_2 and query_size_10 were compared each on its own. “margin” was "
        "compared with “random” in pairs of runs with the same seed, which share the first 10 labels. Under "
        "query_size_5 and query_size_2: The outcome is the paired difference of the area under the curve of test "
        "accuracy over 10 to 20 labels, by"
    ) in second
    assert (
        "over the logarithm of the label counts. Under query_size_10: The outcome is the paired difference of the area "
        "under the curve of test accuracy over 10 to 30 labels, by"
    ) in second
    assert second.count("Under") == 2 and second.count("Intervals are") == second.count("p values are those of") == 1
    alone = [row for row in rows if row["arm"].endswith("query_size_10")]
    second = text_of(recipe, alone).paragraphs[1]
    assert "10 seeds. Of 3 conditions only query_size_10 was compared. “margin” was" in second
    assert "Under" not in second and "counts. Intervals are" in second


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.kind}:{method.name}")
def test_the_source_of_every_method_is_listed_in_full(method: Method) -> None:
    for source in apart(method.source):
        reference = bibliography()[source]
        year = source.rpartition(", ")[2]
        assert f"({year})" in reference and reference.endswith(".")
        assert reference.startswith(source.partition(",")[0].partition(" ")[0])


def test_no_reference_is_listed_in_vain_and_all_are_in_order() -> None:
    named = {part for method in METHODS for part in apart(method.source)}
    named |= {part for call in FUNCTIONS for source in citations(call.__doc__) for part in apart(source)}
    assert named == set(bibliography())
    assert list(bibliography()) == sorted(bibliography(), key=str.casefold)


def test_brackets_with_several_sources_and_with_words() -> None:
    citing = Citing()
    assert citing.cite(["Ash and Lee, 2020; percentile interval; Efron, 1979", "Ash & Lee, 2020"]) == (
        " (Ash & Lee, 2020; Efron, 1979)"
    )
    assert citing.cite([]) == "" and citing.references()[0] == "Ash & Lee, 2020."
    assert citations("One (A, 1999) and\n    another (B et al.,\n    2001a), not (this) nor (1 of 2).") == [
        "A, 1999",
        "B et al., 2001a",
    ]


def test_the_text_is_on_the_page(tmp_path: Path) -> None:
    found = text_of(recipe_of(tmp_path), rows_of(3))
    page = synthetic_report(tmp_path, methods_text=found).read_text(encoding="utf-8")
    assert page.index("For your methods section") < page.index("Run it again")
    assert "With 3 seeds the comparison is exploratory" in page
    assert "For your methods section" not in synthetic_report(tmp_path).read_text(encoding="utf-8")
