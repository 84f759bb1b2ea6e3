"""Recipes: what is wrong is told at once, exactly and with its place; what is right means the same everywhere."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ssal import registry
from ssal.cells import cells_named, cells_of
from ssal.errors import BadInput
from ssal.listing import KINDS, describe, print_listing
from ssal.loop import fastest_precision
from ssal.names import RECIPE_KEYS
from ssal.recipe import differences, grid, load, schema
from ssal.recipe.layers import ARM_KEYS
from ssal.recipe.skeleton import SECTIONS, Head

RECIPES = sorted((Path(__file__).resolve().parents[1] / "recipes").rglob("*.yaml"))

BASE = """\
name: tried
seeds: [0, 1]
data: {source: digits, size: 8, flip: false}
backbone: {name: wrn_10_2}
pretext:
  method: simclr
  epochs: 3
learner:
  method: fixmatch
  steps: 60
  threshold: 0.9
acquisition:
  strategy: margin
  first_round: random
  query_size: 10
  budget: 40
evaluation: {references: [svm]}
compare: {baseline: ssl_only, treatment: ssl_and_al}
arms:
  supervised:
    pretext: {method: none}
    learner: {method: supervised}
    acquisition: {strategy: random}
  ssl_only: {acquisition: {strategy: random}}
  ssl_and_al: {}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("r.yaml")
    path.write_text(BASE)
    return path


