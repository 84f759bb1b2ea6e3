"""Previous round: what the last learner said of the same images."""

from __future__ import annotations

from torch import Tensor

from ssal.errors import BadInput
from ssal.registry import signal


@signal("previous_probabilities", each="round")
def previous_round(previous: Tensor | None) -> dict[str, Tensor]:
    """Give the probabilities that the last round's learner left on disk for every training image.

    Raises BadInput where there was no learner in it.
    """
    if previous is None:
        raise BadInput("previous_probabilities: expected a learner in the round before, but this one has the first")
    return {"previous_probabilities": previous}
