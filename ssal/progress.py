"""One bar for a whole training on a terminal: stage, round, steps, time left."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar


class StageBar(RichProgressBar):
    """Lightning's rich bar over all steps of a training, where its own would begin anew with every leg."""

    def __init__(self, names: tuple[int | str, ...]) -> None:
        """`names` are the training's random stream, which says seed, round and stage."""
        super().__init__(leave=False)
        self.words = " ".join(["seed", *map(str, names)])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the bar with the first leg only."""
        if self.is_enabled and self.progress is not None and self.train_progress_bar_id is None:
            self.train_progress_bar_id = self._add_task(trainer.max_steps, self.words)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Show the step."""
        if self.progress is not None and self.train_progress_bar_id is not None:
            self.progress.update(self.train_progress_bar_id, completed=trainer.global_step)
