"""Every learner where images or labels are short: it works, or says what to change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_learners import LEARNERS
from tiny_runs import NAMES, pictures, small, write_pictures

from ssal import registry
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.labelling.ledger import Entry, Ledger
from ssal.learner.train import train
from ssal.learner.trained import Trained
from ssal.pretext.pretrain import pretrain

KNOWS_CLASSES_BY_LABEL = ("linear_probe", "label_propagation")
"""The others may name a class without a label: gp_head by its prior, trained ones as they have made few steps."""
TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true", "checkpoint_seconds": 600.0}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("few")


@pytest.fixture(scope="module")
def images(place: Path) -> Images:
    """A pool of 60 images of four classes."""
    return pictures(write_pictures(place / "pictures"), place)


def trained(place: Path, folder: Path, images: Images, name: str, labels: dict[str, str], **options: int) -> Trained:
    backbone = {"name": "wrn_10_1", "weights": None}
    encoder = pretrain(images, place, seed=0, trainer=TRAINER, method="none", options={}, backbone=backbone)
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.append([Entry(id, label, "oracle", 0, "random") for id, label in labels.items()])
    section = small("learner", name)
    own = {key: value for key, value in options.items() if key in registry.find("learner", name).options}
    method = section.pop("method")
    given = {**registry.find("learner", name).options, **section, **own}
    found = train(encoder, images, ledger, 1, place, 0, TRAINER, method=method, options=given)
    assert found
    return found


def of_class(images: Images, label: str, count: int) -> dict[str, str]:
    return dict.fromkeys([id for id in images.pool.ids if images.hidden[id] == label][:count], label)


@pytest.mark.parametrize("name", LEARNERS)
def test_one_label_in_all(name: str, images: Images, place: Path, tmp_path: Path) -> None:
    found = trained(place, tmp_path, images, name, of_class(images, "two", 1)).test_probabilities()
    assert torch.isfinite(found).all() and torch.allclose(found.sum(dim=1), torch.ones(len(found)), atol=1e-4)
    if name in KNOWS_CLASSES_BY_LABEL:
        assert (found.argmax(dim=1) == 0).all(), "the only class that has a label"


@pytest.mark.parametrize("name", LEARNERS)
def test_a_class_without_a_label(name: str, images: Images, place: Path, tmp_path: Path) -> None:
    labels = {id: label for label in NAMES[:3] for id in of_class(images, label, 2)}
    found = trained(place, tmp_path, images, name, labels, class_balanced=True).test_probabilities()
    assert found.shape[1] == 4 and torch.isfinite(found).all()
    if name in KNOWS_CLASSES_BY_LABEL:
        assert not (found.argmax(dim=1) == 3).any()


@pytest.mark.parametrize("name", LEARNERS)
def test_batches_larger_than_the_labelled_set_and_than_the_pool(
    name: str, images: Images, place: Path, tmp_path: Path
) -> None:
    labels = {id: label for label in NAMES for id in of_class(images, label, 2)}
    found = trained(place, tmp_path, images, name, labels, batch_size=32, mu=3, steps=2)
    assert torch.isfinite(found.test_probabilities()).all()


def test_a_label_of_an_image_that_left_the_pool(images: Images, place: Path, tmp_path: Path) -> None:
    labels = {**of_class(images, "one", 2), "f" * 16: "two"}
    with pytest.raises(BadInput, match="no image has the id 'ffffffffffffffff'"):
        trained(place, tmp_path, images, "supervised", labels)
