"""Label propagation over a graph of nearest neighbours: the graph, the solver, and what its scores say."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from ssal.neighbours import full_precision, most_similar_others

EXPONENT = 3
"""Edges weigh a cosine similarity to this power (Iscen et al., 2019)."""

ROUNDING = 1e-6
"""Similarities of float32 features are good to this, and may be above 0 by as much where nothing is alike."""
COLUMNS_AT_ONCE = 16
"""Classes that a CPU solves for together: 50,000 nodes × 16 classes stay in its cache, and 100 take 4 times as long."""

REACH = 1e-7
"""How far one run of float32 iterations takes a residual, at best."""


@dataclass(frozen=True)
class Graph:
    """A symmetric graph over N nodes, normalised on both sides; sums of edge weights and connected parts of nodes."""

    matrix: Tensor
    """S = D^-1/2 W D^-1/2, sparse CSR float32 (N,N); its largest eigenvalue is 1."""
    degrees: Tensor
    """Sum of the weights of a node's edges (N,); 1 where it has none."""
    parts: Tensor
    """Number (N,) of the connected part that a node lies in."""

    @property
    def isolated(self) -> Tensor:
        """Which nodes (N,) have no edge."""
        return self.matrix.crow_indices().diff() == 0


@dataclass(frozen=True)
class Solution:
    """What the solver found, in how many iterations, and how far it is from solving the equations."""

    scores: Tensor
    """Z = (I - αS)^-1 Y (N,C), not negative."""
    iterations: int
    residual: float
    """Largest |Y - (I - αS) Z| / |Y| over classes, computed in double precision."""


