"""k-means: ask for one image from the middle of each of `budget` clusters."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ssal.acquisition.clusters import middles
from ssal.registry import selects


@selects
def kmeans(
    features: Tensor,
    *,
    budget: int,
    generator: torch.Generator,
    iterations: Annotated[int, Field(gt=0, le=10_000)] = 20,
) -> Tensor:
    """Ask for the image nearest to each k-means centroid of the pool, largest clusters first (Zhdanov, 2019).

    Two centroids never share an image: the smaller cluster takes the nearest one that is left.
    Differs from the paper: all images weigh the same, and none is filtered out by margin first.
    """
    return middles(features, budget, generator, iterations)
