"""A small learner and the images it can tell apart, for sources that are called without a run."""

from __future__ import annotations

from typing import Any

import torch

from ssal import backbones, registry
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.base import Learner


def halves(count: int = 60, side: int = 8) -> tuple[ImageSet, torch.Tensor]:
    """Return images whose upper (0) or lower (1) half is bright, and which it is."""
    labels = torch.arange(count) % 2
    pixels = torch.randint(0, 120, (count, 3, side, side), generator=torch.Generator().manual_seed(0))
    pixels[labels == 0, :, : side // 2] += 130
    pixels[labels == 1, :, side // 2 :] += 130
    return ImageSet([f"{i:016x}" for i in range(count)], [""] * count, pixels.to(torch.uint8)), labels


def supervised(images: ImageSet, **options: Any) -> Learner:
    """Return a supervised learner of two classes, with the same first weights every time."""
    views = Views((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), flip=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = backbones.build(images.shape, name="wrn_10_1")
        learner: Learner = registry.find("learner", "supervised").call(encoder, views, 2, **options)
    return learner
