"""Grids and zips: what is varied makes conditions, each with every arm, and the comparison is the same in all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssal.compare import run_all
from ssal.conclude import conclude
from ssal.errors import BadInput
from ssal.recipe import load

BASE = """\
name: tried
data: {source: digits, size: 8, flip: false}
backbone: {name: wrn_10_1}
learner: {method: fixmatch, steps: 60, threshold: 0.9}
acquisition: {strategy: random, query_size: 10, budget: 40}
"""
ARMS = """\
compare: {baseline: random, treatment: margin}
arms:
  random: {}
  margin: {acquisition: {strategy: margin}}
"""

RULE = """
from ssal.registry import scores


@scores
def rule(probabilities):
    return -probabilities.max(dim=1).values
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("r.yaml")


def problems(file: Path, text: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        load(file)
    return str(caught.value).splitlines()


def test_a_grid_gives_every_arm_under_every_combination(file: Path) -> None:
    file.write_text(BASE + ARMS + "grid: {acquisition: {query_size: [5, 20]}, learner: {warm_start: [false, true]}}\n")
    recipe = load(file)
    assert list(recipe.conditions) == [
        f"query_size_{size}-warm_start_{warm}" for size in (5, 20) for warm in ("false", "true")
    ]
    assert recipe.conditions["query_size_5-warm_start_true"] == {
        "random": "random-query_size_5-warm_start_true",
        "margin": "margin-query_size_5-warm_start_true",
    }
    assert len(recipe.arms) == 8
    arm = recipe.arms["margin-query_size_20-warm_start_true"]
    assert (arm.strategy, arm.query_size, arm.learner["warm_start"], arm.learner["threshold"]) == (
        "margin",
        20,
        True,
        0.9,
    )
    assert (recipe.baseline, recipe.treatment) == ("random", "margin")


def test_a_zip_takes_its_lists_hand_in_hand_and_is_named_by_the_first(file: Path) -> None:
    file.write_text(BASE + ARMS + "zip: {acquisition: {first_size: [5, 20], query_size: [5, 20], budget: [25, 100]}}\n")
    recipe = load(file)
    assert list(recipe.conditions) == ["first_size_5", "first_size_20"]
    assert recipe.arms["random-first_size_5"].rounds() == [5, 10, 15, 20, 25]
    assert recipe.arms["margin-first_size_20"].rounds() == [20, 40, 60, 80, 100]


def test_without_arms_each_combination_is_an_arm(file: Path) -> None:
    file.write_text(
        BASE + "compare: {baseline: random, treatment: margin}\ngrid: {acquisition: {strategy: [random, margin]}}\n"
    )
    recipe = load(file)
    assert {name: arm.strategy for name, arm in recipe.arms.items()} == {"random": "random", "margin": "margin"}
    assert recipe.conditions == {"": {"random": "random", "margin": "margin"}}


def test_a_grid_and_a_zip_multiply(file: Path) -> None:
    file.write_text(
        BASE
        + ARMS
        + "grid: {learner: {steps: [30, 60]}}\nzip: {acquisition: {query_size: [5, 10], budget: [10, 20]}}\n"
    )
    recipe = load(file)
    assert list(recipe.conditions) == [f"steps_{n}-query_size_{size}" for n in (30, 60) for size in (5, 10)]


def test_an_arm_keeps_what_it_says_itself(file: Path) -> None:
    file.write_text(
        BASE
        + ARMS
        + "  all: {acquisition: {first_size: 90, query_size: 90, budget: 90}}\n"
        + "grid: {acquisition: {query_size: [5, 20]}}\n"
    )
    recipe = load(file)
    assert {recipe.arms[f"all-query_size_{size}"].query_size for size in (5, 20)} == {90}


def test_a_varied_method_starts_from_its_own_defaults(file: Path) -> None:
    """As a method typed over a recipe's does: the options of the one it replaces are not its own."""
    file.write_text(BASE + ARMS + "grid: {learner: {method: [fixmatch, supervised]}}\n")
    recipe = load(file)
    assert recipe.arms["random-fixmatch"].learner["threshold"] == 0.9
    assert recipe.arms["random-fixmatch"].learner["steps"] == 60
    assert recipe.arms["random-supervised"].learner["steps"] != 60


def test_the_command_line_may_vary_what_the_file_does_not(file: Path) -> None:
    file.write_text(BASE + ARMS)
    assert list(load(file).conditions) == [""]
    assert list(load(file, ["grid.acquisition.query_size=[5, 20]"]).conditions) == ["query_size_5", "query_size_20"]
    file.write_text(BASE + ARMS + "grid: {acquisition: {query_size: [5, 20]}}\n")
    assert list(load(file, ["grid=null"]).conditions) == [""]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ("[null, 0.75]", ["swa_from_null", "swa_from_0.75"]),
        ("[0.5, 0.75]", ["swa_from_0.5", "swa_from_0.75"]),
    ],
)
def test_values_that_are_no_words_are_named_after_their_key(file: Path, values: str, names: list[str]) -> None:
    file.write_text(BASE + ARMS + f"grid: {{learner: {{swa_from: {values}}}}}\n")
    assert list(load(file).conditions) == names