def problems(file: Path, text: str, *overrides: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        load(file, overrides)
    return str(caught.value).splitlines()


def changed(old: str, new: str) -> str:
    assert BASE.count(old) == 1, old
    return BASE.replace(old, new)


def method_names(kind: str) -> str:
    return ", ".join(registry.methods(kind))


# ------------------------------------------------------------------------------------------------ what a recipe means


def test_arms_lie_over_the_recipe(file: Path) -> None:
    recipe = load(file)
    assert (recipe.name, recipe.seeds, recipe.path) == ("tried", (0, 1), file)
    assert (recipe.baseline, recipe.treatment) == ("ssl_only", "ssl_and_al")
    supervised, ssl_only, ssl_and_al = recipe.arms.values()
    assert (supervised.pretext_method, supervised.pretext, supervised.encoders) == ("none", {}, None)
    assert supervised.learner_method == "supervised"
    assert supervised.learner == registry.find("learner", "supervised").options, "another method, so its own defaults"
    assert ssl_only.learner == registry.find("learner", "fixmatch").options | {"steps": 60, "threshold": 0.9}
    assert ssl_and_al.learner == ssl_only.learner
    assert ssl_only.pretext["epochs"] == 3
    assert (ssl_only.strategy, ssl_and_al.strategy) == ("random", "margin")
    assert ssl_and_al.needs() == ("probabilities",)
    assert ssl_and_al.needs(first=True) == ()
    assert ssl_and_al.signals == {"outputs": {}}
    assert (ssl_only.query_size, ssl_only.first_size, ssl_only.budget) == (10, 10, 40)
    assert ssl_only.references == ("svm",)
    assert ssl_only.answered_by == "oracle"
    assert ssl_only.data["source"] == "digits"
    assert ssl_only.data["options"] == {}
    assert ssl_only.trainer == {
        "accelerator": "auto",
        "devices": 1,
        "precision": fastest_precision("auto"),
        "compile": False,
        "checkpoint_seconds": 30.0,
        "trackers": (),
    }
    assert ssl_only.backbone == {"name": "wrn_10_2", "weights": None}


def test_a_recipe_without_arms_has_one_called_main(file: Path) -> None:
    file.write_text(BASE[: BASE.index("compare:")])
    recipe = load(file)
    assert list(recipe.arms) == ["main"]
    assert recipe.baseline is None
    assert load(file, ["arms=null"]).resolved() == recipe.resolved()


@pytest.mark.parametrize(
    ("first_size", "query_size", "budget", "counts"),
    [("null", 10, 40, [10, 20, 30, 40]), (5, 10, 40, [5, 15, 25, 35, 40]), (40, 1, 40, [40]), (20, 30, 30, [20, 30])],
)
def test_rounds_are_cumulative_and_end_at_the_budget(
    file: Path, first_size: int | str, query_size: int, budget: int, counts: list[int]
) -> None:
    sizes = {"first_size": first_size, "query_size": query_size, "budget": budget}
    recipe = load(file, [f"acquisition.{key}={value}" for key, value in sizes.items()])
    assert recipe.arms["ssl_only"].rounds() == counts


def test_overrides_lie_over_the_file_and_under_the_arms(file: Path) -> None:
    recipe = load(
        file,
        [
            "learner.threshold=0.5",
            "seeds=[7]",
            "data.test_fraction=0.5",
            "arms.ssl_only.acquisition.strategy=entropy",
            "trainer.devices=[1]",
            "evaluation={references: [logistic_regression]}",
        ],
    )
    assert recipe.seeds == (7,)
    assert recipe.arms["ssl_only"].strategy == "entropy"
    assert recipe.arms["ssl_only"].learner["threshold"] == 0.5
    assert recipe.arms["ssl_only"].data["test_fraction"] == 0.5
    assert recipe.arms["ssl_only"].trainer["devices"] == (1,)
    assert recipe.arms["ssl_only"].references == ("logistic_regression",)
    assert "threshold" not in recipe.arms["supervised"].learner


def test_another_method_restarts_its_options_and_nothing_else(file: Path) -> None:
    recipe = load(file, ["learner.method=linear_probe", "pretext.method=byol", "pretext.encoders=2"])
    arm = recipe.arms["ssl_and_al"]
    assert arm.learner == registry.find("learner", "linear_probe").options
    assert arm.pretext == registry.find("pretext", "byol").options
    assert (arm.encoders, recipe.arms["supervised"].encoders) == (2, 2), "encoders is no option of the method"
    arm = load(file, ["learner.method=supervised", "learner.steps=5"]).arms["ssl_and_al"]
    assert arm.learner["steps"] == 5
    assert load(file, ["learner.method=fixmatch"]).arms["ssl_and_al"].learner["threshold"] == 0.9

    file.write_text(
        changed("strategy: margin", "strategy: kmeans\n  options: {iterations: 3}").replace(
            "ssl_only: {acquisition: {strategy: random}}",
            "ssl_only: {acquisition: {strategy: typiclust, query_size: 7}}",
        )
    )
    arms = load(file).arms
    assert arms["ssl_and_al"].options["iterations"] == 3
    assert arms["ssl_only"].options == registry.find("strategy", "typiclust").options
    assert (arms["ssl_only"].query_size, arms["ssl_only"].budget) == (7, 40), "only the options start again"


def test_types_are_strict_but_yaml_can_write_every_option(file: Path) -> None:
    arm = load(file, ["learner.threshold=1", "pretext.method=byol", "pretext.blur=[1, 0.1]", "learner.steps=0x10"])
    byol = arm.arms["ssl_and_al"]
    assert byol.learner["threshold"] == 1.0
    assert isinstance(byol.learner["threshold"], float)
    assert byol.pretext["blur"] == (1.0, 0.1), "lists are taken where a method has tuples"
    assert byol.learner["steps"] == 16
    assert load(file, ["learner.learning_rate=1e-3"]).arms["ssl_only"].learner["learning_rate"] == 1e-3


def test_a_wrapper_needs_what_its_children_need(file: Path) -> None:
    wrap = ["arms.ssl_and_al.acquisition.strategy=blend", "arms.ssl_and_al.acquisition.options.weights="]
    arm = load(file, [wrap[0], wrap[1] + "{margin: 1, featdist: 0.5}"]).arms["ssl_and_al"]
    assert set(arm.needs()) == {"probabilities", "features", "labelled_features"}
    assert arm.options == {"weights": {"margin": 1.0, "featdist": 0.5}}


def test_a_wrapper_of_one_needs_what_it_needs_itself_too(file: Path) -> None:
    wrap = "arms.ssl_and_al.acquisition.strategy="
    arm = load(file, [wrap + "diverse", "arms.ssl_and_al.acquisition.options.scored_by=entropy"]).arms["ssl_and_al"]
    assert set(arm.needs()) == {"probabilities", "features", "labelled_features"}
    assert arm.options == {"scored_by": "entropy", "prefilter": 10, "spread": "k_means"}
    assert arm.strategies() == ["diverse", "entropy", "random"]
    assert set(load(file, [wrap + "class_balanced"]).arms["ssl_and_al"].needs()) == {"probabilities", "labels"}
    assert load(file, [wrap + "stochastic"]).arms["ssl_and_al"].needs() == ("probabilities",)


RULE = '''"""A rule."""
from ssal.registry import scores

@scores
def my_rule(probabilities, *, power: float = 1.0):
    """Ask for the top (Me, 2026)."""
    return -probabilities.max(1).values ** power
'''


def test_a_strategy_may_stand_in_a_file_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "r.yaml"
    file.write_text(changed("strategy: margin", "strategy: my_rules.py:my_rule\n  options: {power: 2}"))
    monkeypatch.chdir(tmp_path / "here")
    Path("my_rules.py").write_text(RULE)
    arm = load(file).arms["ssl_and_al"]
    assert arm.strategy == f"{tmp_path}/here/my_rules.py:my_rule", "in the current directory"
    file.with_name("my_rules.py").write_text(RULE)
    arm = load(file).arms["ssl_and_al"]
    assert arm.strategy == f"{tmp_path}/elsewhere/my_rules.py:my_rule", "beside the recipe comes first"
    assert arm.options == {"power": 2.0}
    assert arm.resolved()["acquisition"]["strategy"] == "my_rules.py:my_rule", "the record can move with its folder"
    assert registry.find("strategy", arm.strategy).needs == arm.needs() == ("probabilities",)
    blend = "arms.ssl_and_al.acquisition={strategy: blend, options: {weights: {my_rules.py:my_rule: 1, margin: 1}}}"
    arm = load(file, [blend]).arms["ssl_and_al"]
    assert list(arm.options["weights"]) == [f"{tmp_path}/elsewhere/my_rules.py:my_rule", "margin"]
    assert arm.needs() == ("probabilities",)
    drawn = "arms.ssl_and_al.acquisition={strategy: stochastic, options: {scored_by: my_rules.py:my_rule}}"
    arm = load(file, [drawn]).arms["ssl_and_al"]
    assert arm.options["scored_by"] == f"{tmp_path}/elsewhere/my_rules.py:my_rule"
    assert arm.resolved()["acquisition"]["options"]["scored_by"] == "my_rules.py:my_rule"
    assert arm.needs() == ("probabilities",)
    assert f"acquisition ({tmp_path}/elsewhere/my_rules.py:my_rule)" in arm.files()


def test_a_resolved_arm_is_a_recipe_again(file: Path) -> None:
    recipe = load(file)
    assert json.loads(json.dumps(recipe.resolved())) == recipe.resolved()
    for name, arm in recipe.resolved()["arms"].items():
        YAML(typ="safe", pure=True).dump({"name": "again", **arm}, file)
        assert load(file).arms["main"].resolved() == arm == recipe.arms[name].resolved()


def test_arms_travel_to_worker_processes(file: Path) -> None:
    recipe = load(file)
    assert pickle.loads(pickle.dumps(recipe)) == recipe


# --------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "threshold: 0.9",
            "treshold: 0.9",
            "r.yaml:11:3: learner.treshold: no such key for learner 'fixmatch'; did you mean 'threshold'?",
        ),
        (
            "    learner: {method: supervised}",
            "    learner: {method: supervised, mu: 3}",
            "r.yaml:22:35: arms.supervised.learner.mu: no such key for learner 'supervised' "
            "(keys: method, steps, augmentation, optimiser, learning_rate, adam_learning_rate, batch_size, "
            "weight_decay, average_decay, swa_from, dropout, label_smoothing, class_balanced, warm_start)",
        ),
        ("seeds:", "seed:", "r.yaml:2:1: seed: no such key in a recipe; did you mean 'seeds'?"),
        (
            "  ssl_and_al: {}",
            "  ssl_and_al: {lerner: {}}",
            "r.yaml:25:16: arms.ssl_and_al.lerner: no such key in an arm; did you mean 'learner'?",
        ),
        (
            "  ssl_and_al: {}",
            "  ssl_and_al: {name: mine}",
            "r.yaml:25:16: arms.ssl_and_al.name: belongs to the whole recipe, not to one arm",
        ),
        (
            "  ssl_and_al: {}",
            "  ssl_and_al: {first_seeds: 0}",
            "r.yaml:25:29: arms.ssl_and_al.first_seeds: expected at least 1, got 0",
        ),
        (
            "  ssl_and_al: {}",
            "  ssl_and_al: {seeds: [1]}",
            "r.yaml:25:16: arms.ssl_and_al.seeds: belongs to the whole recipe, not to one arm",
        ),
        (
            "flip: false",
            "flop: false",
            "r.yaml:3:33: data.flop: no such key for dataset 'digits'; did you mean 'flip'?",
        ),
        (
            "{name: wrn_10_2}",
            "{name: wrn_10_2, weight: null}",
            "r.yaml:4:28: backbone.weight: no such key for backbone; did you mean 'weights'?",
        ),
        (
            "strategy: margin",
            "strategy: margin\n  options: {temperature: 2}",
            "r.yaml:14:13: acquisition.options.temperature: no such key for strategy 'margin' (it has none)",
        ),
        (
            "evaluation:",
            "signals: {outputs: {views: 3}}\nevaluation:",
            "r.yaml:17:21: signals.outputs.views: no such key for signal 'outputs' (it has none)",
        ),
    ],
)
def test_misspelt_key(file: Path, old: str, new: str, expected: str) -> None:
    assert problems(file, changed(old, new)) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("steps: 60", "steps: sixty", "r.yaml:10:10: learner.steps: expected an integer, got 'sixty'"),
        ("steps: 60", "steps: true", "r.yaml:10:10: learner.steps: expected an integer, got true"),
        ("steps: 60", "steps: '60'", "r.yaml:10:10: learner.steps: expected an integer, got '60'"),
        ("steps: 60", "steps: 60.5", "r.yaml:10:10: learner.steps: expected an integer, got 60.5"),
        ("steps: 60", "steps:", "r.yaml:10:3: learner.steps: expected an integer, got null"),
        ("steps: 60", "steps: 0", "r.yaml:10:10: learner.steps: expected more than 0, got 0"),
        ("steps: 60", "steps: [60]", "r.yaml:10:10: learner.steps: expected an integer, got a list"),
        ("threshold: 0.9", "threshold: high", "r.yaml:11:14: learner.threshold: expected a number, got 'high'"),
        ("threshold: 0.9", "threshold: .nan", "r.yaml:11:14: learner.threshold: expected a finite number, got .nan"),
        (
            "threshold: 0.9",
            "unlabelled_weight: .inf",
            "r.yaml:11:22: learner.unlabelled_weight: expected a finite number, got .inf",
        ),
        (
            "threshold: 0.9",
            "learning_rate: 1.0e+400",
            "r.yaml:11:18: learner.learning_rate: expected a finite number, got 1.0e+400",
        ),
        ("flip: false", "flip: off", "r.yaml:3:39: data.flip: expected true or false, got 'off'"),
        ("size: 8", "size: small", "r.yaml:3:30: data.size: expected an integer, got 'small'"),
        (
            "flip: false",
            "labels: hiden",
            "r.yaml:3:41: data.labels: expected 'hidden' or 'given', got 'hiden'; did you mean 'hidden'?",
        ),
        ("[0, 1]", "3", "r.yaml:2:8: seeds: expected a list, got 3"),
        ("[0, 1]", "[0, one]", "r.yaml:2:12: seeds[1]: expected an integer, got 'one'"),
        ("[0, 1]", "[0, -1]", "r.yaml:2:12: seeds[1]: expected at least 0, got -1"),
        ("[0, 1]", "[]", "r.yaml:2:8: seeds: expected at least 1 in the list, got []"),
        ("[0, 1]", "[3, 3]", "r.yaml:2:8: seeds: expected different seeds, got [3, 3]"),
        (
            "tried",
            "a/b",
            "r.yaml:1:7: name: expected letters, digits, '.', '_' and '-' that can name a folder, got 'a/b'",
        ),
        ("tried", "encoders", "r.yaml:1:7: name: 'encoders' is a folder that all recipes share; choose another name"),
        ("{name: wrn_10_2}", "wrn_10_2", "r.yaml:4:11: backbone: expected keys and values, got 'wrn_10_2'"),
        ("  budget: 40\n", "", "r.yaml:12:1: acquisition.budget: this key is missing (Labels to buy in all)"),
        (
            "evaluation:",
            "trainer: {devices: two}\nevaluation:",
            "r.yaml:17:20: trainer.devices: expected 1 or a list, got 'two'",
        ),
        (
            "evaluation:",
            "signals: [outputs]\nevaluation:",
            "r.yaml:17:10: signals: expected signal sources and their options, got a list",
        ),
        (
            "  ssl_and_al: {}",
            "  ssl_and_al: 3",
            "r.yaml:25:15: arms.ssl_and_al: expected what differs from the recipe, as in {learner: {…}}",
        ),
    ],
)
def test_wrong_type(file: Path, old: str, new: str, expected: str) -> None:
    assert expected in problems(file, changed(old, new))


