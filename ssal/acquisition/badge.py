"""BADGE: ask for images that are uncertain and unlike each other, by their last-layer gradients."""

from __future__ import annotations

import logging

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ssal.acquisition.geometry import squared_distance_sampling
from ssal.registry import selects

log = logging.getLogger("ssal")


@selects
def badge(probabilities: Tensor, features: Tensor, *, budget: int, generator: torch.Generator) -> Tensor:
    """Seed k-means++ on the gradients (p - onehot(argmax p)) ⊗ features of the last layer (Ash et al., 2020).

    The gradients (N, C·D) are never written out. The first image has the longest one, as in the authors' code (the
    paper draws it at random); labelled images are no centres. Warns where every gradient is 0.
    """
    errors = probabilities - one_hot(probabilities.argmax(1), probabilities.shape[1])
    if not errors.any():
        log.warning("badge: the learner is wholly sure of every image, so the choice is a random draw")
    return squared_distance_sampling([errors, features], budget, generator)
