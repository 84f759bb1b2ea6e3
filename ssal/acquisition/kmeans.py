"""k-means: ask for one image from the middle of each of `budget` clusters."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ssal.acquisition.clusters import cluster
from ssal.neighbours import nearest
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
    centroids, numbers = cluster(features, budget, generator, iterations)
    order = torch.bincount(numbers, minlength=budget).argsort(descending=True, stable=True)
    centroids = centroids[order]
    candidates = nearest(centroids, features, 8)[1].tolist()
    taken: dict[int, None] = {}
    for position in range(budget):
        left = [row for row in candidates[position] if row not in taken]
        # Of the `budget` nearest rows the others can have taken at most budget - 1.
        if not left:
            wider = nearest(centroids[position, None], features, budget)[1][0].tolist()
            left = [row for row in wider if row not in taken]
        taken[left[0]] = None
    return torch.tensor(list(taken))