def test_duplicate_keys_are_all_told(file: Path) -> None:
    text = changed("  steps: 60", "  steps: 60\n  steps: 70").replace("name: tried", "name: tried\nname: twice")
    assert problems(file, text) == [
        "r.yaml:2:1: name: this key stands twice (first at r.yaml:1:1); remove one",
        "r.yaml:12:3: learner.steps: this key stands twice (first at r.yaml:11:3); remove one",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "name: [a\nseeds: 1\n",
            "r.yaml:2:6: no valid YAML: while parsing a flow sequence, expected ',' or ']', but got ':'",
        ),
        (
            "name: a\n\tseeds: 1\n",
            "r.yaml:2:1: no valid YAML: while scanning for the next token, "
            "found character '\\t' that cannot start any token",
        ),
        ("name: a\nseeds: \x07\n", "r.yaml:2:8: no valid YAML: the character '\\x07' is not allowed"),
        (
            "name: a\n---\nname: b\n",
            "r.yaml:2:1: no valid YAML: expected a single document in the stream, but found another document",
        ),
        ("", "r.yaml:1:1: expected keys and values (name: …, seeds: …), got null"),
        ("- name\n", "r.yaml:1:1: expected keys and values (name: …, seeds: …), got a list"),
        (
            "name: &x {deep: *x}\n",
            "r.yaml:1:7: name.deep: this alias stands inside what it stands for; write the value out",
        ),
        (
            "name: !python/object:os.system x\n",
            "r.yaml:1:7: name: the tag !python/object:os.system is not allowed in a recipe; write plain values",
        ),
        ("? [a]\n: 1\n", "r.yaml:1:3: expected a word as key, got a list or keys and values"),
        ("1: 1\n", "r.yaml:1:1: expected a word as key, got 1"),
    ],
)
def test_yaml_syntax(file: Path, text: str, expected: str) -> None:
    assert expected in problems(file, text)


