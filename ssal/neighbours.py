"""Exact nearest neighbours: faiss on the CPU, a blocked search in torch on CUDA."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import faiss
import torch
from torch import Tensor
from torch.nn.functional import normalize

SPARE = 8
"""Neighbours searched beyond k. Distances by the product formula are only good to about 1e-3 of a vector's length near
zero, so the k best are taken from k + SPARE after their distances are computed again from differences."""
POINTS_AT_ONCE = 1 << 17
"""Points that one block of the search in torch holds at most."""


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Multiply float32 matrices in float32 inside the block or function, whatever precision training asked for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def nearest(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return Euclidean distances and rows of the `k` nearest `points` (M, D) for each of `queries` (Q, D).

    Both are (Q, min(k, M)), nearest first, equal distances by lowest row, on the device of `queries`.
    Where more than SPARE points share the k-th distance, which of them are returned is fixed but arbitrary.
    """
    if k < 1 or len(points) == 0 or queries.shape[1] != points.shape[1]:
        raise ValueError(
            f"nearest: expected k >= 1 and points with {queries.shape[1]} features, "
            f"got k = {k} and points {tuple(points.shape)}"
        )
    queries, points = queries.detach().float().contiguous(), points.detach().float().contiguous()
    wanted, searched = min(k, len(points)), min(k + SPARE, len(points))
    if len(queries) == 0:
        return queries.new_zeros(0, wanted), torch.zeros(0, wanted, dtype=torch.long, device=queries.device)
    rows = _search_torch(queries, points, searched) if queries.is_cuda else _search_faiss(queries, points, searched)
    return _best(queries, points, rows, wanted)


def nearest_others(points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return distances and rows of the `k` nearest other points for each of `points` (M, D), never the point itself.

    Both are (M, min(k, M - 1)), nearest first.
    """
    distances, rows = nearest(points, points, k + 1)
    order = _all_but_itself(rows)
    return distances.gather(1, order), rows.gather(1, order)


def most_similar_others(points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return cosine similarities and rows of the `k` most similar other points for each of `points` (M, D).

    Both are (M, min(k, M - 1)), most similar first. Takes half the time of `nearest_others`, as similarities are good
    to 1e-6 as they come; among equal ones which are returned is arbitrary. Zero vectors are similar to none.
    """
    if k < 1 or len(points) == 0:
        raise ValueError(f"most_similar_others: expected k >= 1 and points, got k = {k} and {tuple(points.shape)}")
    unit, wanted = normalize(points.detach().float()).contiguous(), min(k + 1, len(points))
    if unit.is_cuda:
        rows = _search_torch(unit, unit, wanted, cosine=True)
        blocks = max(1, (1 << 26) // (wanted * unit.shape[1]))
        pairs = zip(unit.split(blocks), rows.split(blocks), strict=True)
        similarities = torch.cat([(unit[of] * block[:, None]).sum(2) for block, of in pairs])
    else:
        found = faiss.knn(unit.numpy(), unit.numpy(), wanted, faiss.METRIC_INNER_PRODUCT)
        similarities, rows = map(torch.from_numpy, found)
    order = _all_but_itself(rows)
    return similarities.gather(1, order).clamp(-1, 1), rows.gather(1, order)


def _all_but_itself(rows: Tensor) -> Tensor:
    """Return the columns (M, K - 1) of what was found for every point without the point itself."""
    itself = rows == torch.arange(len(rows), device=rows.device)[:, None]
    # Among many copies of one point the search may return others in its place; then the last one goes.
    itself[:, -1] |= ~itself.any(1)
    return (~itself).to(torch.uint8).argsort(dim=1, stable=True)[:, 1:]


def _search_faiss(queries: Tensor, points: Tensor, k: int) -> Tensor:
    """Rows of the k nearest points, by faiss on the CPU."""
    return torch.from_numpy(faiss.knn(queries.numpy(), points.numpy(), k)[1])


def _search_torch(queries: Tensor, points: Tensor, k: int, cells: int = 1 << 27, cosine: bool = False) -> Tensor:
    """Rows of the k nearest points, or of unit vectors' most similar ones, by blocks of at most `cells` distances."""
    squares = points.new_zeros(len(points)) if cosine else points.square().sum(1)
    width = min(len(points), POINTS_AT_ONCE)
    height = max(1, cells // width)
    found = []
    with full_precision():
        for block in queries.split(height):
            best = block.new_empty(len(block), 0)
            rows = torch.empty(len(block), 0, dtype=torch.long, device=block.device)
            for start in range(0, len(points), width):
                # The query's own square is the same for all points and changes no order.
                part = squares[start : start + width] - 2 * (block @ points[start : start + width].T)
                values, columns = part.topk(min(k, part.shape[1]), dim=1, largest=False)
                best, rows = torch.cat([best, values], 1), torch.cat([rows, columns + start], 1)
                best, kept = best.topk(min(k, best.shape[1]), dim=1, largest=False)
                rows = rows.gather(1, kept)
            found.append(rows)
    return torch.cat(found)


def _best(queries: Tensor, points: Tensor, rows: Tensor, k: int, cells: int = 0) -> tuple[Tensor, Tensor]:
    """Sort `rows` (Q, K) by distance computed from differences, then by row, and keep the first k."""
    rows = rows.sort(dim=1).values
    # Half a megabyte stays in a CPU core's cache; a GPU wants few, large blocks.
    cells = cells or (1 << 26 if queries.is_cuda else 1 << 17)
    height = max(1, cells // (rows.shape[1] * points.shape[1]))
    blocks = []
    for block, of in zip(queries.split(height), rows.split(height), strict=True):
        differences = points.index_select(0, of.reshape(-1)).view(*of.shape, -1)
        differences -= block[:, None]
        blocks.append(torch.linalg.vector_norm(differences, dim=2))
    distances, order = torch.cat(blocks).sort(dim=1, stable=True)
    return distances[:, :k], rows.gather(1, order[:, :k])
