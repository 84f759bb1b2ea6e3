"""OnePass: every per-batch source looks at the same batch, so that scoring reads and forwards the pool once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from ssal.learner.base import Learner
from ssal.method import Method


class OnePass(pl.LightningModule):
    """Calls every per-batch source on the same batch, so the pool is read and forwarded once for all of them."""

    def __init__(self, learner: Learner, sources: Sequence[tuple[Method, dict[str, Any]]]) -> None:
        """`sources` are methods with their keywords: the recipe's options and what the round gives."""
        super().__init__()
        self.learner, self.sources = learner, sources

    def predict_step(self, batch: dict[str, Tensor], index: int) -> dict[str, Tensor]:
        """Return all sources' tensors of one batch."""
        supplied = {"learner": self.learner, **batch}
        return {
            name: rows
            for source, keywords in self.sources
            for name, rows in source.call(*(supplied[need] for need in source.needs), **keywords).items()
        }
