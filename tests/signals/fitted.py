"""Sources that fit networks, called as `collect` calls them, on small sets of images and features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssal import registry
from ssal.data.images import Images, ImageSet
from ssal.data.views import Views
from ssal.pretext.encoder import Encoder

TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
VIEWS = Views((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), flip=False)


def set_of_rows(pixels: Tensor) -> ImageSet:
    return ImageSet([f"{row:016x}" for row in range(len(pixels))], [""] * len(pixels), pixels)


def embeddings_of(features: Tensor) -> tuple[Encoder, Images]:
    """Return an encoder whose features are the data itself, and those data."""
    pool = set_of_rows(features)
    encoder = Encoder(Path(), "", tuple(features.shape[1:]), {}, 0, True, TRAINER, False, {})
    mean = torch.zeros(features.shape[1])
    return encoder, Images(pool, set_of_rows(features[:0]), (), mean, mean + 1, {}, {}, (), "", False, {})


def scored(source: str, folder: Path, pixels: Tensor, labelled: Sequence[int], seed: int = 0, **more: Any) -> Tensor:
    """Return what a source gives of `pixels`, of which the rows `labelled` have labels.

    `more` are its options and what else it is called with; where the pixels are embeddings they are `features`, too.
    """
    method = registry.find("signal", source)
    encoder, images = embeddings_of(pixels if pixels.ndim == 2 else torch.zeros(len(pixels), 4))
    supplied: dict[str, Any] = {
        "encoder": encoder,
        "images": images,
        "pool": set_of_rows(pixels),
        "views": VIEWS,
        "features": pixels,
        "labelled_rows": torch.tensor(labelled, dtype=torch.long),
        "unlabelled_rows": torch.tensor([row for row in range(len(pixels)) if row not in labelled], dtype=torch.long),
        "labels": torch.zeros(len(labelled), dtype=torch.long),
        "names": (seed, "test", source),
        "trainer": TRAINER,
        "folder": folder,
        "probabilities": torch.full((len(pixels), 2), 0.5),
        "predicted_loss": torch.zeros(len(pixels)),
        **more,
    }
    options = {name: more[name] for name in method.options if name in more}
    given = {name: supplied[name] for name in method.given}
    found = method.call(*(supplied[need] for need in method.needs), **given, **options)
    assert tuple(found) == method.provides and all(len(rows) == len(pixels) for rows in found.values())
    return next(iter(found.values()))


def area_under_curve(positive: Tensor, negative: Tensor) -> float:
    """Return how often a positive score is above a negative one; half of what is equal."""
    above = (positive[:, None] - negative[None, :]).sign()
    return float((above + 1).mean() / 2)


def two_clusters(count: int, dimensions: int = 2, distance: float = 8.0, seed: int = 0) -> Tensor:
    """Return `count` points (count,D) around 0, and as many around (`distance`, 0, …)."""
    points = torch.randn(2 * count, dimensions, generator=torch.Generator().manual_seed(seed))
    points[count:, 0] += distance
    return points


def blobs(count: int, side: int = 8, seed: int = 0) -> Tensor:
    """Return noisy images with a red square somewhere (`count`,3,S,S), and as many with a blue one."""
    generator = torch.Generator().manual_seed(seed)
    images = (40 * torch.rand(2 * count, 3, side, side, generator=generator)).to(torch.uint8)
    corners = torch.randint(0, side - 4, (2 * count, 2), generator=generator).tolist()
    for row, (down, right) in enumerate(corners):
        images[row, 0 if row < count else 2, down : down + 5, right : right + 5] = 230
    return images
