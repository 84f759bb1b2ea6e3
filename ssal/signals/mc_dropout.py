"""MC dropout: what the head says of each image while dropout hides some of its features."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.errors import BadInput
from ssal.learner.base import Learner
from ssal.registry import signal
from ssal.streams import generator


def dropout_masks(count: int, width: int, share: float, *names: int | str) -> Tensor:
    """Return `count` masks (K,D) for `width` features: 0 for about a `share` of them, 1/(1 − share) for the others."""
    kept = torch.rand(count, width, generator=generator(*names)) >= share
    return kept / (1 - share)


@torch.no_grad()
def masked_probabilities(features: Tensor, masks: Tensor, head: nn.Module) -> Tensor:
    """Return softmax outputs (N,K,C) of `head` for features (N,D), each image under the same masks (K,D)."""
    return torch.stack([head(features * mask).softmax(dim=1) for mask in masks], dim=1)


@signal("mc_probabilities", each="round", wants="dropout")
def mc_dropout(
    learner: Learner,
    features: Tensor,
    *,
    names: tuple[int | str, ...],
    masks: Annotated[int, Field(ge=2, le=1000)] = 50,
) -> dict[str, Tensor]:
    """Give softmax outputs (N,K,C) of the head under `masks` dropout masks (Gal & Ghahramani, 2016).

    Every image is seen under the same masks, as choices that look at several images at once need (Kirsch et al.,
    2019), and only the head is run again, on the features of the one forward. The table holds 4·N·K·C bytes.
    Raises BadInput for a learner without dropout.
    Differs from the paper: dropout stands before the last layer alone.
    """
    share = learner.average.dropout.p
    if learner.frozen:
        raise BadInput("mc_probabilities: expected a learner with dropout, got one of an encoder's features, without")
    if not share:
        raise BadInput("mc_probabilities: expected a learner with dropout, got dropout 0; type learner.dropout=0.5")
    head = learner.average.head
    drawn = dropout_masks(masks, features.shape[1], share, *names).to(head.weight.device)
    return {"mc_probabilities": masked_probabilities(features.to(head.weight.device), drawn, head).cpu()}