def test_what_is_no_yaml_file(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"name: a\nseeds: \xff\n")
    with pytest.raises(BadInput, match=r"^r\.yaml:2:8: expected UTF-8 text, got byte 0xff$"):
        load(file)
    with pytest.raises(BadInput, match=r"^s\.yaml: cannot be read: No such file or directory \(beside it: r\.yaml\)$"):
        load(Path("s.yaml"))
    with pytest.raises(BadInput, match=r": cannot be read: Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "kind", "expected"),
    [
        (
            "method: fixmatch",
            "method: fixmach",
            "learner",
            "r.yaml:9:11: learner.method: no learner is called 'fixmach'; did you mean 'fixmatch'?",
        ),
        (
            "method: simclr",
            "method: simcrl",
            "pretext",
            "r.yaml:6:11: pretext.method: no pretext is called 'simcrl'; did you mean 'simclr'?",
        ),
        (
            "strategy: margin",
            "strategy: margins",
            "strategy",
            "r.yaml:13:13: acquisition.strategy: no strategy is called 'margins'; did you mean 'margin'?",
        ),
        (
            "first_round: random",
            "first_round: typiclus",
            "strategy",
            "r.yaml:14:16: acquisition.first_round: no strategy is called 'typiclus'; did you mean 'typiclust'?",
        ),
        (
            "source: digits",
            "source: digit",
            "dataset",
            "r.yaml:3:16: data.source: no dataset is called 'digit'; did you mean 'digits'?",
        ),
        (
            "evaluation:",
            "labelling: {answered_by: oracel}\nevaluation:",
            "answerer",
            "r.yaml:17:26: labelling.answered_by: no answerer is called 'oracel'; did you mean 'oracle'?",
        ),
        (
            "evaluation:",
            "signals: {output: {}}\nevaluation:",
            "signal",
            "r.yaml:17:11: signals.output: no signal is called 'output'; did you mean 'outputs'?",
        ),
    ],
)
def test_unknown_method(file: Path, old: str, new: str, kind: str, expected: str) -> None:
    also = "; or none, which trains no encoder" if kind == "pretext" else ""
    assert problems(file, changed(old, new)) == [f"{expected} (one of: {method_names(kind)}){also}"]


def test_unknown_names_of_other_kinds(file: Path) -> None:
    assert problems(file, changed("[svm]", "[svm, logistic]")) == [
        "r.yaml:17:32: evaluation.references[1]: no reference is called 'logistic' (one of: svm, logistic_regression)"
    ]
    assert problems(file, changed("[svm]", "[svm], networks: [wrn_10_1, wrn_10_1, resnet81]"))[:2] == [
        "r.yaml:17:54: evaluation.networks[1]: wrn_10_1 is named twice; type it once",
        "r.yaml:17:64: evaluation.networks[2]: no backbone is called 'resnet81'; did you mean 'resnet18'? "
        "(wrn_<depth>_<width> or a timm model)",
    ]
    assert problems(file, changed("treatment: ssl_and_al", "treatment: ssl_and")) == [
        "r.yaml:18:42: compare.treatment: no arm is called 'ssl_and'; did you mean 'ssl_and_al'? "
        "(arms: supervised, ssl_only, ssl_and_al)"
    ]
    assert problems(file, changed("treatment: ssl_and_al", "treatment: ssl_only")) == [
        "r.yaml:18:10: compare: expected two different arms, got 'ssl_only' twice"
    ]
    found = problems(file, BASE[: BASE.index("arms:")])
    assert found[0] == "r.yaml:18:21: compare.baseline: no arm is called 'ssl_only' (arms: main)"
    assert problems(file, BASE.split("compare")[0].replace("wrn_10_2", "resnet81")) == [
        "r.yaml:4:18: backbone.name: no backbone is called 'resnet81'; did you mean 'resnet18'? "
        "(wrn_<depth>_<width> or a timm model)"
    ]


CAN_BEGIN = "contrast_loss, coreset, featdist, kmeans, random, typiclust"


def test_strategy_that_needs_an_encoder(file: Path) -> None:
    without = "but nothing gives an encoder; set pretext.method or backbone.weights"
    old = "    acquisition: {strategy: random}\n"
    assert problems(file, changed(old, old.replace("random", "typiclust"))) == [
        "r.yaml:23:29: arms.supervised.acquisition.strategy: arm 'supervised': "
        f"'typiclust' needs ssl_features, labelled_ssl_features, {without}"
    ]
    assert problems(file, changed("first_round: random", "first_round: kmeans")) == [
        "r.yaml:14:16: acquisition.first_round: arm 'supervised': "
        f"'kmeans' needs features, {without}, or first_round: random"
    ]
    Path("weights.pt").touch()
    file.write_text(BASE)
    load(file, ["arms.supervised.acquisition.strategy=typiclust", "backbone.weights=weights.pt"])
    found = problems(file, BASE, "backbone.weights=nowhere.pt")
    assert found[0] == f"command line: backbone.weights: there is no file nowhere.pt (from {Path.cwd()})"


