"""Loss prediction: ask where a head trained with the learner expects the largest loss."""

from __future__ import annotations

from torch import Tensor

from ssal.registry import scores


@scores
def loss_prediction(predicted_loss: Tensor) -> Tensor:
    """Ask where the predicted loss is largest (Yoo and Kweon, 2019).

    Differs from the paper: the whole pool is ranked, not a random subset of 10,000 images.
    """
    return predicted_loss
