"""Trained: a classifier on disk and how to score images with it; what stage 2 leaves for the later ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ssal import loop
from ssal.artefacts import read_json
from ssal.data import batches
from ssal.data.images import Images
from ssal.learner.base import Learner


@dataclass(frozen=True)
class Trained:
    """A classifier on disk, ready to score, and what was written down when it was made."""

    learner: Learner
    images: Images
    """The images as this learner wants them: features for a frozen one."""
    folder: Path
    trainer: dict[str, Any]

    @property
    def record(self) -> dict[str, Any]:
        """Metrics on the test images, seconds, loss curve."""
        return read_json(self.folder / "record.json")


def score(learner: Learner, images: Images, part: str, trainer: dict[str, Any]) -> dict[str, Tensor]:
    """Return what the learner says of every image of one part, rows in id order."""
    return loop.predict(learner, batches.in_order(getattr(images, part)), trainer)