def fitting_neighbours(nodes: int, classes: int) -> int:
    """Return how many neighbours a node is joined with: 50 (Iscen et al., 2019), or fewer in a small graph.

    Theirs had 5,000 images of every class. Where 50 would be more than a tenth of the mean class, that tenth is taken,
    and 10 at least: the farther of 50 neighbours are of other classes where a class has little more than that.
    """
    return min(50, max(10, nodes // (10 * classes)))


def edge_weights(similarities: Tensor, exponent: int = EXPONENT) -> Tensor:
    """Return the weights of edges between nodes of these cosine similarities: what is not above 0 weighs nothing."""
    return torch.where(similarities > ROUNDING, similarities, 0) ** exponent


def neighbour_graph(features: Tensor, neighbours: int, exponent: int = EXPONENT) -> Graph:
    """Return the graph that joins every row of `features` (N,D) with its most similar others, W + Wᵀ."""
    similarities, rows = most_similar_others(features, neighbours)
    weights = edge_weights(similarities, exponent)
    kept = weights > 0
    sources = torch.arange(len(features), device=rows.device)[:, None].expand_as(rows)
    return graph_of(sources[kept], rows[kept], weights[kept], len(features))


@full_precision()
def graph_of(sources: Tensor, targets: Tensor, weights: Tensor, nodes: int) -> Graph:
    """Return the graph of W + Wᵀ, where W holds `weights` (E,), all above 0, of edges from `sources` to `targets`."""
    symmetric = _symmetric_torch if weights.is_cuda else _symmetric_scipy
    starts, columns, values = symmetric(sources, targets, weights.float(), nodes)
    counts = starts.diff()
    sums = (_sparse(starts, columns, values) @ values.new_ones(nodes, 1))[:, 0]
    degrees = torch.where(counts > 0, sums, 1)
    roots = degrees.rsqrt()
    values = values * (roots.repeat_interleave(counts) * roots[columns])
    structure = (values.cpu().numpy(), columns.cpu().numpy(), starts.cpu().numpy())
    # In a symmetric matrix strong connection is connection, and needs no transpose.
    _, parts = connected_components(csr_array(structure, shape=(nodes, nodes)), connection="strong")
    return Graph(_sparse(starts, columns, values), degrees, torch.from_numpy(parts).long().to(values.device))


def _sparse(starts: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*CSR tensor support is in beta.*")
        shape = (len(starts) - 1, len(starts) - 1)
        return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)


def _symmetric_scipy(sources: Tensor, targets: Tensor, weights: Tensor, nodes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Row starts, columns and values of W + Wᵀ without diagonal, on the CPU."""
    off = sources != targets
    edges = tuple(part[off].numpy().astype(np.int32) for part in (sources, targets))
    directed = csr_array((weights[off].numpy(), edges), shape=(nodes, nodes))
    both = directed + directed.T
    starts, columns, values = (torch.from_numpy(part) for part in (both.indptr, both.indices, both.data))
    return starts.int(), columns.int(), values


def _symmetric_torch(sources: Tensor, targets: Tensor, weights: Tensor, nodes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Row starts, columns and values of W + Wᵀ without diagonal, on any device; slower on the CPU."""
    off = sources != targets
    edges = torch.stack([sources[off], targets[off]])
    edges, values = torch.cat([edges, edges.flip(0)], dim=1), weights[off].repeat(2)
    both = torch.sparse_coo_tensor(edges, values, (nodes, nodes), check_invariants=False).coalesce()
    rows, columns = both.indices()
    starts = torch.zeros(nodes + 1, dtype=torch.long, device=rows.device)
    starts[1:] = torch.bincount(rows, minlength=nodes).cumsum(0)
    return starts.int(), columns.int(), both.values()


def seeds(rows: Tensor, labels: Tensor, nodes: int, classes: int) -> Tensor:
    """Return Y (N,C): every class spreads a weight of 1 evenly over its labelled `rows` (Iscen et al., 2019).

    A row that is named twice counts twice; a class without a label keeps zeros.
    """
    if len(rows) == 0:
        raise ValueError("label propagation: expected at least one labelled image, got none")
    counts = torch.bincount(labels, minlength=classes)
    found = torch.zeros(nodes, classes, device=rows.device)
    return found.index_put_((rows, labels), (1 / counts[labels]).to(found), accumulate=True)


@torch.no_grad()
@full_precision()
def propagate(
    graph: Graph, seeds: Tensor, *, alpha: float = 0.99, tolerance: float = 1e-6, max_iterations: int = 1000
) -> Solution:
    """Solve (I - αS) Z = Y (Zhou et al., 2004) for all classes together, by conjugate gradients.

    It starts from the part of the solution along the eigenvectors of eigenvalue 1, which are known: the roots of the
    degrees over each connected part. They are what converges last, and a part without any label stays exactly 0.
    Iterations are in float32; what they leave over is computed in double precision and solved for again until the
    residual of every class is at most `tolerance` times its seeds, or `max_iterations` are used up.
    """
    exact = graph.matrix.double()
    width = seeds.shape[1] if seeds.is_cuda else COLUMNS_AT_ONCE
    blocks = [
        _solve(graph, exact, block.double(), alpha, tolerance, max_iterations) for block in seeds.split(width, dim=1)
    ]
    scores = torch.cat([block.scores for block in blocks], dim=1)
    return Solution(scores, max(block.iterations for block in blocks), max(block.residual for block in blocks))


def _solve(graph: Graph, exact: Tensor, seeds: Tensor, alpha: float, tolerance: float, most: int) -> Solution:
    """Solve for a block of classes; `exact` is the matrix in double precision."""
    least = torch.finfo(seeds.dtype).tiny
    scale = seeds.norm(dim=0).clamp(min=least)
    scores, residual = _known_part(graph, seeds, alpha)
    norms, iterations, improves = residual.norm(dim=0), 0, True
    while improves and iterations < most and bool((norms > tolerance * scale).any()):
        size = norms.clamp(min=least)
        # Half of what is wanted, as float32's running residual drifts from the true one.
        target = (tolerance * scale / size / 2).clamp(min=REACH)
        step, used = _conjugate_gradients(graph.matrix, alpha, (residual / size).float(), target, most - iterations)
        iterations += used
        better = scores + step * size
        left = seeds - torch.addmm(better, exact, better, alpha=-alpha)
        # The error falls with every iteration, the residual need not, unless float32 has nothing more to give.
        kept = (left.norm(dim=0) < norms) | (iterations >= most)
        improves = bool((left.norm(dim=0) < norms / 2)[norms > tolerance * scale].any())
        scores, residual = torch.where(kept, better, scores), torch.where(kept, left, residual)
        norms = residual.norm(dim=0)
    return Solution(scores.clamp(min=0).float(), iterations, float((norms / scale).max()))


def _known_part(graph: Graph, seeds: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return the solution's part in the span of the known eigenvectors, and the residual that it leaves.

    An isolated node's solution is its seed.
    """
    isolated, least = graph.isolated[:, None], torch.finfo(seeds.dtype).tiny
    squares = torch.where(isolated, 0, graph.degrees[:, None].double())
    sums = seeds.new_zeros(int(graph.parts.max()) + 1, 1).index_add(0, graph.parts, squares)
    roots = squares.sqrt()
    along = seeds.new_zeros(len(sums), seeds.shape[1]).index_add(0, graph.parts, roots * seeds) / sums.clamp(min=least)
    known = roots * along[graph.parts]
    return torch.where(isolated, seeds, known / (1 - alpha)), torch.where(isolated, 0, seeds - known)


def _conjugate_gradients(
    matrix: Tensor, alpha: float, residual: Tensor, target: Tensor, most: int
) -> tuple[Tensor, int]:
    """Return what solves (I - αS) X = residual (N,C) up to `target` (C,) per column, and the iterations it took.

    Every column has its own step sizes; columns share the product with S, and rest once they are done.
    """
    solution, residual, direction = torch.zeros_like(residual), residual.clone(), residual.clone()
    squares, enough = residual.square().sum(dim=0), target.float().square()
    for iteration in range(most):
        active = squares > enough
        if not bool(active.any()):
            return solution, iteration
        image = torch.addmm(direction, matrix, direction, alpha=-alpha)
        curvature = torch.linalg.vecdot(direction, image, dim=0)
        length = torch.where(active & (curvature > 0), squares / curvature, 0)
        solution.addcmul_(direction, length)
        residual.addcmul_(image, length, value=-1)
        before, squares = squares, residual.square().sum(dim=0)
        direction.mul_(torch.where(active, squares / before, 0)).add_(residual)
    return solution, most


def shares(scores: Tensor) -> Tensor:
    """Return every node's scores (N,C) divided by their sum; zeros where no label reaches it."""
    sums = scores.sum(dim=1, keepdim=True)
    return torch.where(sums > 0, scores / sums, 0)


def certainty(shares: Tensor) -> Tensor:
    """Return ω (N,): 1 - entropy / log C, divided by the largest; 0 where no label reaches a node."""
    reached = shares.sum(dim=1) > 0
    entropy = torch.special.entr(shares).sum(dim=1) / np.log(max(2, shares.shape[1]))
    sure = torch.where(reached, (1 - entropy).clamp(min=0), 0)
    return sure / sure.max().clamp(min=torch.finfo(sure.dtype).tiny)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return ζ (C,): N / C over how many of the N `labels` are of the class; 0 for a class that none has."""
    counts = torch.bincount(labels, minlength=classes)
    return torch.where(counts > 0, len(labels) / classes / counts, 0)
