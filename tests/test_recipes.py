"""Every recipe of the repository loads as it is, and runs to its end once its data and schedules are small."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import SMALL, write_pictures

from ssal import compare, registry
from ssal.conclude import conclude
from ssal.evaluation.results import read_results
from ssal.recipe import Arm, Recipe, load

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(path for path in (ROOT / "recipes").rglob("*") if path.suffix in (".yaml", ".yml"))
every_recipe = pytest.mark.parametrize("path", RECIPES, ids=[str(path.relative_to(ROOT)) for path in RECIPES])

SIZES = {"first_size": 10, "query_size": 4, "budget": 18}
"""Three purchases: the second strategy chooses twice."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), train=12, test=5)


def shrunken(recipe: Recipe, folder: Path) -> list[str]:
    """Return the overrides that make a recipe small without changing what its stages and arms are."""
    typed = [
        "seeds=[0]",
        "data.size=8",
        "trainer.accelerator=cpu",
        "trainer.precision=32-true",
        "trainer.compile=false",
    ]
    sources = {arm.data["source"] for arm in recipe.arms.values()}
    typed += (
        [f"data.path={folder}"] if sources == {"folder"} else ["data.source=digits"] if sources != {"digits"} else []
    )
    if any(arm.data.get("out_of_class") for arm in recipe.arms.values()):
        typed += ["data.out_of_class=[two, three]"]
    for name, seen in by_name(recipe).items():
        of_arm = "" if list(recipe.arms) == ["main"] else f"arms.{name}."
        typed += [f"{of_arm}backbone.name=wrn_10_1", *(f"{of_arm}acquisition.{key}={n}" for key, n in SIZES.items())]
        of_all = set.intersection(*(set(smaller(arm)) for arm in seen))
        typed += [f"{of_arm}{section}.{key}={value}" for section, key, value in sorted(of_all)]
    return typed


def by_name(recipe: Recipe) -> dict[str, list[Arm]]:
    """Return the name of every arm, and what it is under each condition."""
    found: dict[str, list[Arm]] = {}
    for arms in recipe.conditions.values():
        for name, whole in arms.items():
            found.setdefault(name, []).append(recipe.arms[whole])
    return found


def smaller(arm: Arm) -> list[tuple[str, str, Any]]:
    """Return (section, option, value) for the options of an arm's methods that decide what a training costs."""
    found = [("learner", key, value) for key, value in SMALL.items() if key in arm.learner]
    found += [(f"signals.{name}", "steps", SMALL["steps"]) for name, given in arm.signals.items() if "steps" in given]
    found += [("pretext", key, value) for key, value in {**SMALL, "batch_size": 256}.items() if key in arm.pretext]
    return found


def test_there_are_recipes() -> None:
    names = {path.name for path in RECIPES}
    assert {"quickstart.yaml", "image_folder.yaml", "cifar10_40.yaml", "frozen_features.yaml", "complete.yaml"} <= names
    assert {"arms.yaml", "many_seeds.yaml", "regimes.yaml", "augmentation.yaml", "self_training.yaml"} <= names
    assert {"consistency.yaml", "tod.yaml", "contrastive.yaml", "vaal.yaml", "ta_vaal.yaml"} <= names


@every_recipe
def test_a_recipe_says_what_it_asks_how_to_run_it_and_what_it_costs(path: Path) -> None:
    header = path.read_text().split("\nname:")[0]
    for word in ("# Question: ", "# Command:", "# Cost:", "# Result:"):
        assert word in header, word
    (command,) = set(re.findall(r"recipes/\S+\.ya?ml", header))
    assert command == str(path.relative_to(ROOT))


@every_recipe
def test_a_recipe_loads_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe = load(path)
    assert recipe.name == path.stem
    for arms in recipe.conditions.values():
        assert {recipe.baseline, recipe.treatment} <= {*arms, None}
        counts = {tuple(recipe.arms[whole].rounds()) for whole in arms.values()}
        several = {one for one in counts if len(one) > 1}
        assert len(several or counts) == 1, "arms are compared at the same label counts"


@pytest.mark.parametrize(
    ("name", "arm", "same"),
    [
        ("consistency", "random", "random"),
        ("consistency", "consistency", "consistency"),
        ("tod", "random", "random_warm_start"),
        ("tod", "tod", "tod"),
        ("contrastive", "random", "random"),
        ("contrastive", "contrastive", "scal_similarity"),
        ("vaal", "random", "random"),
        ("vaal", "vaal", "vaal"),
        ("ta_vaal", "random", "random_with_bce_head"),
        ("ta_vaal", "ta_vaal", "ta_vaal"),
    ],
)
def test_the_recipe_of_one_signal_has_the_arms_that_were_measured_together(name: str, arm: str, same: str) -> None:
    """Their headers quote benchmarks/results/acquisition.md, whose arms are those of complete.yaml."""
    one, other = load(ROOT / "recipes" / f"{name}.yaml"), load(ROOT / "recipes" / "complete.yaml")
    assert one.seeds == other.seeds
    own, measured = one.arms[arm], other.arms[same]
    told, told_there = ({**found.resolved(), "signals": {}} for found in (own, measured))
    assert told == told_there and own.companions == measured.companions
    for source in registry.sources_of(own.needs()):
        assert own.signals[source] == measured.signals[source]


@every_recipe
def test_a_shrunken_run_finishes(path: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = shrunken(load(path), folder)
    recipe = load(path, overrides)
    ended = compare.run_all(recipe, overrides, tmp_path, jobs=1)
    assert ended.failed == {} and ended.waiting == []
    written = read_results(tmp_path / recipe.name / "results.csv")
    assert len(written) == len(ended.rows)
    for name, arm in recipe.arms.items():
        own = [row for row in written if row["arm"] == name]
        assert [row["labels"] for row in own] == arm.rounds() == [10, 14, 18]
        for row in own:
            assert (row["strategy"], row["learner"], row["pretext"]) == (
                arm.strategy,
                arm.learner_method,
                arm.pretext_method,
            )
            measured = ["accuracy", "macro_f1", *(f"{reference}_accuracy" for reference in arm.references)]
            assert all(0 <= row[metric] <= 1 for metric in measured)
            assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
    comparisons = conclude(recipe, ended, tmp_path, "the command").comparisons
    assert [one.condition for one in comparisons] == list(recipe.conditions)
    for one in comparisons:
        assert one.verdict["sentence"] and one.verdict["baseline"] == recipe.baseline
    assert (tmp_path / recipe.name / "report.html").stat().st_size > 10_000

    monkeypatch.setattr(compare, "run_cell", None)
    again = compare.run_all(recipe, overrides, tmp_path, jobs=1)
    assert again == ended, "finished cells are not run again"


@every_recipe
def test_a_header_and_its_page_agree(path: Path) -> None:
    """What is measured has a page, of this very recipe's seeds; what is not has none."""
    header = path.read_text(encoding="utf-8").partition("\nname:")[0]
    results = ROOT / "benchmarks" / "results"
    pages = re.findall(r"see (benchmarks/results/\S+?\.md)", header)
    assert all((ROOT / page).is_file() for page in pages)
    own = results / path.relative_to(ROOT / "recipes").with_suffix(".md")
    if own.is_file():
        assert str(own.relative_to(ROOT)) in pages and "Result:   not measured" not in header
        rows = read_results(own.with_suffix(".csv"))
        assert {row["seed"] for row in rows} == set(load(path).seeds)
        assert {row["arm"] for row in rows} == set(load(path).arms)
    elif path.parent.name == "questions":
        assert "Result:   measured" not in header
