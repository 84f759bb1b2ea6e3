"""TypiClust: ask for the most typical image of each cluster that has no label yet."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from ssal.acquisition.clusters import cluster
from ssal.acquisition.ordering import rows_in_turn
from ssal.neighbours import nearest_others
from ssal.registry import selects


def typicality(points: Tensor, neighbours: int) -> Tensor:
    """Return one over the mean Euclidean distance of each of `points` (m, D) to its nearest others.

    At most m / 2 neighbours count; 1e-5 added to the mean distance keeps copies finite.
    """
    if len(points) < 2:
        return torch.zeros(len(points))
    return 1 / (nearest_others(points, min(neighbours, len(points) // 2))[0].mean(1) + 1e-5)


@selects
def typiclust(
    ssl_features: Tensor,
    labelled_ssl_features: Tensor,
    *,
    budget: int,
    generator: torch.Generator,
    max_clusters: Annotated[int, Field(gt=0)] = 500,
    neighbours: Annotated[int, Field(gt=0)] = 20,
    min_cluster_size: Annotated[int, Field(ge=0)] = 6,
    iterations: Annotated[int, Field(gt=0, le=10_000)] = 20,
) -> Tensor:
    """Ask for the most typical image of each cluster of self-supervised features (Hacohen et al., 2022).

    As many k-means clusters as labels after this round, at most `max_clusters`, of features of unit length, labelled
    ones included. Clusters take turns, those with fewest labels first, then the largest. Clusters below
    `min_cluster_size` wait until the others have nothing left.
    Differs from the authors' code: distances are not squared (as in the paper), and labelled members of a cluster
    count as neighbours. Clusters come from faiss, not from scikit-learn's (mini-batch) k-means.
    """
    labelled = len(labelled_ssl_features)
    points = normalize(torch.cat([labelled_ssl_features, ssl_features]).float(), dim=1)
    count = min(labelled + budget, max_clusters)
    numbers = cluster(points, count, generator, iterations)[1].cpu()
    sizes = torch.bincount(numbers, minlength=count)
    covered = torch.bincount(numbers[:labelled], minlength=count)
    turns = sorted(range(count), key=lambda number: (int(covered[number]), -int(sizes[number])))
    chosen: list[int] = []
    for wanted in (True, False):
        queues: list[list[int]] = []
        for number in turns:
            if bool(sizes[number] >= min_cluster_size) == wanted and sizes[number] > covered[number]:
                if len(chosen) + len(queues) >= budget:
                    break
                members = (numbers == number).nonzero()[:, 0]
                best = typicality(points[members], neighbours).argsort(descending=True, stable=True).cpu()
                rows = members[best] - labelled
                queues.append(rows[rows >= 0].tolist())
        chosen += rows_in_turn(queues, budget - len(chosen))
    return torch.tensor(chosen)