@pytest.mark.parametrize(("strategy", "need"), [("margin", "probabilities"), ("badge", "probabilities")])
def test_first_round_has_no_labels_and_no_learner(file: Path, strategy: str, need: str) -> None:
    text = changed("first_round: random", f"first_round: {strategy}").split("compare")[0]
    assert problems(file, text) == [
        f"r.yaml:14:16: acquisition.first_round: {strategy!r} needs {need}, "
        f"but before the first labels there is no learner; use one of: {CAN_BEGIN}"
    ]


@pytest.mark.parametrize("need", ["previous_probabilities", "labels", "labelled_probabilities"])
def test_first_round_has_no_previous_round(file: Path, need: str) -> None:
    Path("own.py").write_text(f"from ssal.registry import scores\n\n@scores\ndef own({need}):\n    return {need}\n")
    text = changed("first_round: random", "first_round: own.py:own").split("compare")[0]
    assert problems(file, text) == [
        f"r.yaml:14:16: acquisition.first_round: 'own.py:own' needs {need}, "
        f"but before the first labels there is no learner; use one of: {CAN_BEGIN}"
    ]
    file.write_text(changed("strategy: margin", "strategy: own.py:own"))
    assert load(file).arms["ssl_and_al"].needs() == (need,), "later rounds have it"


@pytest.mark.parametrize("first", ["coreset", "kmeans", "typiclust", "random", "featdist"])
def test_a_cold_start_needs_only_the_encoder(file: Path, first: str) -> None:
    arm = load(file, ["arms={}", f"arms.ssl_only.acquisition.first_round={first}"]).arms["ssl_only"]
    assert arm.first_round == first


def test_files_of_ones_own_that_cannot_be_used(file: Path) -> None:
    Path("own.py").write_text(RULE)
    Path("broken.py").write_text("from ssal.registry import scores\n\n@scores\ndef own(probabilites):\n    return 0\n")
    Path("typed.py").write_text(
        RULE.replace("float", "torch.Tensor").replace("1.0", "None").replace("from ssal", "import torch\nfrom ssal", 1)
    )
    text = BASE.split("compare")[0]

    def told(strategy: str) -> list[str]:
        return problems(file, text.replace("strategy: margin", f"strategy: {strategy}"))

    at = "r.yaml:13:13: acquisition.strategy:"
    assert told("gone.py:own") == [f"{at} there is no file {Path.cwd()}/gone.py"]
    assert told("own.py:my_rul") == [
        f"{at} {Path.cwd()}/own.py:my_rul: own.py files no method 'my_rul'; did you mean 'my_rule'?"
    ]
    assert told("broken.py:own") == [
        f"{at} broken.py: own: no signal is called 'probabilites'; did you mean 'probabilities'?"
    ]
    (line,) = told("typed.py:my_rule")
    assert line.startswith(f"{at} its options cannot stand in a recipe: Unable to generate pydantic-core schema")
    assert problems(file, changed("method: fixmatch", "method: own.py:my_rule")) == [
        "r.yaml:9:11: learner.method: a file of your own may hold a strategy, not a learner; "
        "put it into the package's folder"
    ]


def scoring() -> str:
    filed = registry.methods("strategy").values()
    return ", ".join(method.name for method in filed if method.returns == "scores" and not method.children)


def test_children_of_a_wrapper(file: Path) -> None:
    def told(weights: str) -> list[str]:
        text = BASE.split("compare")[0]
        return problems(file, text.replace("strategy: margin", f"strategy: blend\n  options: {{weights: {weights}}}"))

    assert told("{typiclust: 1}") == [
        "r.yaml:14:23: acquisition.options.weights.typiclust: 'typiclust' gives no scores of its own, "
        f"so it cannot be combined (those that can: {scoring()})"
    ]
    assert told("{margn: 1}") == [
        "r.yaml:14:23: acquisition.options.weights.margn: no strategy is called 'margn'; did you mean 'margin'? "
        f"(one of: {method_names('strategy')})"
    ]
    assert told("{margin: much}") == ["r.yaml:14:31: acquisition.options.weights.margin: expected a number, got 'much'"]
    assert told("{margin: 1, entropy: -1}") == [
        "r.yaml:14:43: acquisition.options.weights.entropy: expected at least 0, got -1"
    ]
    for nothing in ("{}", "{margin: 0}"):
        assert told(nothing) == [
            "r.yaml:14:12: acquisition.options.weights: expected a strategy with a weight above 0, as in {margin: 1}"
        ]
    first = changed("first_round: random", "first_round: blend\n  first_options: {weights: {random: 1, margin: 1}}")
    assert problems(file, first.split("compare")[0]) == [
        "r.yaml:15:40: acquisition.first_options.weights.margin: 'margin' needs probabilities, "
        f"but before the first labels there is no learner; use one of: {CAN_BEGIN}"
    ]


def test_the_child_of_a_wrapper(file: Path) -> None:
    def told(child: str, wrapper: str = "stochastic") -> list[str]:
        text = BASE.split("compare")[0]
        options = f"strategy: {wrapper}\n  options: {{scored_by: {child}}}"
        return problems(file, text.replace("strategy: margin", options))

    at = "r.yaml:14:24: acquisition.options.scored_by:"
    assert told("margn") == [
        f"{at} no strategy is called 'margn'; did you mean 'margin'? (one of: {method_names('strategy')})"
    ]
    for rows in ("coreset", "blend", "stochastic", "diverse"):
        assert told(rows) == [
            f"{at} {rows!r} gives no scores of its own, so it cannot be combined (those that can: {scoring()})"
        ]
    expected = "expected the name of one strategy, such as margin"
    assert told("{margin: 1, entropy: 1}") == [f"{at} {expected}, got a mapping"]
    assert told("[margin, entropy]") == [f"{at} {expected}, got a list"]
    assert told("null") == [f"{at} {expected}, got null"]
    (empty,) = told('""')
    assert empty.startswith(f"{at} no strategy is called ''"), "and never the default in its place"
    begins = changed("first_round: random", "first_round: stochastic\n  first_options: {scored_by: margin}")
    assert problems(file, begins.split("compare")[0]) == [
        "r.yaml:15:30: acquisition.first_options.scored_by: 'margin' needs probabilities, "
        f"but before the first labels there is no learner; use one of: {CAN_BEGIN}"
    ]


