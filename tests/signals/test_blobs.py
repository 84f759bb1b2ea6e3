"""VAAL and its kin on images: of two coloured blobs, one without labels, they ask for that one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fitted import area_under_curve, blobs, scored
from torch import Tensor

from ssal.data import batches

IMAGES = blobs(60)
LABELLED = [row for row in range(60) if row % 3 == 0]
SMALL: dict[str, Any] = {"batch_size": 16, "width": 8, "hidden": 64, "learning_rate": 1e-3}


def told_apart(scores: Tensor) -> float:
    """Return the area under the curve, and check that the thirty asked for first are of the blob without labels."""
    unlabelled = scores.clone()
    unlabelled[LABELLED] = -torch.inf
    assert (unlabelled.topk(30).indices >= 60).all()
    return area_under_curve(scores[60:], scores[:60])


@pytest.mark.parametrize(
    "form",
    [
        {"kl_reduction": "elbo"},
        {"kl_reduction": "mean"},
        {"kl_reduction": "official_sum", "kl_weight": 1 / (16 * 32)},
    ],
    ids=["elbo", "mean", "official_sum weighed down"],
)
def test_vaal_asks_for_the_blob_without_labels(form: dict[str, Any], tmp_path: Path) -> None:
    """100 steps of 16 + 16 images suffice; summed over 16 images and 32 dimensions the KL needs its weight divided."""
    assert told_apart(scored("vaal", tmp_path, IMAGES, LABELLED, steps=100, **form, **SMALL)) > 0.95


def test_the_kl_of_the_authors_code_collapses(tmp_path: Path) -> None:
    """Summed over the batch, the KL outweighs the mean squared error: all means go to 0, and nothing tells apart."""
    scores = scored("vaal", tmp_path, IMAGES, LABELLED, steps=100, kl_reduction="official_sum", **SMALL)
    assert area_under_curve(scores[60:], scores[:60]) < 0.9
    fine = scored("vaal", tmp_path / "fine", IMAGES, LABELLED, steps=100, kl_reduction="elbo", **SMALL)
    assert scores.std() < fine.std() / 10


@pytest.mark.parametrize("source", ["ta_vaal", "sraal"])
def test_its_kin_ask_for_the_blob_without_labels(source: str, tmp_path: Path) -> None:
    """100 steps, of which a faster SRAAL makes up for its decaying rate."""
    more = {**SMALL, "learning_rate": 3e-3} if source == "sraal" else SMALL
    assert told_apart(scored(source, tmp_path, IMAGES, LABELLED, steps=100, **more)) > 0.95


def test_row_i_is_of_image_i(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BatchNorm has averaged statistics at scoring, so no image's score follows from what stands beside it."""
    expected = scored("vaal", tmp_path / "all", IMAGES, LABELLED, steps=2, **SMALL)
    numbered = batches.numbered
    monkeypatch.setattr(batches, "numbered", lambda images: numbered(images, 7))
    found = scored("vaal", tmp_path / "parts", IMAGES, LABELLED, steps=2, **SMALL)
    assert torch.allclose(found, expected, atol=1e-5) and expected.std() > 1e-4


def test_images_that_are_all_alike_get_one_score(tmp_path: Path) -> None:
    alike = scored("vaal", tmp_path, torch.full((5, 3, 4, 4), 9, dtype=torch.uint8), [0, 1], steps=2, **SMALL)
    assert alike.isfinite().all() and alike.std() < 1e-5, "the draw between them is random"
