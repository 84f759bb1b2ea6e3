from __future__ import annotations

import numpy
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from ssal import neighbours
from ssal.neighbours import most_similar_others, nearest, nearest_others


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("queries, points, features, k", [(1, 40, 3, 5), (130, 700, 16, 20), (9, 300, 64, 120)])
def test_agrees_with_scikit_learn(queries: int, points: int, features: int, k: int) -> None:
    asked, among = normal(queries, features), normal(points, features, seed=1)
    distances, rows = nearest(asked, among, k)
    expected, expected_rows = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(among.double()).kneighbors(asked)
    numpy.testing.assert_array_equal(rows.numpy(), expected_rows)
    numpy.testing.assert_allclose(distances.numpy(), expected, rtol=1e-5)


def test_distances_are_exact_far_from_the_origin() -> None:
    """The product formula loses all digits here: |x|² is 3e8 and the distances are 1, 2, 3 and 4."""
    points = torch.stack([1e4 + torch.arange(5.0), torch.full((5,), 1e4), torch.full((5,), 1e4)], 1)
    distances, rows = nearest(points[:1], points, 5)
    assert rows.tolist() == [[0, 1, 2, 3, 4]]
    assert distances.tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("cells", [7 * 13, 500 * 13, 400 * 400])
def test_torch_search_is_the_same_in_blocks_of_any_size(cells: int) -> None:
    asked, among = normal(31, 8), normal(400, 8, seed=1)
    rows = neighbours._search_torch(asked, among, 18, cells=cells)
    distances, rows = neighbours._best(asked, among, rows, 10, cells=cells)
    expected, expected_rows = nearest(asked, among, 10)
    assert torch.equal(rows, expected_rows)
    assert torch.equal(distances, expected)


def test_torch_search_merges_blocks_of_points(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, among = normal(20, 4), normal(1000, 4, seed=1)
    monkeypatch.setattr(neighbours, "POINTS_AT_ONCE", 33)
    rows = neighbours._search_torch(asked, among, 12).sort(1).values
    assert torch.equal(rows, nearest(asked, among, 12)[1].sort(1).values)


def test_equal_distances_go_to_the_lowest_row() -> None:
    points = torch.tensor([[3.0], [1.0], [-1.0], [1.0], [0.0]])
    distances, rows = nearest(torch.zeros(1, 1), points, 4)
    assert rows.tolist() == [[4, 1, 2, 3]]
    assert distances.tolist() == [[0, 1, 1, 1]]


def test_k_beyond_the_points_gives_all_of_them() -> None:
    assert nearest(normal(3, 2), normal(5, 2), 20)[1].shape == (3, 5)
    assert nearest(normal(0, 2), normal(5, 2), 2)[1].shape == (0, 2)
    assert nearest_others(normal(4, 2), 20)[1].shape == (4, 3)


@pytest.mark.parametrize("points, k", [((0, 2), 1), ((5, 3), 1), ((5, 2), 0)])
def test_impossible_searches_are_refused(points: tuple[int, int], k: int) -> None:
    with pytest.raises(ValueError, match="nearest: expected k >= 1 and points with 2 features"):
        nearest(normal(3, 2), normal(*points), k)


def test_a_point_is_not_its_own_neighbour_even_among_copies() -> None:
    points = torch.cat([torch.zeros(30, 2), normal(20, 2)])
    distances, rows = nearest_others(points, 5)
    assert not (rows == torch.arange(50)[:, None]).any()
    assert (distances[:30] == 0).all()
    expected = NearestNeighbors(n_neighbors=6).fit(points).kneighbors(points[30:])[0][:, 1:]
    numpy.testing.assert_allclose(distances[30:].numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("search", ["faiss", "torch"])
def test_most_similar_others_agree_with_scikit_learn(search: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = normal(300, 12) + 0.5
    points[7] = 0  # similar to none, and the neighbour of none that has similar ones
    if search == "torch":
        monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    similarities, rows = most_similar_others(points, 20)
    peer = NearestNeighbors(n_neighbors=21, metric="cosine", algorithm="brute").fit(points.double())
    expected, expected_rows = peer.kneighbors(points.double())
    others = torch.arange(300) != 7
    numpy.testing.assert_array_equal(rows[others], expected_rows[others.numpy(), 1:])
    numpy.testing.assert_allclose(similarities[others], 1 - expected[others.numpy(), 1:], atol=2e-6)
    assert (similarities[7] == 0).all() and 7 not in rows


def test_most_similar_others_among_copies_and_few() -> None:
    similarities, rows = most_similar_others(torch.cat([torch.ones(30, 2), normal(20, 2)]), 5)
    assert not (rows == torch.arange(50)[:, None]).any()
    assert torch.allclose(similarities[:30], torch.ones(30, 5)) and similarities.max() <= 1
    assert most_similar_others(normal(4, 2), 20)[1].shape == (4, 3)
    assert most_similar_others(normal(1, 2), 20)[1].shape == (1, 0)
    with pytest.raises(ValueError, match="most_similar_others: expected k >= 1"):
        most_similar_others(normal(4, 2), 0)


def test_training_precision_does_not_reach_the_search() -> None:
    before = torch.get_float32_matmul_precision()
    with neighbours.full_precision():
        torch.set_float32_matmul_precision("medium")
        with neighbours.full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    assert torch.get_float32_matmul_precision() == before
    with torch.autocast("cpu", torch.bfloat16), neighbours.full_precision():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu() -> None:
    asked, among = normal(200, 64), normal(3000, 64, seed=1)
    distances, rows = nearest(asked.cuda(), among.cuda(), 20)
    expected, expected_rows = nearest(asked, among, 20)
    assert torch.equal(rows.cpu(), expected_rows)
    torch.testing.assert_close(distances.cpu(), expected)