def test_sizes_fit_the_budget(file: Path) -> None:
    text = BASE.split("compare")[0].replace("query_size: 10", "query_size: 50\n  first_size: 60")
    assert problems(file, text) == [
        "r.yaml:15:15: acquisition.query_size: expected at most the budget of 40, got 50",
        "r.yaml:16:15: acquisition.first_size: expected at most the budget of 40, got 60",
    ]


@pytest.mark.parametrize("name", [n for n, m in registry.methods("pretext").items() if "optimiser" in m.options])
def test_lars_needs_decay(file: Path, name: str) -> None:
    text = changed("method: simclr", f"method: {name}\n  optimiser: lars\n  weight_decay: 0")
    told = "pretext.weight_decay: LARS scales only what decays; type 1.0e-6 or more, or optimiser=sgd, got 0"
    assert problems(file, text) == [f"r.yaml:8:17: {told}"]
    assert load(file, ["pretext.optimiser=sgd"]).arms["ssl_only"].pretext["weight_decay"] == 0
    assert load(file, ["pretext.weight_decay=1.0e-6"]).arms["ssl_only"].pretext["optimiser"] == "lars"


def test_embeddings_are_for_frozen_learners(file: Path) -> None:
    text = BASE.split("compare")[0].replace("source: digits, size: 8", "source: embeddings, path: f.npy")
    assert problems(file, text) == [
        "r.yaml:6:11: pretext.method: 'simclr' trains on images, but data.source is embeddings; use none",
        "r.yaml:9:11: learner.method: 'fixmatch' trains on images, but data.source is embeddings; use "
        "gp_head or label_propagation or linear_probe",
    ]
    file.write_text(text)
    fitting = ["learner.method=linear_probe", "pretext.method=none", "acquisition.strategy=typiclust"]
    assert load(file, fitting).arms["main"].data["options"]["path"] == "f.npy"


def test_the_oracle_needs_hidden_labels(file: Path) -> None:
    text = BASE.replace("flip: false", "labels: given")
    told = (
        "the oracle answers from hidden labels, but data.labels is given; use data.labels=hidden for a benchmark, "
        "labelling.answered_by=inbox for a project"
    )
    assert problems(file, text.split("compare")[0]) == [f"r.yaml:1:1: labelling.answered_by: {told}"]
    inbox = ["arms.ssl_only.labelling.answered_by=inbox", "arms.supervised.data.labels=hidden"]
    assert problems(file, text.replace("ssl_and_al: {}", "ssl_and_al: {labelling: {answered_by: oracle}}"), *inbox) == [
        f"r.yaml:25:41: arms.ssl_and_al.labelling.answered_by: arm 'ssl_and_al': {told}"
    ]
    file.write_text(text)
    assert load(file, ["labelling.answered_by=inbox"]).arms["ssl_only"].answered_by == "inbox"


def test_overrides_that_cannot_be_used(file: Path) -> None:
    assert problems(
        file,
        BASE,
        "threshold",
        "learner..x=1",
        "seeds=[0",
        "learner.treshold=1",
        "lerner.steps=1",
        "evaluation=null",
        "arms.ssl.learner.steps=3",
        "learner.steps=many",
        "seeds=[5, x]",
        "arms.ssl_only.acquisition.strategy=rndom",
    ) == [
        "command line: 'threshold': expected key.path=value, as in learner.steps=600",
        "command line: 'learner..x=1': expected key.path=value, as in learner.steps=600",
        "command line: seeds: no valid YAML: "
        "while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        "command line: lerner: no such key in a recipe; did you mean 'learner'?",
        "command line: arms.ssl: the recipe has no arm 'ssl' (arms: supervised, ssl_only, ssl_and_al)",
        "command line: seeds[1]: expected an integer, got 'x'",
        "command line: learner.steps: expected an integer, got 'many'",
        "command line: learner.treshold: no such key for learner 'fixmatch'; did you mean 'threshold'?",
        "command line: arms.ssl_only.acquisition.strategy: no strategy is called 'rndom'; did you mean 'random'? "
        f"(one of: {method_names('strategy')})",
    ]


def test_everything_is_told_at_once_in_the_order_of_the_file(file: Path) -> None:
    text = BASE
    for old, new in [
        ("seeds: [0, 1]", "seeds: []"),
        ("flip", "flop"),
        ("simclr", "simcrl"),
        ("steps: 60", "steps: x"),
        ("query_size: 10", "query_size: 100"),
        ("[svm]", "[smv]"),
        ("baseline: ssl_only", "baseline: sl_only"),
        ("random}\n  ssl_only", "typiclust}\n  ssl_only"),
    ]:
        assert old in text
        text = text.replace(old, new, 1)
    found = problems(file, text, "learner.threshold=2")
    places = ("2:8", "3:33", "6:11", "10:10", "15:15", "17:27", "18:21", "23:29")
    assert [line.split(": ")[0] for line in found] == ["command line", *(f"r.yaml:{place}" for place in places)]
    assert "arm 'supervised': 'typiclust' needs ssl_features" in found[-1], "broken sections do not hide other problems"


def test_what_all_arms_replace_is_still_checked(file: Path) -> None:
    arms = "arms: {a: {learner: {method: supervised}, acquisition: {strategy: random}}}\n"
    text = (
        BASE[: BASE.index("compare")]
        .replace("threshold", "treshold")
        .replace("strategy: margin", "strategy: margin\n  options: {power: 2}")
    )
    assert problems(file, text + arms) == [
        "r.yaml:11:3: learner.treshold: no such key for learner 'fixmatch'; did you mean 'threshold'?",
        "r.yaml:14:13: acquisition.options.power: no such key for strategy 'margin' (it has none)",
    ]


