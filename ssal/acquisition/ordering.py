"""Orders that several strategies share: ranks of scores, and turns, so that no group takes the whole budget."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def ranks(values: Tensor) -> Tensor:
    """Return the rank of each of `values` (n,) from 0 (smallest) to 1 (largest); equal values share their mean rank."""
    _, number, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0) - 1
    return ((2 * last - counts + 1).double() / 2 / max(len(values) - 1, 1))[number]


def rows_in_turn(queues: Sequence[Sequence[int]], count: int) -> list[int]:
    """Return the first `count` rows when every queue gives its next one in turn, or all of them if they are fewer.

    The order of the queues is that inside every turn; `scores_in_turn` has the larger value first there.
    """
    taken: list[int] = []
    for turn in range(max(map(len, queues), default=0)):
        if len(taken) >= count:
            break
        taken += [queue[turn] for queue in queues if turn < len(queue)]
    return taken[:count]


def scores_in_turn(values: Tensor, groups: Tensor) -> Tensor:
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
