"""CAL: ask where the learner says something else than of the most similar labelled images."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from ssal.neighbours import nearest
from ssal.registry import scores


def mean_divergence(probabilities: Tensor, neighbours: Tensor, rows: Tensor) -> Tensor:
    """Return the mean (N,) over k of KL(neighbour ‖ image) in nats, from what is said of images (N,C).

    `neighbours` (L,C) are the probabilities that `rows` (N,k) point to. A class that an image is said to be impossible
    for counts as the smallest float32.
    """
    known, said = neighbours.double(), probabilities.double().clamp_min(torch.finfo(torch.float32).tiny)
    certainty = -torch.special.entr(known).sum(dim=1)
    # KL is linear in the neighbour but for its own entropy, so its mean needs no (N,k,C) table.
    mean = torch.zeros_like(said)
    for column in rows.T:
        mean += known[column] / rows.shape[1]
    return certainty[rows].mean(dim=1) - (mean * said.log()).sum(dim=1)


@scores
def cal(
    probabilities: Tensor,
    features: Tensor,
    labelled_probabilities: Tensor,
    labelled_features: Tensor,
    *,
    neighbours: Annotated[int, Field(gt=0)] = 10,
) -> Tensor:
    """Score by the mean divergence of the nearest labelled images' probabilities from its own (Margatina et al., 2021).

    Nearest by Euclidean distance of features of unit length, at most `neighbours` of them; both sides are the
    learner's probabilities, never labels. With no labelled image every score is 0 and the draw is random.
    """
    if len(labelled_features) == 0:
        return torch.zeros(len(features))
    rows = nearest(normalize(features.float(), dim=1), normalize(labelled_features.float(), dim=1), neighbours)[1]
    return mean_divergence(probabilities, labelled_probabilities, rows)
