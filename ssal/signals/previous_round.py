"""Previous round: what the last learner said of the same images."""

from __future__ import annotations

from torch import Tensor

from ssal.registry import signal


@signal("previous_probabilities", each="round")
def previous_round(previous: Tensor) -> dict[str, Tensor]:
    """Give the probabilities that the last round's learner left on disk for every training image."""
    return {"previous_probabilities": previous}
