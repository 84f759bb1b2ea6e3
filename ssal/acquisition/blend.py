"""Blend: combine several strategies by the ranks they give."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ssal.acquisition.ordering import ranks
from ssal.errors import BadInput
from ssal.method import Children
from ssal.registry import scores

EXAMPLE = {"margin": 1.0, "featdist": 1.0}


@scores
def blend(child_scores: dict[str, Tensor], *, weights: Children = EXAMPLE) -> Tensor:
    """Score by the weighted mean of the ranks that the named strategies give (Dwork et al., 2001).

    Ranks run from 0 to 1 over the pool, so strategies of any scale mix. Raises BadInput for weights that are negative,
    not finite, or all zero.
    """
    total = sum(weights.values())
    if not weights or min(weights.values()) < 0 or not math.isfinite(total) or total <= 0:
        raise BadInput(
            f"blend: weights must be finite, not negative and not all 0, got {weights}; "
            "write for example weights: {margin: 1.0, featdist: 0.5}"
        )
    parts = [ranks(child_scores[name].cpu()) * (weight / total) for name, weight in weights.items()]
    return torch.stack(parts).sum(0)
