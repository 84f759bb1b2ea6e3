"""Hidden labels stay hidden: no weight, score or choice follows from a label that was never asked for.

Every learner, strategy and pretext of the registry runs from the first round to the last, four times: as it is, with
other labels on all images that were never asked for, with renamed and reordered class folders, and with other test
labels. Runs share no folder, so nothing is read from a cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import NAMES, Left, differing, pictures, recipe, run, small, small_signals, write_pictures

import ssal.round
from ssal import backbones, registry
from ssal.artefacts import write_tensors
from ssal.data.images import Images
from ssal.errors import Waiting
from ssal.labelling.ledger import Ledger
from ssal.pretext.encoder import Encoder
from ssal.recipe import Arm
from ssal.recipe.coherence import OF_ENCODER, OF_FIRST_ROUND, OF_HEADS
from ssal.signals import collect

OTHER_NAME = dict(zip(NAMES, ("quokka", "zebra", "ant", "moose"), strict=True))
OPTIONS: dict[str, dict[str, Any]] = {"blend": {"weights": {"margin": 1.0, "featdist": 0.5, "entropy": 0.25}}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return the pictures, the same pictures under other class names, and weights that stand for an encoder."""
    root = tmp_path_factory.mktemp("pictures")
    torch.manual_seed(0)
    write_tensors(root / "ready.safetensors", backbones.build((3, 8, 8), name="wrn_10_1", seed=1).state_dict())
    plain, renamed = write_pictures(root / "plain"), write_pictures(root / "renamed", named=OTHER_NAME.__getitem__)
    return plain, renamed, root / "ready.safetensors"


def others(names: Sequence[str], seed: int) -> list[str]:
    """Return the same names in another order, most of them at another place."""
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed))
    shuffled = [names[place] for place in order.tolist()]
    assert sum(a != b for a, b in zip(names, shuffled, strict=True)) > len(names) / 2
    return shuffled


def with_other_hidden_labels(images: Images, asked: set[str]) -> Images:
    """Return `images` with shuffled labels on all images but those that were asked for."""
    never = [id for id in images.hidden if id not in asked]
    assert never and asked <= set(images.hidden)
    shuffled = others([images.hidden[id] for id in never], seed=7)
    return replace(images, hidden=images.hidden | dict(zip(never, shuffled, strict=True)))


def with_other_test_labels(images: Images) -> Images:
    return replace(images, test_labels=tuple(others(images.test_labels, seed=8)))


def renamed_images(
    folders: tuple[Path, Path, Path], images: Images, checkpoints: Path, pool: dict[str, Any] | None = None
) -> Images:
    """Load the renamed folders: the same images, but paths and classes stand in another order."""
    found = pictures(folders[1], checkpoints, **renamed_options(pool or {}))
    assert found.pool.ids == images.pool.ids and found.test.ids == images.test.ids
    assert [OTHER_NAME[name] for name in images.classes] != list(found.classes)
    by_path = sorted(range(len(images.pool)), key=images.pool.paths.__getitem__)
    assert by_path != sorted(range(len(images.pool)), key=found.pool.paths.__getitem__)
    return found


def renamed_options(pool: dict[str, Any]) -> dict[str, Any]:
    """Return options of the pool with the other names of its classes."""
    found = {**pool, "out_of_class": [OTHER_NAME[name] for name in pool.get("out_of_class", ())]}
    if isinstance(pool.get("imbalance"), dict):
        found["imbalance"] = {OTHER_NAME[name]: share for name, share in pool["imbalance"].items()}
    return found


def leaks(
    arm: Arm, folders: tuple[Path, Path, Path], tmp_path: Path, pool: dict[str, Any] | None = None
) -> dict[str, list[str]]:
    """Run an arm on its data and on three variants; return what differs in each of them, which is what leaked.

    Other hidden labels come after the pool was made with the options `pool`: these are the world, and may look at them.
    """
    images = pictures(folders[0], tmp_path / "plain", **(pool or {}))
    plain = run(arm, images, tmp_path / "plain")
    asked = set(plain.asked())
    assert len(plain.learners) >= 2 and len(asked) == arm.budget
    hidden = run(arm, with_other_hidden_labels(images, asked), tmp_path / "hidden")
    renamed = run(arm, renamed_images(folders, images, tmp_path / "renamed", pool), tmp_path / "renamed")
    test = run(arm, with_other_test_labels(images), tmp_path / "test")
    found = {
        "labels never asked for": differing(plain, hidden),
        "class names": differing(plain, renamed),
        "test labels": differing(plain, test),
    }
    if not any(found.values()):
        assert hidden.labels == plain.labels and measured(hidden) == measured(plain)
        assert renamed.labels == {id: OTHER_NAME[name] for id, name in plain.labels.items()}
        assert measured(test) != measured(plain), "the labels of the test images were really shuffled"
    return {variant: what for variant, what in found.items() if what}


