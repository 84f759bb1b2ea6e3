"""Diverse: of the images with the best scores, ask for ones that are unlike each other."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ssal.acquisition.clusters import middles
from ssal.acquisition.geometry import farthest_first, squared_distance_sampling
from ssal.method import Child
from ssal.registry import selects


@selects
def diverse(
    child_scores: dict[str, Tensor],
    features: Tensor,
    labelled_features: Tensor,
    *,
    budget: int,
    generator: torch.Generator,
    scored_by: Child = "margin",
    prefilter: Annotated[int, Field(ge=1)] = 10,
    spread: Literal["k_means", "k_centre", "k_means_pp"] = "k_means",
) -> Tensor:
    """Spread the labels over the `prefilter` · budget images that `scored_by` scores highest (Zhdanov, 2019).

    `k_means` asks for the image nearest to the centroid of each of as many clusters as labels; `k_centre` for the one
    farthest from all labelled and chosen ones (Sener and Savarese, 2018), again and again; `k_means_pp` for the best
    one, then by squared distance to those chosen (Arthur and Vassilvitskii, 2007). Distances are of raw features. With
    `prefilter` 1, or few images left, the images are the best ones alone.
    Differs from the paper: images weigh the same in k-means, as scores of any strategy need not be weights.
    """
    best = child_scores[scored_by].argsort(descending=True, stable=True)[: prefilter * budget]
    if len(best) == budget:
        return best
    points = features[best.to(features.device)]
    if spread == "k_means":
        return best[middles(points, budget, generator)]
    if spread == "k_centre":
        return best[farthest_first(points, labelled_features, budget)]
    return best[squared_distance_sampling([points], budget, generator, first=0)]
