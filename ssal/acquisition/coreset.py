"""Core-set: ask for the images that lie farthest from everything labelled or chosen."""

from __future__ import annotations

from torch import Tensor

from ssal.acquisition.geometry import farthest_first
from ssal.registry import selects


@selects
def coreset(features: Tensor, labelled_features: Tensor, *, budget: int) -> Tensor:
    """Cover the pool with greedy k-centre on Euclidean distances of raw features (Sener and Savarese, 2018).

    Differs from the paper: greedy only, without the integer programme that drops outliers. With no labelled image the
    first one is nearest to the mean of the pool.
    """
    return farthest_first(features, labelled_features, budget)