def test_lists_and_mappings_may_be_varied_and_are_numbered(file: Path) -> None:
    file.write_text(
        BASE.replace("strategy: random", "strategy: blend")
        + "grid: {acquisition: {options: {weights: [{margin: 1, entropy: 1}, {margin: 1, entropy: 3}]}}}\n"
    )
    recipe = load(file)
    assert [arm.options["weights"] for arm in recipe.arms.values()] == [
        {"margin": 1, "entropy": 1},
        {"margin": 1, "entropy": 3},
    ]
    assert list(recipe.arms) == ["weights_value_0", "weights_value_1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "grid: {aquisition: {query_size: [5, 10]}}\n",
            "r.yaml:10:8: grid.aquisition: expected a section of the recipe; did you mean 'acquisition'?",
        ),
        (
            "grid: {acquisition: {query_size: 5}}\n",
            "r.yaml:10:34: grid.acquisition.query_size: expected a list of values, as in grid: {acquisition: "
            "{query_size: [5, 20]}}, got 5",
        ),
        (
            "grid: {acquisition: [5, 10]}\n",
            "r.yaml:10:21: grid.acquisition: expected a list of values, as in grid: {acquisition: {query_size: [5, "
            "20]}}, got a list",
        ),
        (
            "grid: 5\n",
            "r.yaml:10:7: grid: expected a list of values, as in grid: {acquisition: {query_size: [5, 20]}}, got 5",
        ),
        (
            "zip: {acquisition: {query_size: [5, 10], budget: [20]}}\n",
            "r.yaml:10:6: zip: expected lists of one length, got 2 in zip.acquisition.query_size, 1 in "
            "zip.acquisition.budget",
        ),
        (
            "grid: {acquisition: {query_size: [5, 5]}}\n",
            "r.yaml:10:7: grid: two conditions are called 'query_size_5'; give each value once",
        ),
        (
            "grid: {acquisition: {query_size: [5, many]}}\n",
            "r.yaml:10:38: grid.acquisition.query_size[1]: expected an integer, got 'many'",
        ),
        (
            "grid: {acquisition: {strategy: [margin, marginn]}}\n",
            "r.yaml:10:41: grid.acquisition.strategy[1]: no strategy is called 'marginn'; did you mean 'margin'?",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(file: Path, text: str, said: str) -> None:
    found = problems(file, BASE + ARMS.replace("  margin: {acquisition: {strategy: margin}}", "  margin: {}") + text)
    assert len(found) == 1 and found[0].startswith(said), found


@pytest.mark.slow
def test_conditions_run_and_are_judged_one_by_one(file: Path, tmp_path: Path) -> None:
    """On frozen features of an untrained network, where a cell costs seconds."""
    text = BASE.replace("learner: {method: fixmatch, steps: 60, threshold: 0.9}", "learner: {method: linear_probe}")
    file.write_text("seeds: [0, 1]\n" + text + ARMS + "grid: {acquisition: {query_size: [10, 20]}}\n")
    recipe = load(file)
    ended = run_all(recipe, [], tmp_path, jobs=1)
    assert ended.failed == {} and len(ended.rows) == 2 * 2 * (4 + 2)
    low, high = conclude(recipe, ended, tmp_path, "ssal compare r.yaml").comparisons
    assert (low.condition, high.condition) == ("query_size_10", "query_size_20")
    assert low.verdict["final"]["labels"] == high.verdict["final"]["labels"] == 40
    assert [entry["labels"] for entry in high.verdict["differences"]] == [20, 40]
    written = json.loads((tmp_path / "tried" / "verdict.json").read_text())["comparisons"]
    assert [one["condition"] for one in written] == ["query_size_10", "query_size_20"]
    assert written[0]["sentence"] == low.verdict["sentence"] != high.verdict["sentence"]


def test_names_stay_names_of_folders(file: Path) -> None:
    long = ARMS.replace("  margin:", f"  {'m' * 95}:").replace("treatment: margin", f"treatment: {'m' * 95}")
    found = problems(file, BASE + long + "grid: {learner: {steps: [30, 60]}}\n")
    assert len(found) == 2 and all("too long for a folder" in line for line in found)


def test_what_goes_by_its_place_is_not_called_like_a_number(file: Path) -> None:
    file.write_text(BASE + 'grid: {data: {imbalance: [1, {"0": 0.5}]}}\n')
    assert list(load(file).arms) == ["imbalance_1", "imbalance_value_1"]


def test_without_arms_too_names_stay_names_of_folders(file: Path) -> None:
    """Where a folder of images is varied, its name is the condition's, and nothing else limits it."""
    text = BASE.replace("source: digits, size: 8", "source: folder, size: 8")
    assert problems(file, text + f"grid: {{data: {{path: [{'p' * 101}, other]}}}}\n") == [
        f"r.yaml:6:1: grid: the name {'p' * 101!r} is too long for a folder; shorten it"
    ]
    assert problems(file, text + "grid: {data: {path: [slurm, other]}}\n") == [
        "r.yaml:6:1: grid: no arm can be called 'slurm', which is where logs of all arms go; choose another name"
    ]


@pytest.mark.parametrize(
    ("name", "why"), [("tensorboard", "is where logs of all arms go"), ("results.csv", "is a file of the whole recipe")]
)
def test_an_arm_does_not_take_the_place_of_what_stands_beside_it(file: Path, name: str, why: str) -> None:
    assert problems(file, BASE + f"arms: {{random: {{}}, {name}: {{}}}}\n") == [
        f"r.yaml:6:20: arms.{name}: no arm can be called {name!r}, which {why}; choose another name"
    ]


def test_no_two_arms_share_a_folder_whatever_their_names_are(file: Path) -> None:
    """All conditions of a recipe join as many words, and no word has a dash, so the arm's name is what is left."""
    (file.parent / "m-n.py").write_text(RULE)
    (file.parent / "n.py").write_text(RULE)
    file.write_text(
        BASE
        + "arms: {a: {}, a-m: {}, a-m-n: {}, a-: {}}\n"
        + "grid: {acquisition: {strategy: ['m-n.py:rule', 'n.py:rule'], query_size: [5, 10]}}\n"
    )
    recipe = load(file)
    assert len(recipe.arms) == 4 * 2 * 2 == sum(len(arms) for arms in recipe.conditions.values())
