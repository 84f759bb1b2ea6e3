"""The same seed gives the same run; every random draw has an owner; arms differ in one thing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import Left, differing, pictures, recipe, run, small, write_pictures

from ssal import loop, registry
from ssal.data.images import Images
from ssal.recipe import Recipe

DRAWING = ("random", "kmeans", "badge", "typiclust")
"""Strategies that draw from the round's generator."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def images(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Images:
    return pictures(root, tmp_path_factory.mktemp("cache"))


def loop_recipe(tmp_path: Path, learner: str = "linear_probe", strategy: str = "margin", **sections: Any) -> Recipe:
    """Return a recipe whose every stage draws: a pretext, a learner, a strategy."""
    given = {"pretext": small("pretext", "simclr"), "learner": small("learner", learner), **sections}
    return recipe(tmp_path / "tiny.yaml", acquisition={"strategy": strategy}, **given)


def disturb() -> None:
    """Leave every global stream where no fresh process has it."""
    random.seed(77)
    np.random.seed(77)
    torch.manual_seed(77)
    torch.rand(13)


def measured(left: Left) -> list[dict[str, Any]]:
    return [{name: value for name, value in facts.items() if "seconds" not in name} for facts in left.metrics.values()]


@pytest.mark.parametrize("learner", registry.methods("learner"))
def test_the_same_seed_gives_the_same_run(learner: str, images: Images, tmp_path: Path) -> None:
    arm = loop_recipe(tmp_path, learner, "badge").arms["main"]
    first = run(arm, images, tmp_path / "first")
    disturb()
    again = run(arm, images, tmp_path / "again")
    assert differing(first, again) == [] and first.labels == again.labels and measured(first) == measured(again)


@pytest.mark.parametrize("pretext", registry.methods("pretext"))
def test_another_seed_gives_other_weights_and_other_images(pretext: str, images: Images, tmp_path: Path) -> None:
    method = small("pretext", pretext)
    arm = loop_recipe(tmp_path, "supervised", "margin", pretext=method).arms["main"]
    first, other = (run(arm, images, tmp_path / str(seed), seed) for seed in (0, 1))
    assert differing(first, other) == ["encoders", "learners", "outputs", "chosen"]
    assert set(first.asked()) != set(other.asked())


def test_seeds_that_share_an_encoder_share_its_weights_alone(images: Images, tmp_path: Path) -> None:
    method = small("pretext", "simclr") | {"encoders": 2}
    arm = loop_recipe(tmp_path, "supervised", pretext=method).arms["main"]
    first, other = run(arm, images, tmp_path, 0), run(arm, images, tmp_path, 2)
    assert differing(first, other) == ["learners", "outputs", "chosen"]
    assert len(list((tmp_path / "encoders").glob("*/encoder.safetensors"))) == 1
    run(arm, images, tmp_path, 1)
    assert len(list((tmp_path / "encoders").glob("*/encoder.safetensors"))) == 2


CHILD = """
import json, sys
from dataclasses import asdict
from pathlib import Path

from tiny_runs import pictures, run
from ssal.recipe import load

recipe, root, checkpoints = map(Path, sys.argv[1:])
images = pictures(root, checkpoints)
print(json.dumps(asdict(run(load(recipe).arms["main"], images, checkpoints))))
"""


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_run(images: Images, root: Path, tmp_path: Path) -> None:
    loaded = loop_recipe(tmp_path, "fixmatch", "kmeans", evaluation={"references": ["svm"]})
    disturb()
    here = run(loaded.arms["main"], images, tmp_path / "here")
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHONHASHSEED": "123",
    }
    command = [sys.executable, "-c", CHILD, str(loaded.path), str(root), str(tmp_path / "there")]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    there = json.loads(said.stdout.splitlines()[-1])
    for part in ("chosen", "learners", "outputs", "encoders", "labels"):
        assert there[part] == json.loads(json.dumps(asdict(here)[part])), part


# ------------------------------------------------------------------------------------------- draws that have an owner


