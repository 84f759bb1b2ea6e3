"""Companions that come afterwards: heads fitted on a learner that was trained without them and stays as it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from ssal.data import batches
from ssal.learner.base import Learner
from ssal.learner.companion import Companion, Companions
from ssal.learner.trained import Trained
from ssal.method import Method
from ssal.signals.kept import FITTING
from ssal.signals.membership import fit
from ssal.streams import stream

log = logging.getLogger("ssal")

STEPS, BATCH_SIZE, LEARNING_RATE = 500, 64, 1e-3
"""Of a head alone: seconds, as no gradient passes the network."""


class Afterwards(pl.LightningModule):
    """Trains one head of a learner on its labelled images; everything else is frozen and in eval mode."""

    def __init__(self, learner: Learner, companions: Companions, head: Companion, names: tuple[int | str, ...]) -> None:
        """`companions` watch the learner's averaged weights, and `head` is one of theirs."""
        super().__init__()
        self.learner, self.companions, self.head, self.names = learner, companions, head, names

    def training_step(self, batch: dict[str, Any], index: int) -> Tensor:
        """Return the head's loss on weak views, as in training, or on the features that a frozen learner is given."""
        images = batch["labelled"]
        self.learner.eval()
        with torch.no_grad():
            if images.ndim == 4:
                with self.companions.watching():
                    logits, _ = self.learner.average(
                        self.learner.views.weak(images, *self.names, "step", self.global_step)
                    )
            else:
                logits, _ = self.learner(images)
        return self.head.loss(self.companions.maps, logits, batch["labels"], self.global_step / STEPS)

    def configure_optimizers(self) -> Any:
        """Adam, for the head alone."""
        return torch.optim.Adam(self.head.parameters(), lr=LEARNING_RATE)


def accompany(
    trained: Trained,
    sources: Mapping[str, Method],
    options: Mapping[str, dict[str, Any]],
    names: tuple[int | str, ...],
    folder: Path,
) -> dict[str, float]:
    """Fit every head that `sources` read and that the learner was not trained with; return seconds by source.

    Such a head has 500 steps of 64 labelled images with Adam, and sees losses of a learner that knows these images by
    heart; of one labelled image alone it learns nothing, and a warning says so. A frozen learner's head sees its
    features in place of feature maps. Raises BadInput where a network does not say where its maps are, and Diverged
    where a loss is not finite.
    """
    seconds = {}
    for name, source in sources.items():
        heads = trained.learner.average.companions
        if source.traits["companion"] and (heads is None or name not in heads.heads):
            began = time.perf_counter()
            _fit(trained, name, source.traits["companion"], options.get(name, {}), (*names, name), folder)
            seconds[name] = time.perf_counter() - began
    return seconds


def _fit(
    trained: Trained,
    name: str,
    kind: type[Companion],
    options: dict[str, Any],
    names: tuple[int | str, ...],
    folder: Path,
) -> None:
    learner = trained.learner
    if len(learner.labels) < 2:
        log.warning(
            "signals.%s: one labelled image has no other to be ranked with, so what the head says is chance", name
        )
    learner.average.companions = companions = learner.average.companions or Companions(learner.average)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(*names, "weights"))
        companions.heads[name] = head = kind(companions.channels, **options)

    def labelled(steps: range) -> Iterator[dict[str, Any]]:
        return batches.labelled_and_unlabelled(
            learner.pool, steps, learner.labelled_rows, learner.labels, BATCH_SIZE, 0, names
        )

    module, trainer = Afterwards(learner, companions, head, names), {**trained.trainer, "compile": False}
    fit(module, STEPS, labelled, folder / f"{FITTING}{name}", names, trainer)
    head.requires_grad_(False)
