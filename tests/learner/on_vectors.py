"""Learners whose images are vectors that views leave alone, so that losses can be worked out by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ssal import registry
from ssal.backbones import Identity
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.base import Learner


class SameViews(Views):
    """Returns every image as it is, in every view."""

    def weak(self, images: Tensor, *names: int | str) -> Tensor:
        return images

    def strong(self, images: Tensor, *names: int | str) -> Tensor:
        return images


def learner_of_logits(
    name: str, classes: int, pool: int, rows: list[int], labels: list[int], **options: Any
) -> Learner:
    """Return a learner whose head passes vectors of `classes` numbers on as logits, after `see`."""
    torch.manual_seed(0)
    views = SameViews((), (), flip=False)
    learner: Learner = registry.find("learner", name).call(Identity(classes), views, classes, **options)
    with torch.no_grad():
        learner.network.head.weight.copy_(torch.eye(classes))
        learner.network.head.bias.zero_()
    images = ImageSet([f"{i:016x}" for i in range(pool)], [""] * pool, torch.zeros(pool, classes))
    learner.see(images, torch.tensor(rows), torch.tensor(labels))
    return learner


def batch(labelled: list[Any], labels: list[int], unlabelled: list[Any], **rows: list[int]) -> dict[str, Any]:
    """Return a batch of vectors; rows count from 0 where none are given."""
    return {
        "labelled": torch.tensor(labelled),
        "labels": torch.tensor(labels),
        "labelled_rows": torch.tensor(rows.get("labelled_rows", range(len(labels)))),
        "unlabelled": torch.tensor(unlabelled),
        "unlabelled_rows": torch.tensor(rows.get("unlabelled_rows", range(len(unlabelled)))),
    }
