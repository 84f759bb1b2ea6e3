from __future__ import annotations

import itertools

import numpy
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from ssal.acquisition.geometry import Cover, farthest_first, squared_distance_sampling


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain_greedy(points: Tensor, centres: Tensor, budget: int) -> list[int]:
    """k-centre as one would write it down: every distance, from differences, the lowest of equal rows."""
    values = points.double().numpy()
    near = numpy.full(len(values), numpy.inf)
    for centre in centres.double().numpy():
        near = numpy.minimum(near, ((values - centre) ** 2).sum(1))
    chosen: list[int] = []
    while len(chosen) < budget:
        near[chosen] = -1
        chosen.append(int(near.argmax()))
        near = numpy.minimum(near, ((values - values[chosen[-1]]) ** 2).sum(1))
    return chosen


def test_worked_numbers() -> None:
    points, start = torch.tensor([[1.0], [2], [5], [9], [10]]), torch.zeros(1, 1)
    assert farthest_first(points, start, 2).tolist() == [4, 2]
    covered = torch.tensor([[0.0], [10], [5]])
    assert (points - covered.T).abs().amin(1).max() == 2


@pytest.mark.parametrize(
    "points, centres, budget",
    [
        (normal(2000, 16), normal(30, 16, seed=1), 200),
        (normal(900, 64).relu(), normal(1, 64, seed=1).relu(), 900),
        # Far from the origin the float32 product formula has no digit left for these distances.
        (normal(500, 4) + 3000, normal(10, 4, seed=1) + 3000, 100),
        (torch.nn.functional.normalize(normal(800, 32), dim=1), normal(5, 32, seed=1), 150),
    ],
)
def test_lazy_picks_are_those_of_the_plain_greedy(points: Tensor, centres: Tensor, budget: int) -> None:
    assert farthest_first(points, centres, budget).tolist() == plain_greedy(points, centres, budget)


@pytest.mark.parametrize("seed", range(10))
def test_equal_distances_go_to_the_lowest_row(seed: int) -> None:
    """Whole numbers on a small grid: nearly every step is a tie, and a third of the points are copies."""
    grid = torch.randint(-3, 4, (300, 2), generator=torch.Generator().manual_seed(seed)).float()
    assert farthest_first(grid, grid[:1], 80).tolist() == plain_greedy(grid, grid[:1], 80)


def test_most_distances_are_never_computed() -> None:
    points, refreshed = normal(20000, 32), 0
    cover = Cover.refresh

    def counting(self: Cover, rows: Tensor) -> None:
        nonlocal refreshed
        refreshed += len(rows)
        cover(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cover, "refresh", counting)
        farthest_first(points, normal(10, 32, seed=1), 100)
    assert refreshed < 0.1 * 100 * len(points)


def test_a_bound_is_never_below_the_distance_and_refresh_makes_it_exact() -> None:
    points, centres = normal(300, 8) + 100, normal(7, 8, seed=1) + 100
    cover = Cover([points], [centres], 1)
    exact = torch.cdist(points.double(), centres.double()).amin(1).square()
    assert (cover.bounds >= exact).all()
    cover.refresh(torch.arange(300), height=7)
    torch.testing.assert_close(cover.bounds, exact.float())
    assert torch.equal(cover.bounds, blockwise(points, centres, 300))


def blockwise(points: Tensor, centres: Tensor, height: int) -> Tensor:
    cover = Cover([points], [centres], 1)
    cover.refresh(torch.arange(len(points)), height=height)
    return cover.bounds


def test_without_centres_the_first_is_nearest_to_the_mean() -> None:
    points = torch.tensor([[0.0], [1], [4], [5], [20]])
    assert farthest_first(points, torch.zeros(0, 1), 3).tolist() == [3, 4, 0]


