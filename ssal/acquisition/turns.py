"""Turns: groups of images are asked for in turn, so that none of them takes the whole budget."""

from __future__ import annotations

import torch
from torch import Tensor


def in_turns(values: Tensor, groups: Tensor) -> Tensor:
    """Return scores (N,) from 0 to 1 under which `groups` (N,) take turns, each with its largest value (N,) left.

    An image's place among its group, over the size of the largest group, is what counts. Inside a turn the larger
    value comes first, and equal ones stay equal. Values may be infinite.
    """
    order = values.argsort(descending=True, stable=True)
    places, largest = torch.empty(len(values), dtype=torch.float64, device=values.device), 1
    for group in groups.unique():
        members = order[groups[order] == group]
        places[members] = torch.arange(len(members), dtype=torch.float64, device=values.device)
        largest = max(largest, len(members))
    levels, level = values.unique(return_inverse=True)
    return 1 - (places + 1 - level / len(levels)) / largest