def measured(left: Left) -> list[dict[str, Any]]:
    """Return the metrics of every round, without what depends on the clock."""
    return [{name: value for name, value in facts.items() if "seconds" not in name} for facts in left.metrics.values()]


def cold(strategy: str) -> str:
    """Return the strategy itself where it can start without labels, else random."""
    needs = registry.needs_of(registry.find("strategy", strategy), OPTIONS.get(strategy, {}))
    return strategy if set(needs) <= OF_ENCODER | OF_FIRST_ROUND | OF_HEADS else "random"


def arm_of(
    tmp_path: Path, weights: Path | None = None, strategy: str = "margin", first: str = "random", **sections: Any
) -> Arm:
    """Return an arm whose learner can give what the strategy needs, and which asks until the strategy has chosen."""
    options = OPTIONS.get(strategy, {})
    needs = registry.needs_of(registry.find("strategy", strategy), options) if ".py:" not in strategy else ()
    if OF_HEADS & set(needs):
        sections["pretext"] = small("pretext", "simclr")
    sources = registry.sources_of(needs).values()
    if any(source.traits["wants"] or source.traits["companion"] for source in sources):
        sections.setdefault("learner", {**small("learner", "supervised"), "dropout": 0.5})
    sections.setdefault("signals", small_signals())
    acquisition = {
        "budget": 16 if "previous_probabilities" in needs else 12,
        "strategy": strategy,
        "options": options,
        "first_round": first,
        "first_options": options if first == strategy else {},
    }
    if weights:
        sections["backbone"] = {"name": "wrn_10_1", "weights": str(weights)}
    return recipe(tmp_path / "tiny.yaml", acquisition=acquisition, **sections).arms["main"]


