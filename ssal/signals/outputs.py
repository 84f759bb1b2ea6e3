"""Outputs: what one forward of the evaluated learner says of each image."""

from __future__ import annotations

from torch import Tensor

from ssal.learner.base import Learner
from ssal.registry import signal


@signal("probabilities", "logits", "features", each="batch")
def outputs(learner: Learner, images: Tensor) -> dict[str, Tensor]:
    """Give logits, probabilities and last hidden features of a batch, averaged weights, deterministic view."""
    logits, features = learner(images)
    return {"logits": logits, "probabilities": logits.softmax(dim=1), "features": features}
