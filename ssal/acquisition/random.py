"""Random sampling: the baseline that every strategy is measured against."""

from __future__ import annotations

import torch
from torch import Tensor

from ssal.registry import scores


@scores
def random(*, pool_size: int, generator: torch.Generator) -> Tensor:
    """Ask for images drawn uniformly without replacement."""
    return torch.rand(pool_size, generator=generator, dtype=torch.float64)
