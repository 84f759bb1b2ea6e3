"""Contrast loss: how badly the trained pretext still matches two views of each image."""

from __future__ import annotations

from typing import Annotated

import pytorch_lightning as pl
import torch
from pydantic import Field
from torch import Tensor

from ssal import loop
from ssal.data import batches
from ssal.data.images import Images
from ssal.pretext.base import Pretext
from ssal.pretext.encoder import Encoder
from ssal.registry import signal
from ssal.streams import generator, stream

BLOCK = 256
"""Views are drawn for so many rows at a time, whatever else a batch is: an image's draw follows from its row alone."""


class _Losses(pl.LightningModule):
    def __init__(self, pretext: Pretext, images: Images, names: tuple[int | str, ...], draws: int) -> None:
        super().__init__()
        self.pretext, self.names, self.draws = pretext, names, draws
        order = torch.randperm(len(images.pool), generator=generator(*names, "others"))
        self.other_rows = order[: pretext.batch_size].sort().values
        self.others = images.pool.fetch(self.other_rows)

    def views(self, images: Tensor, *names: int | str) -> tuple[Tensor, Tensor]:
        first, second = (stream(*self.names, *names, "view", view) for view in (1, 2))
        return self.pretext.two_views(images, first, second)

    def predict_step(self, batch: dict[str, Tensor], index: int) -> dict[str, Tensor]:
        images, rows = batch["images"], batch["rows"]
        if index == 0:
            self.pretext.refer(*self.views(self.others.to(self.device), "others"), self.other_rows)
        losses = [
            self.pretext.image_losses(*self.views(images, "block", index, "draw", draw), rows).float()
            for draw in range(self.draws)
        ]
        return {"contrast_loss": torch.stack(losses).mean(dim=0)}


@signal("contrast_loss", each="round", forwards=("draws", 2))
def contrast_loss(
    encoder: Encoder,
    images: Images,
    *,
    names: tuple[int | str, ...],
    trainer: dict[str, object],
    draws: Annotated[int, Field(gt=0)] = 1,
) -> dict[str, Tensor]:
    """Give the pretext's own loss on two of its random views of every training image, in nats or as minus a cosine.

    It is the mean over `draws` pairs of views, each at the cost of two forward passes. BatchNorm has its running
    statistics, and what images are contrasted with is the same for all: for SimCLR two views of a batch drawn from the
    training images, for MoCo v2 its last queue, for BYOL and SimSiam nothing. Raises BadInput for other pretexts.
    """
    scorer = _Losses(encoder.pretext(images), images, names, draws)
    return loop.predict(scorer, batches.numbered(images.pool, BLOCK), trainer)
