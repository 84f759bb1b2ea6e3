"""k-means, which several strategies share."""

from __future__ import annotations

import faiss
import torch
from torch import Tensor

from ssal.acquisition.geometry import squared_distance_sampling
from ssal.neighbours import nearest


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


def middles(points: Tensor, count: int, generator: torch.Generator, iterations: int = 20) -> Tensor:
    """Return the row of `points` (n, D) nearest to each of `count` k-means centroids, largest clusters first.

    Two centroids never share a row: the smaller cluster takes the nearest one that is left.
    """
    centroids, numbers = cluster(points, count, generator, iterations)
    order = torch.bincount(numbers, minlength=count).argsort(descending=True, stable=True)
    centroids = centroids[order]
    candidates = nearest(centroids, points, 8)[1].tolist()
    taken: dict[int, None] = {}
    for position in range(count):
        left = [row for row in candidates[position] if row not in taken]
        # Of the `count` nearest rows the others can have taken at most count - 1.
        if not left:
            wider = nearest(centroids[position, None], points, count)[1][0].tolist()
            left = [row for row in wider if row not in taken]
        taken[left[0]] = None
    return torch.tensor(list(taken))