@pytest.mark.parametrize("name", [name for name in registry.methods("strategy") if name not in registry.bounds()])
def test_no_strategy_sees_a_hidden_label(name: str, folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    assert leaks(arm_of(tmp_path, folders[2], name, cold(name)), folders, tmp_path) == {}


def test_only_the_bound_reads_labels_that_a_project_lacks() -> None:
    assert registry.bounds() == ["oracle_greedy"]


@pytest.mark.parametrize("name", registry.methods("learner"))
def test_no_learner_sees_a_hidden_label(name: str, folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    arm = arm_of(tmp_path, folders[2], learner=small("learner", name))
    assert leaks(arm, folders, tmp_path) == {}


@pytest.mark.parametrize("name", registry.methods("pretext"))
def test_no_pretext_sees_a_label(name: str, folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    arm = arm_of(tmp_path, pretext=small("pretext", name))
    assert leaks(arm, folders, tmp_path) == {}


@pytest.mark.parametrize(
    ("pool", "noise"),
    [
        ({"imbalance": 3.0}, 0.0),
        ({"imbalance": {"one": 0.4}}, 0.0),
        ({"redundancy": 1}, 0.0),
        ({"out_of_class": ["two"]}, 0.0),
        ({}, 0.4),
        ({"imbalance": 3.0, "redundancy": 1, "out_of_class": ["two"]}, 0.4),
    ],
)
def test_no_hard_pool_shows_a_hidden_label(
    pool: dict[str, Any], noise: float, folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    labelling = {"answered_by": "oracle", "noise": noise}
    arm = arm_of(tmp_path, folders[2], learner=small("learner", "supervised"), labelling=labelling)
    assert leaks(arm, folders, tmp_path, pool) == {}


AWAY = """
import torch

from ssal.registry import scores


@scores
def away(features, out_of_class_features):
    if not len(out_of_class_features):
        return torch.zeros(len(features))
    return torch.cdist(features, out_of_class_features).amin(dim=1)
"""


@pytest.mark.parametrize("name", ["my_rules.py:away", "similar"])
def test_of_images_out_of_class_a_strategy_sees_those_answered_so_far(
    name: str, folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "my_rules.py").write_text(AWAY)
    arm = arm_of(tmp_path, folders[2], name, learner=small("learner", "supervised"))
    assert leaks(arm, folders, tmp_path, {"out_of_class": ["two"]}) == {}
    assert Ledger(tmp_path / "plain/run/main/seed_0/ledger.sqlite").before(1).of_no_class(), "there were some to see"


def test_an_image_out_of_class_before_its_answer_is_caught(
    folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_rules.py").write_text(AWAY)
    honest = collect.split

    def split(everything: Any, images: Images, ledger: Ledger, aside: Any = ()) -> Any:
        class Peeking(Ledger):
            def of_no_class(self) -> set[str]:
                return {id for id, label in images.hidden.items() if label not in images.classes}

        return honest(everything, images, Peeking(ledger.path), aside)

    monkeypatch.setattr(collect, "split", split)
    found = leaks(arm_of(tmp_path, folders[2], "my_rules.py:away"), folders, tmp_path, {"out_of_class": ["two"]})
    assert "chosen" in found["labels never asked for"]


def test_class_names_move_nothing_where_labels_are_given(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """A project that starts from labelled folders numbers its classes by the images, too, and never by their names."""
    chosen, learners = [], []
    for name, root in (("plain", folders[0]), ("renamed", folders[1])):
        data = {"source": "folder", "path": str(root), "size": 8, "flip": False, "labels": "given"}
        arm = arm_of(tmp_path, folders[2], labelling={"answered_by": "inbox"}, data=data)
        everything = pictures(root, tmp_path / name, labels="given")
        known = {id: everything.given[id] for id in everything.pool.ids[::3]}
        with pytest.raises(Waiting):
            run(arm, replace(everything, given=known), tmp_path / name)
        (table,) = (tmp_path / name).glob("run/*/seed_0/round_0/chosen.csv")
        (weights,) = (tmp_path / name).glob("learners/*/learner.safetensors")
        chosen.append(table.read_text())
        learners.append(weights.read_bytes())
    assert chosen[0] == chosen[1] and learners[0] == learners[1]


def test_corrected_test_labels_are_measured_with_learners_that_stand(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """What runs share holds no test label, so it cannot bring back the metrics of labels that were wrong."""
    arm = arm_of(tmp_path, folders[2], learner=small("learner", "supervised"))
    images = pictures(folders[0], tmp_path)
    corrected = with_other_test_labels(images)
    before = run(arm, images, tmp_path / "shared", name="before")
    learners = {path: path.stat().st_mtime_ns for path in (tmp_path / "shared" / "learners").glob("*/learner.*")}
    after = run(arm, corrected, tmp_path / "shared", name="after")
    assert {path: path.stat().st_mtime_ns for path in learners} == learners, "nothing is trained again"
    assert differing(before, after) == []
    assert measured(after) == measured(run(arm, corrected, tmp_path / "alone")) != measured(before)


# ------------------------------------------------------------------------------ the tests above would fail at a leak


def peeking(of: Callable[[Images, str], str]) -> Callable[[Encoder, Images], dict[str, torch.Tensor]]:
    """Return Encoder.features with a trace of what `of` says of every pool image in the first feature."""
    honest = Encoder.features

    def features(self: Encoder, images: Images) -> dict[str, torch.Tensor]:
        found = {part: rows.clone() for part, rows in honest(self, images).items()}
        for row, id in enumerate(images.pool.ids):
            found["pool"][row, 0] += 0.01 * hashlib.sha256(of(images, id).encode()).digest()[0]
        return found

    return features


SOURCES: dict[str, Callable[[Images, str], str]] = {
    "labels never asked for": lambda images, id: images.hidden[id],
    "class names": lambda images, id: images.pool.paths[images.pool.row(id)],
    "test labels": lambda images, id: f"{id} {images.test_labels}",
}


@pytest.mark.parametrize("what", SOURCES)
def test_a_leak_into_the_features_is_caught(
    what: str, folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Encoder, "features", peeking(SOURCES[what]))
    assert what in leaks(arm_of(tmp_path, folders[2]), folders, tmp_path)


def test_training_on_a_label_that_was_not_asked_for_is_caught(
    folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = ssal.round.train

    def train(encoder: Encoder, images: Images, ledger: Ledger, *given: Any, **options: Any) -> Any:
        class Peeking(Ledger):
            def numbered(self, classes: Sequence[str]) -> dict[str, int]:
                known, numbers = super().numbered(classes), self.class_numbers(classes)
                return {id: numbers[images.hidden[id]] for id in images.pool.ids[:20]} | known if known else known

        return honest(encoder, images, Peeking(ledger.path), *given, **options)

    monkeypatch.setattr(ssal.round, "train", train)
    arm = arm_of(tmp_path, folders[2], learner=small("learner", "supervised"))
    assert "learners" in leaks(arm, folders, tmp_path)["labels never asked for"]


def test_classes_numbered_by_name_are_caught(
    folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_name(self: Ledger, classes: Sequence[str]) -> dict[str, int]:
        return {name: number for number, name in enumerate(sorted({*classes, *self.labels().values()}))}

    monkeypatch.setattr(Ledger, "class_numbers", by_name)
    found = leaks(arm_of(tmp_path, folders[2], learner=small("learner", "supervised")), folders, tmp_path)
    assert set(found) == {"class names"} and "learners" in found["class names"]


PEEK = """
import inspect

import torch

from ssal.registry import scores


@scores
def peek(features):
    frame, seen = inspect.currentframe(), {}
    while frame:
        seen = {**frame.f_locals, **seen}
        frame = frame.f_back
    rare = sorted(seen["images"].hidden.values())[0]
    return torch.tensor([float(seen["images"].hidden[id] == rare) for id in seen["shuffled"]])
"""


def test_a_strategy_of_ones_own_that_peeks_is_caught(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    (tmp_path / "my_rules.py").write_text(PEEK)
    found = leaks(arm_of(tmp_path, folders[2], "my_rules.py:peek"), folders, tmp_path)
    assert "chosen" in found["labels never asked for"]