def test_kronecker_factors_are_distances_of_the_written_out_vectors() -> None:
    left, right = torch.tensor([[-0.3, 0.2, 0.1], [0.3, -0.4, 0.1]]), torch.tensor([[1.0, 2.0], [2.0, 0.0]])
    cover = Cover([left, right], [left[:0], right[:0]], 2)
    torch.testing.assert_close(cover.lengths[0], torch.tensor(0.70))
    cover.add(0)
    cover.refresh(torch.tensor([1]))
    written_out = (left[:, :, None] * right[:, None, :]).flatten(1)
    torch.testing.assert_close(cover.bounds[1], (written_out[0] - written_out[1]).square().sum())


def test_draws_follow_the_squared_distance() -> None:
    """Every ordered triple's odds, worked out from all distances, against 6,000 draws; D instead of D² fails this."""
    left, right = normal(6, 3), normal(6, 2, seed=1)
    vectors = (left[:, :, None] * right[:, None, :]).flatten(1).double()
    squared = torch.cdist(vectors, vectors).square()
    first = int(vectors.norm(dim=1).argmax())

    def odds(power: float) -> dict[tuple[int, int], float]:
        found = {}
        for second, third in itertools.permutations([row for row in range(6) if row != first], 2):
            one = squared[first] ** power
            two = torch.minimum(squared[first], squared[second]) ** power
            found[second, third] = float(one[second] / one.sum() * two[third] / two.sum())
        return found

    generator, counts = torch.Generator().manual_seed(0), dict.fromkeys(odds(1), 0)
    for _ in range(6000):
        chosen = squared_distance_sampling([left, right], 3, generator).tolist()
        assert chosen[0] == first
        counts[chosen[1], chosen[2]] += 1
    seen = numpy.array(list(counts.values()))
    assert chisquare(seen, 6000 * numpy.array(list(odds(1).values()))).pvalue > 0.001
    assert chisquare(seen, 6000 * numpy.array(list(odds(0.5).values()))).pvalue < 1e-6


def test_draws_from_old_distances_are_exact() -> None:
    """After many centres nearly all distances are out of date; the next draw must not know."""
    points = normal(40, 2)
    squared = torch.cdist(points.double(), points.double()).square()
    counts, expected = numpy.zeros(40), numpy.zeros(40)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4000):
        *before, last = squared_distance_sampling([points], 6, generator).tolist()
        counts[last] += 1
        mass = squared[before].amin(0)
        expected += (mass / mass.sum()).numpy()
    # Each draw's odds are known given the draws before it, so the sum of odds is the expected count.
    assert counts[expected == 0].sum() == 0
    often = expected > 10
    difference = (counts - expected)[often] / numpy.sqrt(expected[often])
    assert abs(difference).max() < 4


def test_copies_alone_are_drawn_with_equal_odds_and_never_divide_by_zero() -> None:
    points = torch.ones(50, 3)
    assert sorted(squared_distance_sampling([points], 50, torch.Generator()).tolist()) == list(range(50))
    generator, counts = torch.Generator().manual_seed(0), numpy.zeros(5)
    for _ in range(2000):
        counts[squared_distance_sampling([points[:5]], 2, generator)[1]] += 1
    assert counts[0] == 0
    assert chisquare(counts[1:]).pvalue > 0.001


def test_different_points_come_before_copies() -> None:
    points = normal(20, 5).repeat(2, 1)
    for chosen in (
        squared_distance_sampling([points], 20, torch.Generator().manual_seed(3)),
        farthest_first(points, points[:0], 20),
    ):
        assert sorted((chosen % 20).tolist()) == list(range(20))


@pytest.mark.gpu
def test_cuda_picks_the_same() -> None:
    points, centres = normal(2000, 64), normal(20, 64, seed=1)
    assert farthest_first(points.cuda(), centres.cuda(), 100).tolist() == farthest_first(points, centres, 100).tolist()
    first, second = (
        squared_distance_sampling([data], 50, torch.Generator().manual_seed(0)).tolist()
        for data in (points, points.cuda())
    )
    assert first == second
