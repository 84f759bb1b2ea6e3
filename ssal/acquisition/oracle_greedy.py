"""Oracle greedy: ask for what would raise the test accuracy most: a bound, no method (Werner et al., 2024)."""

from __future__ import annotations

from torch import Tensor

from ssal.registry import scores


@scores
def oracle_greedy(oracle_rank: Tensor) -> Tensor:
    """Ask in the order of a greedy search that reads hidden and test labels (Werner et al., 2024).

    An upper bound on what asking can bring; its results are tagged `oracle` and stand outside of every test.
    """
    return oracle_rank
