"""Disagreement: ask for the images of which the learner says now this and now that."""

from __future__ import annotations

import torch
from torch import Tensor

from ssal.registry import scores


@scores
def consistency(view_probabilities: Tensor) -> Tensor:
    """Ask where probabilities vary most over weak views: population variance, summed over classes (Gao et al., 2020).

    The paper's learner is MixMatch; any learner that sees images serves.
    """
    return view_probabilities.var(dim=1, correction=0).sum(dim=1)


@scores
def tod(probabilities: Tensor, previous_probabilities: Tensor) -> Tensor:
    """Ask where probabilities have moved most since the last round: half the squared distance (Huang et al., 2021).

    It compares two learners, so `first_round` chooses until there are two, and the second should go on from the first
    (`warm_start`, which the learner `tod` does); the control for that is random with a warm start.
    Differs from the paper: where it has one learner alone, its code compares it with random weights and asks for the
    smallest discrepancy; and the whole pool is scored, not a random part of it.
    """
    return (probabilities - previous_probabilities).square().sum(dim=1) / 2


@scores
def bald(mc_probabilities: Tensor) -> Tensor:
    """Ask where dropout masks contradict each other: mutual information of class and weights (Houlsby et al., 2011).

    The entropy of the mean prediction minus the mean entropy, in nats; dropout masks are the draws of the weights (Gal
    et al., 2017).
    """
    entropy = torch.special.entr
    return entropy(mc_probabilities.mean(dim=1)).sum(dim=1) - entropy(mc_probabilities).sum(dim=2).mean(dim=1)
