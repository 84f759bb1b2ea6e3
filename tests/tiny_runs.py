"""Whole runs in a second or two, and all that they leave behind, for tests that compare two of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from ssal import registry
from ssal.data.images import Images
from ssal.data.load import load as load_images
from ssal.labelling.ledger import Ledger
from ssal.project import run_project
from ssal.recipe import Arm, Recipe, load

NAMES = ("nought", "one", "two", "three")
"""Class folders of `write_pictures`; sorted, they do not stand in the order of the digits."""

SMALL = {"steps": 4, "batch_size": 8, "mu": 2, "epochs": 1, "hidden": 32}
"""Options that decide what a training costs -> values for a test."""


def small(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """Return the section of a recipe that names a learner or pretext, with the cheapest options it has."""
    options = registry.find(kind, name).options
    section = {key: value for key, value in {**SMALL, **more}.items() if key in options}
    return {"method": name, **section} | ({"batch_size": 32} if kind == "pretext" else {})


def small_signals() -> dict[str, dict[str, Any]]:
    """Return the section of a recipe that gives every signal source that trains the cheapest options it has."""
    known = {name: source.options for name, source in registry.methods("signal").items() if "steps" in source.options}
    return {name: {key: SMALL[key] for key in options if key in SMALL} for name, options in known.items()}


@cache
def digits() -> tuple[Any, Any]:
    """Return 8 × 8 images from 0 to 255 and their labels."""
    bunch = load_digits()
    return np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target


def write_pictures(root: Path, train: int = 15, test: int = 6, named: Callable[[str], str] = str) -> Path:
    """Fill root/train/<class>/NNNN.png and root/test/… with real digits, in folders called `named(class)`."""
    images, labels = digits()
    for number, name in enumerate(NAMES):
        for place, row in enumerate(np.flatnonzero(labels == number)[: train + test]):
            path = root / ("train" if place < train else "test") / named(name) / f"{row:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[row]).save(path)
    return root


def pictures(root: Path, checkpoints: Path, **keys: Any) -> Images:
    """Load what `write_pictures` wrote, or other images in folders."""
    return load_images(checkpoints, source="folder", options={"path": str(root)}, size=8, flip=False, **keys)


def recipe(path: Path, **sections: Any) -> Recipe:
    """Write a tiny recipe with `sections` laid over it, and load it."""
    base: dict[str, Any] = {
        "name": path.stem,
        "data": {"source": "folder", "path": "unused", "size": 8, "flip": False},
        "backbone": {"name": "wrn_10_1"},
        "learner": {"method": "linear_probe"},
        "acquisition": {"strategy": "random", "first_size": 8, "query_size": 4, "budget": 12},
        "trainer": {"accelerator": "cpu"},
    }
    acquisition = base["acquisition"] | sections.pop("acquisition", {})
    path.write_text(json.dumps({**base, **sections, "acquisition": acquisition}))  # JSON is YAML
    return load(path)


@dataclass(frozen=True)
class Left:
    """What a run left behind; files stand as hashes of their bytes."""

    chosen: dict[int, str]
    """Round -> chosen.csv."""
    learners: dict[int, str]
    """Round -> the averaged weights that were evaluated."""
    outputs: dict[int, str]
    """Round -> what the learner said of every training image."""
    encoders: list[str]
    """Weights and features of every encoder."""
    labels: dict[str, str]
    """The ledger."""
    metrics: dict[int, dict[str, Any]]

    def asked(self) -> list[str]:
        """Return every id that was asked for, in that order."""
        return [line.split(",")[0] for text in self.chosen.values() for line in text.splitlines()[1:]]


def run(arm: Arm, images: Images, checkpoints: Path, seed: int = 0, name: str = "run") -> Left:
    """Run one arm to its end and return what it left."""
    folder = checkpoints / name / arm.name / f"seed_{seed}"
    run_project(arm, seed, images, checkpoints, folder)
    return left_in(folder, checkpoints)


def left_in(folder: Path, checkpoints: Path) -> Left:
    """Return what a run left in `folder` and in the folders that all runs share."""
    rounds = {int(path.name.removeprefix("round_")): path for path in folder.glob("round_*")}
    metrics = {number: json.loads(path.read_text()) for number, path in _in(rounds, "metrics.json").items()}
    weights = {number: checkpoints / "learners" / facts["learner_folder"] for number, facts in metrics.items()}
    return Left(
        chosen={number: path.read_text() for number, path in _in(rounds, "chosen.csv").items()},
        learners={number: _hash(path / "learner.safetensors") for number, path in weights.items()},
        outputs={number: _values(path) for number, path in _in(rounds, "outputs.safetensors").items()},
        encoders=sorted(_hash(path) for path in (checkpoints / "encoders").rglob("*.safetensors")),
        labels=Ledger(folder / "ledger.sqlite").labels(),
        metrics=metrics,
    )


def _in(rounds: dict[int, Path], name: str) -> dict[int, Path]:
    return {number: path / name for number, path in sorted(rounds.items()) if (path / name).exists()}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _values(path: Path) -> str:
    """Return a hash of a file's tensors: the class names that stand beside them reach no method."""
    tensors = sorted(load_file(path).items())
    return hashlib.sha256(b"".join(name.encode() + value.numpy().tobytes() for name, value in tensors)).hexdigest()


def differing(first: Left, second: Left) -> list[str]:
    """Return what differs between two runs: weights, scores and choices, but neither metrics nor class names."""
    parts = ("encoders", "learners", "outputs", "chosen")
    assert first.chosen and first.learners and first.encoders, "nothing to compare"
    return [part for part in parts if getattr(first, part) != getattr(second, part)]
