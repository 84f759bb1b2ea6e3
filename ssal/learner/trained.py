"""Trained: a classifier on disk and how to score images with it; what stage 2 leaves for the later ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ssal import loop
from ssal.artefacts import read_json, read_tensors, write_tensors
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
        """What was trained on what, seconds, loss curve."""
        return read_json(self.folder / "record.json")

    def test_probabilities(self) -> Tensor:
        """Return what the learner says of every test image, (m,C) in id order, computed once.

        No test label is kept beside a learner that other runs may share: labels are corrected, files stay.
        """
        path = self.folder / "test.safetensors"
        if not path.exists():
            logits = loop.predict(self.learner, batches.in_order(self.images.test), self.trainer)["logits"]
            write_tensors(path, {"probabilities": logits.softmax(dim=1)})
        return read_tensors(path)["probabilities"]
