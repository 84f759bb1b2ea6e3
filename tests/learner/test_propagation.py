"""The graph, the solver and what its scores say: worked numbers, dense algebra, and what breaks naive code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ssal.learner import propagation
from ssal.learner.propagation import (
    Graph,
    certainty,
    class_weights,
    edge_weights,
    fitting_neighbours,
    graph_of,
    neighbour_graph,
    propagate,
    seeds,
    shares,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def path(nodes: int = 4) -> Graph:
    """A chain of nodes; every edge is given once and gets weight 1."""
    return graph_of(torch.arange(nodes - 1), torch.arange(1, nodes), torch.ones(nodes - 1), nodes)


ENDS = seeds(torch.tensor([0, 3]), torch.tensor([0, 1]), 4, 2)


def exact(graph: Graph, start: Tensor, alpha: float) -> Tensor:
    matrix = torch.eye(len(start), dtype=torch.float64) - alpha * graph.matrix.to_dense().double()
    return torch.linalg.solve(matrix, start.double())


def test_path_graph_worked_numbers() -> None:
    solution = propagate(path(), ENDS, alpha=0.5)
    expected = [[1.155556, 0.044444], [0.439978, 0.125708], [0.125708, 0.439978], [0.044444, 1.155556]]
    assert torch.allclose(solution.scores, torch.tensor(expected), atol=1e-6)
    found = shares(solution.scores)
    assert found[:2, 0].tolist() == pytest.approx([0.962963, 0.777778], abs=1e-6)
    assert certainty(found).tolist() == pytest.approx([1, 0.305648, 0.305648, 1], abs=1e-5)
    far = propagate(path(), ENDS, alpha=0.99).scores
    assert far[0].tolist() == pytest.approx([17.63345, 16.145814], rel=5e-6)  # float32 edges times 1 / (1 - α)
    assert far[1].tolist() == pytest.approx([23.760859, 23.064272], rel=5e-6)


def test_the_graph_of_few_points_by_hand() -> None:
    """Three directions at 0°, 60° and 120°: cosines .5, .5 and -.5; the last weighs nothing."""
    angles = torch.tensor([0, 60, 120]) * math.pi / 180
    graph = neighbour_graph(torch.stack([angles.cos(), angles.sin()], 1) * torch.tensor([[3.0], [1], [9]]), 2)
    assert torch.allclose(graph.degrees, torch.tensor([0.25, 0.5, 0.25]), atol=1e-6)  # .5³ from either end
    root = math.sqrt(0.5)
    assert torch.allclose(
        graph.matrix.to_dense(), torch.tensor([[0, root, 0], [root, 0, root], [0, root, 0]]), atol=1e-6
    )
    assert edge_weights(torch.tensor([-0.5, 1e-7, 0.5])).tolist() == [0, 0, 0.125]


@pytest.mark.parametrize(
    ("nodes", "classes", "expected"),
    [(50_000, 10, 50), (5_000, 10, 50), (1_455, 10, 14), (400, 10, 10), (1_000, 1, 50)],
)
def test_small_classes_get_fewer_neighbours(nodes: int, classes: int, expected: int) -> None:
    assert fitting_neighbours(nodes, classes) == expected


def test_one_sided_neighbours_weigh_half() -> None:
    graph = graph_of(torch.tensor([0, 1, 2, 2]), torch.tensor([1, 0, 0, 2]), torch.ones(4), 3)  # an edge to itself goes
    assert graph.degrees.tolist() == [3, 2, 1]
    assert (graph.matrix.to_dense() > 0).tolist() == [[False, True, True], [True, False, False], [True, False, False]]


def test_both_ways_to_add_the_transpose_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    features = normal(300, 6)
    ours = neighbour_graph(features, 10)
    monkeypatch.setattr(propagation, "_symmetric_scipy", propagation._symmetric_torch)
    other = neighbour_graph(features, 10)
    assert torch.allclose(ours.matrix.to_dense(), other.matrix.to_dense(), atol=1e-7)
    assert torch.equal(ours.parts, other.parts) and torch.allclose(ours.degrees, other.degrees)
    assert torch.equal(ours.matrix.to_dense(), ours.matrix.to_dense().T)


@pytest.mark.parametrize("alpha", [0.3, 0.99, 0.9999])
@pytest.mark.parametrize("classes", [1, 3, 40])
def test_solver_agrees_with_dense_algebra(alpha: float, classes: int) -> None:
    graph = neighbour_graph(normal(400, 5), 8)
    start = seeds(torch.arange(80), torch.arange(80) % classes, 400, classes)
    expected = exact(graph, start, alpha)
    solution = propagate(graph, start, alpha=alpha)
    assert solution.residual <= 1e-6
    assert torch.allclose(solution.scores.double(), expected, rtol=1e-4, atol=1e-6)
    solution = propagate(graph, start, alpha=alpha, tolerance=1e-10)
    assert solution.residual <= 1e-10
    assert torch.allclose(shares(solution.scores).double(), shares(expected), atol=1e-6)


def test_the_residual_is_what_it_says_and_iterations_are_kept_to() -> None:
    graph = neighbour_graph(normal(500, 5), 5)
    start = seeds(torch.tensor([3, 77]), torch.tensor([0, 1]), 500, 2)
    few = propagate(graph, start, max_iterations=3)
    assert few.iterations == 3 and few.residual > 1e-6
    errors = [
        (propagate(graph, start, alpha=0.9999, max_iterations=most).scores - exact(graph, start, 0.9999)).norm()
        for most in (1, 3, 10, 30)
    ]
    assert errors == sorted(errors, reverse=True), "what few iterations reach is kept"
    tight = propagate(graph, start, tolerance=1e-10)  # beyond float32, within reach of its refinement
    assert tight.residual <= 1e-10
    many = propagate(graph, start, tolerance=1e-30, max_iterations=10_000)  # unreachable: it stops by itself
    assert many.iterations < 1000 and many.residual < 1e-12


def test_more_than_one_part_and_lonely_nodes() -> None:
    """Nodes 0-1-2, 3-4 and 5: labels in the first part and on 5; none reaches the second, not even by rounding."""
    graph = graph_of(torch.tensor([0, 1, 3]), torch.tensor([1, 2, 4]), torch.ones(3), 6)
    start = seeds(torch.tensor([0, 5, 2]), torch.tensor([0, 1, 1]), 6, 3)
    solution = propagate(graph, start)
    assert torch.allclose(solution.scores.double(), exact(graph, start, 0.99), rtol=1e-5, atol=1e-7)
    assert not solution.scores[3:5].any() and not solution.scores[:, 2].any()
    assert solution.scores[5].tolist() == [0, 0.5, 0] and graph.degrees[5] == 1
    assert graph.isolated.tolist() == [False] * 5 + [True]
    found = shares(solution.scores)
    assert torch.isfinite(found).all() and not found[3:5].any()
    assert certainty(found)[3:5].tolist() == [0, 0] and certainty(found)[5] == 1


def test_identical_images_and_images_of_nothing() -> None:
    features = torch.cat([torch.ones(30, 3), -torch.ones(30, 3), torch.zeros(5, 3)])
    graph = neighbour_graph(features, 4)
    start = seeds(torch.tensor([0, 30]), torch.tensor([0, 1]), 65, 2)
    solution = propagate(graph, start)
    assert torch.isfinite(solution.scores).all() and graph.isolated[60:].all()
    assert not solution.scores[:30, 1].any() and not solution.scores[30:60, 0].any()
    everything = neighbour_graph(features, 50)
    scores = propagate(everything, start).scores
    assert (scores[:30, 0] > 0).all() and (scores[30:60, 1] > 0).all() and not scores[60:].any()


def test_one_label_in_all_and_one_image_in_all() -> None:
    graph = neighbour_graph(normal(100, 3), 20)
    solution = propagate(graph, seeds(torch.tensor([4]), torch.tensor([1]), 100, 3))
    found = shares(solution.scores)
    assert (found[:, 1] == 1).all() and (certainty(found) == 1).all()
    alone = neighbour_graph(torch.ones(1, 3), 50)
    assert propagate(alone, seeds(torch.tensor([0]), torch.tensor([0]), 1, 2)).scores.tolist() == [[1, 0]]


def test_seeds_weigh_classes_evenly() -> None:
    start = seeds(torch.tensor([5, 1, 2, 2]), torch.tensor([0, 1, 1, 1]), 6, 3)
    assert start.sum(dim=0).tolist() == pytest.approx([1, 1, 0])
    assert start[5, 0] == 1 and start[1, 1] == pytest.approx(1 / 3) and start[2, 1] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="at least one labelled image"):
        seeds(torch.tensor([], dtype=torch.long), torch.tensor([], dtype=torch.long), 6, 3)


def test_class_weights() -> None:
    assert class_weights(torch.tensor([0, 0, 0, 1, 1, 3]), 4).tolist() == [0.5, 0.75, 0, 1.5]


def test_even_shares_are_worth_nothing() -> None:
    assert certainty(torch.full((3, 4), 0.25)).tolist() == [0, 0, 0]
    two = torch.tensor([[0.5, 0.5, 0, 0], [0.25] * 4, [0.9, 0.1, 0, 0]])
    halves = 1 - math.log(2) / math.log(4)
    most = 1 - (-0.9 * math.log(0.9) - 0.1 * math.log(0.1)) / math.log(4)
    assert certainty(two).tolist() == pytest.approx([halves / most, 0, 1], abs=1e-6)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu() -> None:
    features, rows = normal(2000, 16), torch.arange(40)
    ours, theirs = neighbour_graph(features, 20), neighbour_graph(features.cuda(), 20)
    assert torch.allclose(theirs.matrix.to_dense().cpu(), ours.matrix.to_dense(), atol=1e-6)
    start = seeds(rows, rows % 20, 2000, 20)
    scores = shares(propagate(theirs, start.cuda()).scores).cpu()
    assert torch.allclose(scores, shares(propagate(ours, start).scores), atol=1e-5)
