"""Orders that several strategies share: ranks of scores, and groups of rows that take turns."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def ranks(values: Tensor) -> Tensor:
    """Return the rank of each of `values` (n,) from 0 (smallest) to 1 (largest); equal values share their mean rank."""
    _, number, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0) - 1
    return ((2 * last - counts + 1).double() / 2 / max(len(values) - 1, 1))[number]


def in_turn(queues: Sequence[Sequence[int]], count: int) -> list[int]:
    """Return the first `count` rows when every queue gives its next one in turn, or all of them if they are fewer."""
    taken: list[int] = []
    for turn in range(max(map(len, queues), default=0)):
        if len(taken) >= count:
            break
        taken += [queue[turn] for queue in queues if turn < len(queue)]
    return taken[:count]