def test_what_arms_fill_in_may_be_missing_in_the_recipe(file: Path) -> None:
    file.write_text(
        "name: a\nacquisition: {strategy: random, query_size: 5, budget: 5}\narms:\n"
        "  one: {data: {source: digits}, learner: {method: supervised}}\n"
        "  two: {data: {source: digits}, learner: {steps: 3}}\n"
    )
    with pytest.raises(BadInput) as caught:
        load(file)
    assert str(caught.value) == (
        "r.yaml:5:33: arms.two.learner.method: this key is missing (Name of a learner, see `ssal list learners`)"
    )
    assert load(file, ["arms.two.learner.method=supervised"]).arms["two"].learner["steps"] == 3


# ------------------------------------------------------------------------------------------ never anything but BadInput

VALID = YAML(typ="safe", pure=True).load(BASE)
PATHS: list[tuple[str, ...]] = []


def _paths(part: Any, above: tuple[str, ...] = ()) -> None:
    for key, value in part.items() if isinstance(part, dict) else ():
        PATHS.append((*above, key))
        _paths(value, (*above, key))


_paths(VALID)
WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just("a.py:b"),
    st.just("~x/a.py:b"),
    st.lists(st.one_of(st.integers(), st.text(max_size=3), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.dates(),
    st.just(10**400),
    st.just("x" * 5000),
)


ANY = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=100, **ANY)
@given(
    st.lists(
        st.tuples(st.sampled_from(PATHS), st.sampled_from(["key", "value"]), st.text(max_size=6), WRONG),
        min_size=1,
        max_size=3,
    )
)
@example([(("backbone", "name"), "value", "", "wrn_" + "9" * 5000 + "_2")])
@example([(("acquisition", "strategy"), "value", "", "\0.py:x")])
@example([(("arms",), "value", "", {"": 1})])
def test_mutated_recipes_are_loaded_or_refused_with_a_place(
    file: Path, mutations: list[tuple[tuple[str, ...], str, str, Any]]
) -> None:
    recipe = deepcopy(VALID)
    for path, what, letters, value in mutations:
        part = recipe
        for key in path[:-1]:
            part = part.get(key) if isinstance(part, dict) else None
        if not isinstance(part, dict) or path[-1] not in part:
            continue
        if what == "value":
            part[path[-1]] = value
        else:
            part[path[-1] + letters] = part.pop(path[-1])
    YAML(typ="safe", pure=True).dump(recipe, file)
    try:
        json.dumps(load(file).resolved())
    except BadInput as error:
        for line in str(error).splitlines():
            assert line.startswith("r.yaml:"), line
            assert line.split(":")[1].isdigit(), line


@settings(max_examples=60, **ANY)
@given(st.integers(0, len(BASE)), st.integers(0, 12), st.text(max_size=4), st.lists(st.text(max_size=12), max_size=2))
def test_mangled_text_is_loaded_or_refused(file: Path, at: int, cut: int, put: str, overrides: list[str]) -> None:
    file.write_text(BASE[:at] + put + BASE[at + cut :], encoding="utf-8", errors="replace")
    try:
        load(file, overrides)
    except BadInput as error:
        for line in str(error).splitlines():
            assert line.startswith(("r.yaml:", "command line: ")), line


# ----------------------------------------------------------------------------------------------- resuming, schema, list


def test_differences_name_what_a_finished_run_forbids(file: Path) -> None:
    fixed = "trainer.precision=32-true"
    old = load(file, [fixed]).arms["ssl_and_al"].resolved()

    def against(*overrides: str) -> list[str]:
        return differences(old, load(file, [fixed, *overrides]).arms["ssl_and_al"].resolved())

    assert against() == []
    assert (
        against(
            "acquisition.budget=90",
            "seeds=[4]",
            "compare=null",
            "trainer.devices=[1]",
            "trainer.accelerator=cpu",
            "arms.ssl_only.learner.steps=1",
            "data.workers=1",
        )
        == []
    )
    assert against("acquisition.budget=30") == [], "compared with what is bought"
    assert against("evaluation.references=[]") == [], "finished rounds are measured again"
    assert against("trainer.precision=bf16-mixed", "trainer.compile=true") == ["trainer.precision", "trainer.compile"]
    assert against("learner.threshold=0.5", "data.size=9", "acquisition.query_size=5") == [
        "data.size",
        "learner.threshold",
        "acquisition.first_size",
        "acquisition.query_size",
    ]
    assert against("learner.method=linear_probe")[:2] == ["learner.method", "learner.threshold"]
    assert against("acquisition.strategy=kmeans") == ["acquisition.strategy", "acquisition.options.iterations"]
    lists = {"a": [1, 2], "b": {}}
    assert differences(lists, {"a": [2, 1], "b": {"c": 1}}) == ["a", "b.c"]
    assert differences(json.loads(json.dumps(old)), old) == [], "as run.json holds it"


@pytest.fixture(scope="module")
def validator() -> jsonschema.protocols.Validator:
    found = schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(found)))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipe_loads_and_fits_the_schema(path: Path, validator: jsonschema.protocols.Validator) -> None:
    validator.validate(YAML(typ="safe", pure=True).load(path))
    recipe = load(path)
    assert recipe.name == path.stem