def test_a_strategys_draws_move_no_learner(images: Images, tmp_path: Path) -> None:
    """Each strategy in folders of its own, so that nothing is shared: the first learner is the same all the same."""
    left = {}
    for strategy in DRAWING:
        arm = loop_recipe(tmp_path, "fixmatch", strategy).arms["main"]
        left[strategy] = run(arm, images, tmp_path / strategy)
    assert len({one.learners[1] for one in left.values()}) == 1, "the learner of the labels bought in round 0"
    assert len({one.chosen[0] for one in left.values()}) == 1
    assert len({one.chosen[1] for one in left.values()}) == len(DRAWING), "strategies choose differently"


WASTEFUL = """
import random

import numpy
import torch

from ssal.registry import selects


@selects
def frugal(features, *, budget, generator):
    return torch.argsort(features[:, 0])[:budget]


@selects
def wasteful(features, *, budget, generator):
    torch.manual_seed(features.shape[0])
    torch.rand(1000), torch.rand(1000, generator=generator), numpy.random.rand(10), random.random()
    return torch.argsort(features[:, 0])[:budget]
"""


def test_a_strategy_that_wastes_draws_changes_no_later_round(images: Images, tmp_path: Path) -> None:
    """Two strategies that choose the same, one of which draws from every stream it can reach."""
    (tmp_path / "rules.py").write_text(WASTEFUL)
    runs = []
    for name in ("frugal", "wasteful"):
        arm = loop_recipe(tmp_path, "fixmatch", f"rules.py:{name}").arms["main"]
        runs.append(run(arm, images, tmp_path / name))
    frugal, wasteful = runs
    assert frugal.learners == wasteful.learners and frugal.outputs == wasteful.outputs
    assert frugal.asked() == wasteful.asked() and len(frugal.learners) == 2


def test_another_learner_moves_no_random_choice(images: Images, tmp_path: Path) -> None:
    """Random arms share all their labels, whatever they train: their paired difference is then the learner's alone."""
    loaded = recipe(
        tmp_path / "tiny.yaml",
        learner=small("learner", "fixmatch"),
        pretext=small("pretext", "simclr"),
        arms={
            "supervised": {"pretext": {"method": "none"}, "learner": small("learner", "supervised")},
            "probe": {"learner": {"method": "linear_probe"}},
            "ssl_only": {},
        },
    )
    supervised, probe, ssl_only = (run(arm, images, tmp_path / "runs", 3) for arm in loaded.arms.values())
    assert list(supervised.labels.items()) == list(probe.labels.items()) == list(ssl_only.labels.items())
    assert len({left.learners[1] for left in (supervised, probe, ssl_only)}) == 3


# -------------------------------------------------------------------------------------------------- what arms share


def test_arms_share_encoder_and_first_learner(images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def fit(module: Any, *given: Any, honest: Any = loop.fit) -> list[float]:
        trained.append(type(module).__name__)
        curve: list[float] = honest(module, *given)
        return curve

    monkeypatch.setattr(loop, "fit", fit)
    loaded = recipe(
        tmp_path / "tiny.yaml",
        learner=small("learner", "fixmatch"),
        pretext=small("pretext", "simclr"),
        arms={
            "ssl_only": {},
            "ssl_and_al": {"acquisition": {"strategy": "margin"}},
        },
    )
    random_arm, margin_arm = (run(arm, images, tmp_path / "runs") for arm in loaded.arms.values())
    assert random_arm.learners[1] == margin_arm.learners[1] and random_arm.chosen[0] == margin_arm.chosen[0]
    assert random_arm.learners[2] != margin_arm.learners[2]
    assert len(list((tmp_path / "runs" / "learners").iterdir())) == 3, "one after the first round, one per arm after"
    assert trained == ["SimCLR", "FixMatch", "FixMatch", "FixMatch"]


def test_options_of_the_learner_are_part_of_what_is_shared(images: Images, tmp_path: Path) -> None:
    """An arm that differs in the learner's options or in the encoder never takes another arm's learner."""
    supervised = small("learner", "supervised")
    loaded = recipe(
        tmp_path / "tiny.yaml",
        learner=supervised,
        arms={
            "plain": {},
            "rate": {"learner": {"learning_rate": 0.05}},
            "dropout": {"learner": {"dropout": 0.5}},
            "encoder": {"pretext": small("pretext", "simclr")},
        },
    )
    left = [run(arm, images, tmp_path / "runs") for arm in loaded.arms.values()]
    assert len({one.learners[1] for one in left}) == len(left)
