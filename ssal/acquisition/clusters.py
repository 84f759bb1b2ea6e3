"""k-means, which several strategies share."""

from __future__ import annotations

import faiss
import torch
from torch import Tensor

from ssal.acquisition.geometry import squared_distance_sampling


def cluster(points: Tensor, count: int, generator: torch.Generator, iterations: int = 20) -> tuple[Tensor, Tensor]:
    """Return `count` k-means centroids (count, D) of `points` (n, D) and the centroid number of every point.

    Lloyd's algorithm (faiss) from the seeds of k-means++; with more than 1,000 points per centroid the centroids are
    fitted on a draw of that many.
    """
    first = int(torch.randint(len(points), (1,), generator=generator))
    seeds = squared_distance_sampling([points], count, generator, first)
    seed = int(torch.randint(2**31 - 1, (1,), generator=generator))
    values = points.detach().float().cpu().contiguous().numpy()
    means = faiss.Kmeans(
        values.shape[1],
        count,
        niter=iterations,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=1000,
        gpu=points.is_cuda and faiss.get_num_gpus() > 0,
    )
    means.train(values, init_centroids=values[seeds.numpy()])
    _, numbers = means.assign(values)
    return torch.from_numpy(means.centroids).to(points.device), torch.from_numpy(numbers).to(points.device)