def test_recipes_are_shipped() -> None:
    assert {"quickstart", "image_folder", "cifar10_40", "frozen_features"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize(
    ("path", "value", "valid"),
    [
        ("learner", {"method": "fixmatch", "threshold": 0.5}, True),
        ("learner", {"method": "fixmatch", "treshold": 0.5}, False),
        ("learner", {"method": "fixmach"}, False),
        ("learner", {"method": "fixmatch", "steps": "60"}, False),
        ("pretext", {"method": "none", "encoders": 2}, True),
        ("pretext", {"method": "none", "epochs": 2}, False),
        ("acquisition", {"strategy": "kmeans", "options": {"iterations": 2}}, True),
        ("acquisition", {"strategy": "kmeans", "options": {"power": 2}}, False),
        ("acquisition", {"strategy": "rules.py:my_rule", "options": {"power": 2}}, True),
        ("acquisition", {"strategy": "kmean"}, False),
        ("signals", {"outputs": {}}, True),
        ("signals", {"output": {}}, False),
        ("seeds", ["a"], False),
        ("name", "a/b", False),
        ("arms", {"a": None, "b": {"learner": {"threshold": 0.5}}}, True),
        ("arms", {"a": {"learner": {"treshold": 0.5}}}, False),
        ("arms", {"a": {"seeds": [1]}}, False),
        ("arms", {"a": {"first_seeds": 1}}, True),
        ("first_seeds", 1, False),
        ("budget", 3, False),
    ],
)
def test_schema_says_what_load_says(
    path: str, value: Any, valid: bool, validator: jsonschema.protocols.Validator
) -> None:
    assert validator.is_valid({**VALID, path: value}) is valid


@pytest.mark.parametrize("word", KINDS)
def test_listing_shows_every_method(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = describe(word)
    assert [row.name for row in rows] == list(registry.methods(KINDS[word]))
    print_listing(word, rows)
    printed = capsys.readouterr().out
    assert printed.startswith(f"{word}\n")
    for row in rows:
        assert f"  {row.name}\n" in printed


def test_listing_tells_needs_provides_and_defaults() -> None:
    rows = {row.name: row for word in KINDS for row in describe(word)}
    assert rows["badge"].needs == ("probabilities", "features")
    assert "2020" in rows["badge"].source
    assert rows["blend"].needs == ()
    assert rows["outputs"].provides[:3] == ("probabilities", "labelled_probabilities", "out_of_class_probabilities")
    assert {"features", "labelled_features", "out_of_class_features"} < set(rows["outputs"].provides)
    assert rows["previous_round"].provides == ("previous_probabilities",), "others have no rows but the pool's"
    assert rows["fixmatch"].options["threshold"] == 0.95
    assert rows["byol"].options["blur"] == [0.0, 0.0]
    assert rows["fixmatch"].needs == (), "constructor arguments are no signals"


def test_sections_are_the_keys_the_stages_take() -> None:
    assert list(SECTIONS) == [
        "data",
        "backbone",
        "pretext",
        "learner",
        "acquisition",
        "labelling",
        "evaluation",
        "trainer",
    ]


VIEWED = (
    "'consistency' needs view_probabilities, but 'linear_probe' sees the encoder's features, not images; use one of"
)


def test_a_learner_that_cannot_give_what_the_strategy_needs(file: Path) -> None:
    text = changed("strategy: margin", "strategy: consistency").split("compare")[0]
    file.write_text(text)
    assert load(file).arms["main"].signals["views"] == {"views": 50}
    assert load(file, ["signals.views.views=7"]).arms["main"].signals["views"] == {"views": 7}
    (found,) = problems(file, text, "learner={method: linear_probe}")
    assert found.startswith(f"command line: learner.method: {VIEWED}: ") and "supervised" in found
    (found,) = problems(file, text, "signals.views.views=1")
    assert found == "command line: signals.views.views: expected at least 2, got 1"
    text = text.replace("consistency", "bald")
    (found,) = problems(file, text)
    assert found.endswith("learner.dropout: 'bald' needs mc_probabilities, but this is 0; type learner.dropout=0.5")
    assert load(file, ["learner.dropout=0.5"]).arms["main"].signals["mc_dropout"] == {"masks": 50}
    (found,) = problems(file, text, "learner={method: linear_probe}")
    assert "learner.method: 'bald' needs mc_probabilities, but 'linear_probe' has no dropout; use one of: " in found
    blended = text.replace("bald", "blend\n  options: {weights: {margin: 1, consistency: 1}}")
    (found,) = problems(file, blended, "learner={method: linear_probe}")
    assert VIEWED in found


def test_a_budget_that_leaves_two_learners_nothing_to_compare(file: Path) -> None:
    text = changed("strategy: margin", "strategy: tod").split("compare")[0]
    file.write_text(text)
    assert load(file).arms["main"].compares_rounds
    load(file, ["acquisition.budget=21"])
    what = "'tod' compares two learners, and with these sizes first_round chooses everything"
    assert problems(file, text, "acquisition.budget=20") == [
        f"command line: acquisition.budget: {what}; expected more than 20, got 20"
    ]
    assert problems(file, text, "acquisition.first_size=30") == [
        f"r.yaml:16:11: acquisition.budget: {what}; expected more than 40, got 40"
    ]
    load(file, ["acquisition.budget=11", "data.labels=given", "labelling.answered_by=inbox"])


def test_an_arm_may_run_with_the_first_seeds_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(changed("  ssl_and_al: {}", "  ssl_and_al: {first_seeds: 1}"))
    recipe = load(path)
    assert {name: arm.seeds for name, arm in recipe.arms.items()} == {
        "supervised": (0, 1), "ssl_only": (0, 1), "ssl_and_al": (0,),
    }  # fmt: skip
    cells = cells_of(recipe, tmp_path)
    assert [(cell.arm.name, cell.seed) for cell in cells][-2:] == [("ssl_only", 1), ("ssl_and_al", 0)]
    assert "first_seeds" not in recipe.arms["ssl_and_al"].resolved(), "how often it runs is no part of what stands"
    assert recipe.resolved()["arms"]["ssl_and_al"]["first_seeds"] == 1
    with pytest.raises(BadInput, match="arm 'ssl_and_al' does not run with seed 1"):
        cells_named(recipe, tmp_path, "ssl_and_al", 1)
    (arm,) = [load(path, ["seeds=[5]"]).arms["ssl_and_al"]]
    assert arm.seeds == (5,), "typed seeds hold for every arm"


def test_the_keys_that_are_known_without_torch_are_all_there_are() -> None:
    assert set(RECIPE_KEYS) == {*Head.model_fields, *ARM_KEYS, *grid.KINDS, "compare", "arms"}
