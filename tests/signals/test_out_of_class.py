"""Images answered to be of none of the classes: kept out of training, and offered to strategies as out of class."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from fitted import scored, two_clusters
from standing_rounds import noise, pool_of
from tiny_runs import pictures, recipe, run, small, write_pictures

from ssal import registry
from ssal.artefacts import read_tensors
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.labelling.answers import NONE, SKIPPED
from ssal.labelling.ledger import AUDIT, Entry, Ledger
from ssal.signals.parts import split, unlabelled
from ssal.signals.vocabulary import PARTS, VOCABULARY, whole

RULE = """
import torch

from ssal.registry import scores


@scores
def near(ssl_features, out_of_class_ssl_features):
    if not len(out_of_class_ssl_features):
        return torch.zeros(len(ssl_features))
    return -torch.cdist(ssl_features.double(), out_of_class_ssl_features.double()).amin(dim=1)
"""


@pytest.fixture
def images() -> Images:
    return pool_of(noise(12))


def told(images: Images, path: Path) -> Ledger:
    """Return a ledger of three rounds in which rows 2 and 7 are of no class, and row 9 of the audit slice is so too."""
    ids, ledger = images.pool.ids, Ledger(path)
    ledger.append([Entry(ids[7], None, "ann", 0, "random", kind=NONE), Entry(ids[4], "b", "ann", 0, "random")])
    ledger.append(
        [
            Entry(ids[2], None, "ann", 1, "margin", kind=NONE),
            Entry(ids[5], None, "ann", 1, "margin", kind=SKIPPED),
            Entry(ids[9], None, "ann", 1, AUDIT, kind=NONE),
        ]
    )
    return ledger


def test_every_answer_but_the_audits_stands_where_it_belongs(images: Images, tmp_path: Path) -> None:
    everything = {"features": torch.arange(12.0)[:, None], "probabilities": torch.arange(24.0).reshape(12, 2)}
    table = split(everything, images, told(images, tmp_path / "ledger.sqlite"), aside={images.pool.ids[0]})
    assert table["out_of_class_features"].tolist() == [[2.0], [7.0]]
    assert table["out_of_class_probabilities"].tolist() == [[4.0, 5.0], [14.0, 15.0]]
    assert table["labelled_features"].tolist() == [[4.0]]
    assert table["rows"].tolist() == [1, 3, 5, 6, 8, 10, 11], "what was skipped may be asked again"


def test_rows_are_those_answered_before_the_round_and_still_there(images: Images, tmp_path: Path) -> None:
    ledger, features = told(images, tmp_path / "ledger.sqlite"), {"features": torch.arange(12.0)[:, None]}
    found = [split(features, images, ledger.before(n))["out_of_class_features"].tolist() for n in range(3)]
    assert found == [[], [[7.0]], [[2.0], [7.0]]]
    assert split(features, images, ledger.before(0))["out_of_class_features"].shape == (0, 1)
    left = set(images.pool.ids) - {images.pool.ids[7]}
    assert split(features, images, ledger.among(left))["out_of_class_features"].tolist() == [[2.0]]


def test_neither_they_nor_the_audits_count_as_unlabelled(images: Images, tmp_path: Path) -> None:
    rows = unlabelled(images, told(images, tmp_path / "ledger.sqlite"), aside={images.pool.ids[0]})
    assert rows.tolist() == [1, 3, 5, 6, 8, 10, 11]


FITTED = [
    source.name
    for source in registry.methods("signal").values()
    if {"labelled_rows", "trainer"} <= {*source.needs, *source.given}
]


@pytest.mark.parametrize("name", FITTED)
def test_what_is_fitted_learns_nothing_from_which_of_them_is_which(name: str, tmp_path: Path) -> None:
    """Two images that are no unlabelled ones change places; the scores of all others stay."""
    features = two_clusters(20, 4)
    features[[3, 4]] += torch.tensor([[2.0], [-2.0]])
    swapped = features.clone()
    swapped[[3, 4]] = features[[4, 3]]
    left = torch.tensor([row for row in range(40) if row not in (0, 3, 4, 5, 21)])
    given = {"unlabelled_rows": left, "steps": 20, "batch_size": 8, "dropout": 0.0, "labels": torch.zeros(3).long()}
    plain = scored(name, tmp_path / "plain", features, [0, 5, 21], **given)
    found = scored(name, tmp_path / "swapped", swapped, [0, 5, 21], **given)
    assert torch.allclose(plain[left], found[left], atol=1e-4)
    given["unlabelled_rows"] = torch.cat([left, torch.tensor([3, 4])])
    counted = scored(name, tmp_path / "counted", features, [0, 5, 21], **given)
    assert not torch.allclose(plain[left], counted[left], atol=1e-4), "as unlabelled ones they do count"


def test_parts_are_named_for_the_same_signals() -> None:
    named = [{name.removeprefix(part) for name in VOCABULARY if name.startswith(part)} for part in PARTS]
    assert named[0] == named[1] <= set(VOCABULARY)
    assert {whole(f"{part}features") for part in ("", *PARTS)} == {"features"}
    assert set(registry.sources_of(["out_of_class_features", "out_of_class_ssl_features"])) == {"outputs", "encoder"}


def test_a_strategy_of_ones_own_knows_them(tmp_path: Path) -> None:
    """Its scores are minus the distances to images answered `none` in the rounds before, and to no others."""
    (tmp_path / "my_rules.py").write_text(RULE)
    arm = recipe(
        tmp_path / "tiny.yaml",
        pretext=small("pretext", "simclr"),
        acquisition={"strategy": "my_rules.py:near", "budget": 20},
    ).arms["main"]
    images = pictures(write_pictures(tmp_path / "pictures"), tmp_path, out_of_class=["two", "three"])
    left = run(arm, images, tmp_path)
    ledger = Ledger(tmp_path / "run/main/seed_0/ledger.sqlite")
    (stored,) = (path for path in (tmp_path / "encoders").rglob("*.safetensors") if "pool" in read_tensors(path))
    features = read_tensors(stored)["pool"].double()
    counts = []
    for number in (1, 2, 3):
        outside = sorted(images.pool.row(id) for id in ledger.before(number).of_no_class())
        counts.append(len(outside))
        for row in csv.DictReader(left.chosen[number].splitlines()):
            away = torch.cdist(features[[images.pool.row(row["id"])]], features[outside]).min()
            assert float(row["score"]) == pytest.approx(-float(away), rel=1e-5)
    assert 0 < counts[0] < counts[-1], "answers of a round are there in the next"
    assert ledger.of_no_class() == {id for id in left.asked() if images.hidden[id] in ("two", "three")}
    assert not ledger.of_no_class() & set(ledger.labels())


def test_before_there_is_a_learner_they_are_the_encoders(tmp_path: Path) -> None:
    (tmp_path / "my_rules.py").write_text(RULE + RULE.replace("ssl_features", "features").replace("near", "astray"))
    options = {"strategy": "my_rules.py:near", "first_round": "my_rules.py:astray"}
    warm = recipe(tmp_path / "warm.yaml", pretext=small("pretext", "simclr"), acquisition=options)
    assert warm.arms["main"].needs(first=True) == ("features", "out_of_class_features")
    with pytest.raises(BadInput, match="'my_rules.py:near' needs ssl_features, out_of_class_ssl_features, but nothing"):
        recipe(tmp_path / "cold.yaml", acquisition=options)


def test_a_misspelt_name_is_answered_with_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "my_rules.py").write_text(RULE.replace("out_of_class_ssl", "out_of_classes_ssl"))
    with pytest.raises(BadInput, match="did you mean 'out_of_class_ssl_features'"):
        recipe(tmp_path / "tiny.yaml", acquisition={"strategy": "my_rules.py:near"})
