"""Images of the audit and those of none of the classes: no learner sees them in training, not even without a label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from standing_rounds import noise, pool_of
from test_learners import LEARNERS
from tiny_runs import NAMES, small
from torch import Tensor

from ssal import registry
from ssal.data.images import Images, ImageSet
from ssal.labelling.answers import NONE
from ssal.labelling.ledger import AUDIT, Entry, Ledger
from ssal.learner.train import train
from ssal.learner.trained import Trained
from ssal.pretext.pretrain import pretrain

TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true", "checkpoint_seconds": 600.0}
ASIDE, AUDITED, OUT_OF_CLASS, UNANSWERED = 20, 21, 22, 23
"""Rows: set aside for the audit, answered for it, found to be of none of the classes, and open."""
LABELS_ALONE = {"supervised", "linear_probe", "supervised_contrastive"}
"""What other images show is nothing to them."""

SURE: dict[str, dict[str, float]] = {"ceal": {"threshold": 5.0}, "pseudo_label": {"threshold": 0.0}}
"""So that every image gets a pseudo-label."""


def other_pixels(images: Images, rows: list[int]) -> Images:
    """Return the same data set, in which the images of `rows` show something else."""
    pixels: Tensor = images.pool.fetch(torch.arange(len(images.pool))).clone()
    pixels[rows] = pixels[rows].flip(1, 2) // 3
    return replace(images, pool=ImageSet(images.pool.ids, images.pool.paths, pixels))


def trained(name: str, images: Images, folder: Path, **own: float) -> Trained:
    """Train on twelve labels; three answers of the ledger and one image of the audit to come are not for training."""
    ledger, ids = Ledger(folder / "ledger.sqlite"), images.pool.ids
    ledger.append([Entry(id, NAMES[row % 4], "ann", 0, "random") for row, id in enumerate(ids[:12])])
    ledger.append([Entry(ids[AUDITED], NAMES[0], "ann", 0, AUDIT)])
    ledger.append([Entry(ids[OUT_OF_CLASS], None, "ann", 0, "random", kind=NONE)])
    backbone = {"name": "wrn_10_1", "weights": None}
    encoder = pretrain(images, folder, seed=0, trainer=TRAINER, method="none", options={}, backbone=backbone)
    section = small("learner", name)
    method = section.pop("method")
    options = {**registry.find("learner", name).options, **section, **own}
    aside = (ids[ASIDE], ids[0])  # a labelled image stays one, whatever the audit's order says today
    found = train(encoder, images, ledger, 1, folder, 0, TRAINER, method=method, options=options, aside=aside)
    assert found
    return found


def weights(found: Trained) -> dict[str, Tensor]:
    return dict(found.learner.average.state_dict())


def same(one: Trained, other: Trained) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("name", LEARNERS)
def test_what_they_show_changes_no_weight(name: str, tmp_path: Path) -> None:
    images = pool_of(noise(28))
    own = SURE.get(name, {})
    plain = trained(name, images, tmp_path / "plain", **own)
    apart = trained(name, other_pixels(images, [ASIDE, AUDITED, OUT_OF_CLASS]), tmp_path / "apart", **own)
    assert same(plain, apart)
    another = trained(name, other_pixels(images, [UNANSWERED]), tmp_path / "another", **own)
    assert same(plain, another) == (name in LABELS_ALONE), "any other image without a label does count"


def test_weights_of_equal_averages_have_statistics_without_them(tmp_path: Path) -> None:
    images = pool_of(noise(28))
    plain = trained("fixmatch", images, tmp_path / "plain", swa_from=0.5)
    apart = trained("fixmatch", other_pixels(images, [ASIDE, AUDITED, OUT_OF_CLASS]), tmp_path / "apart", swa_from=0.5)
    assert same(plain, apart)


def test_they_are_predicted_like_all_others(tmp_path: Path) -> None:
    """Also by label propagation, whose graph they are no part of: they get their neighbours' vote."""
    images = pool_of(noise(28))
    for name in ("fixmatch", "label_propagation"):
        found = trained(name, images, tmp_path / name)
        rows = torch.tensor([ASIDE, AUDITED, OUT_OF_CLASS])
        logits, _ = found.learner.eval()(found.images.pool.fetch(rows))
        assert torch.isfinite(logits).all() and logits.shape == (3, 4)
