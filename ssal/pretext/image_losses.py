"""The loss of a single image, whatever stands beside it in a batch: plain functions on projections of two views."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize, softplus


def mutual_cosines(predictions: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Return minus the cosine similarity (B,) of each of two predictions (B,D) to the other's target, their mean."""
    return -0.5 * (cosine_similarity(predictions[0], targets[1]) + cosine_similarity(predictions[1], targets[0]))


def cross_entropy_among(
    queries: Tensor, keys: Tensor, others: Tensor, temperature: float, count: int, own: Tensor | None = None
) -> Tensor:
    """Return the cross-entropy (B,) of finding each query's key among its key and `count` others, by their cosines.

    `queries`, `keys` (B,D) and `others` (M,D) have any length. The others stand for `count` of their kind: their mean
    counts so many times. Those marked in `own` (B,M) are left out; with none left the loss is 0.
    """
    with torch.autocast(queries.device.type, enabled=False):  # bfloat16 has too few digits for sums over many
        queries, keys, others = (normalize(part.float(), dim=1) for part in (queries, keys, others))
        similar = queries @ others.T / temperature
        left = torch.full((len(queries),), len(others), device=queries.device)
        if own is not None:
            similar, left = similar.masked_fill(own, -torch.inf), (~own).sum(dim=1)
        rest = similar.logsumexp(dim=1) - left.clamp_min(1).log() + math.log(count)
        return softplus(rest - (queries * keys).sum(dim=1) / temperature)
