"""Uncertainty sampling: ask for the images whose predicted class is least sure."""

from __future__ import annotations

import torch
from torch import Tensor

from ssal.registry import scores


@scores
def least_confidence(probabilities: Tensor) -> Tensor:
    """Ask where the most likely class is least likely (Lewis and Gale, 1994)."""
    return 1 - probabilities.amax(1)


@scores
def margin(probabilities: Tensor) -> Tensor:
    """Ask where the two most likely classes are closest (Scheffer et al., 2001)."""
    largest = probabilities.topk(min(2, probabilities.shape[1]), dim=1).values
    return largest[:, -1] - largest[:, 0]


@scores
def entropy(probabilities: Tensor) -> Tensor:
    """Ask where the entropy of the predicted classes, in nats, is largest (Settles, 2009)."""
    return torch.special.entr(probabilities).sum(1)
