"""SIMILAR: worked numbers, the plain greedy algorithm, and images that are unlike those of none of the classes."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor

from ssal.acquisition import similar as module
from ssal.acquisition.similar import Gradients, Information, greedily, similar

POOL = torch.tensor([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]])
WANTED, UNWANTED = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0.9, 0.5, 0.1])


class Known:
    """Stands for gradients whose similarities are given."""

    def __init__(self, similarities: Tensor) -> None:
        self.similarities = similarities

    def __len__(self) -> int:
        return len(self.similarities)

    def similarity(self, others: Known, rows: Tensor) -> Tensor:
        return self.similarities[:, rows]


def value(pool: Tensor, chosen: list[int], ceiling: Tensor, floor: Tensor) -> float:
    """Return FLCMI of a set, by its definition."""
    return float((pool[:, chosen].amax(dim=1).minimum(ceiling) - floor).clamp(min=0).sum())


def of_sets(ceiling: Tensor, floor: Tensor, *sets: list[int]) -> list[float]:
    """Return what sets tell, as the gains of their rows add up to it."""
    found = []
    for rows in sets:
        information, total = Information(Known(POOL), ceiling, floor), 0.0  # type: ignore[arg-type]
        for row in rows:
            total += float(information.gains(torch.tensor([row])))
            information.add(row)
        assert total == pytest.approx(value(POOL, rows, ceiling, floor))
        found.append(total)
    return found


def test_worked_numbers() -> None:
    """Without private images it is FLVMI, without a ceiling FLCG; the values are those of the two by hand."""
    nothing, everything = torch.zeros(3), torch.full((3,), torch.inf)
    assert of_sets(WANTED, nothing, [0], [1], [2], [0, 2]) == pytest.approx([1.8, 1.9, 1.0, 2.4])
    assert of_sets(everything, UNWANTED, [0], [1], [2]) == pytest.approx([0.5, 0.6, 0.9])
    # (min(1, .9) - .9) + (min(.9, .8) - .5) + (min(.1, .7) - .1); (.9 - .9) + (.8 - .5) + (.2 - .1); .7 - .1
    assert of_sets(WANTED, UNWANTED, [0], [1], [2], [1, 2]) == pytest.approx([0.3, 0.4, 0.6, 0.9])


def drawn(count: int, seed: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, 6, generator=generator)
    return (2 * torch.randn(count, classes, generator=generator)).softmax(dim=1), features


def test_similarities_are_those_of_gradients_that_are_written_out() -> None:
    (probabilities, features), labels = drawn(7, 0), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    own = Gradients(probabilities, features, labels)
    errors = probabilities - torch.eye(4)[labels]
    written = torch.cat([errors, (errors[:, :, None] * features[:, None]).flatten(1)], dim=1)
    cosine = torch.nn.functional.cosine_similarity(written[:, None], written[None], dim=2)
    assert torch.allclose(own.similarity(own), (1 + cosine) / 2, atol=1e-6)


def written_out(seed: int, count: int = 60) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
    """Return the arguments of `similar`, and similarities, ceiling and floor computed from whole gradients."""
    parts = [drawn(size, 10 * seed + place) for place, size in enumerate((count, 8, 5))]
    known = torch.arange(8) % 4
    numbers = [parts[0][0].argmax(1), known, parts[2][0].argmax(1)]
    vectors = []
    for (probabilities, features), labels in zip(parts, numbers, strict=True):
        errors = (probabilities - torch.eye(4)[labels]).double()
        with_bias = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
        vectors.append(torch.nn.functional.normalize((errors[:, :, None] * with_bias[:, None]).flatten(1), dim=1))
    pool, ceiling, floor = (((1 + vectors[0] @ other.T) / 2) for other in vectors)
    given = [*parts[0], *parts[1], known, *parts[2]]
    return given, pool, ceiling.amax(1), floor.amax(1)


@pytest.mark.parametrize("relevance, privacy", [(1.0, 1.0), (1.5, 0.5), (0.9, 0.0)])
def test_rows_are_those_of_the_plain_greedy_algorithm(
    relevance: float, privacy: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(6):
        given, pool, ceiling, floor = written_out(seed)
        expected: list[int] = []
        while len(expected) < 9:
            reached = {
                row: value(pool, [*expected, row], relevance * ceiling, privacy * floor)
                for row in range(60)
                if row not in expected
            }
            expected.append(max(reached, key=reached.__getitem__))
        for cells in (1 << 24, 70):
            monkeypatch.setattr(module, "CELLS", cells)
            rows = similar(*given, budget=9, relevance=relevance, privacy=privacy).tolist()
            assert len(set(rows)) == 9
            for size in range(1, 10):  # where nothing more is told, rows differ and the value does not
                reached_here = value(pool, rows[:size], relevance * ceiling, privacy * floor)
                assert reached_here == pytest.approx(
                    value(pool, expected[:size], relevance * ceiling, privacy * floor), abs=1e-5
                )


def test_a_small_set_reaches_the_share_of_the_best_that_greedy_promises() -> None:
    given, pool, ceiling, floor = written_out(3, count=12)
    rows = similar(*given, budget=3).tolist()
    best = max(value(pool, list(some), ceiling, floor) for some in combinations(range(12), 3))
    assert value(pool, rows, ceiling, floor) >= (1 - 1 / torch.e) * best > 0


def test_rows_that_tell_nothing_are_the_lowest_left() -> None:
    information = Information(Known(POOL), torch.zeros(3), torch.ones(3))  # type: ignore[arg-type]
    assert greedily(information, 3).tolist() == [0, 1, 2]


def two_kinds(seed: int, unwanted: int) -> tuple[list[Tensor], Tensor]:
    """Return arguments of `similar` for a pool half of which is of no class and lies elsewhere, and which half."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0], [-3.0, -3.0, -3.0]])

    def some(kinds: Tensor) -> tuple[Tensor, Tensor]:
        features = centres[kinds] + torch.randn(len(kinds), 3, generator=generator)
        return (features @ torch.eye(3)).mul(0.4).softmax(dim=1), features

    kinds, known = torch.arange(120) % 6, torch.arange(12) % 3
    kinds = kinds.clamp(max=3)
    outside = torch.full((unwanted,), 3)
    return [*some(kinds), *some(known), known, *some(outside)], kinds == 3


def test_images_like_those_of_no_class_are_left_alone() -> None:
    """Half of the pool is. With a relevance of 2 privacy alone keeps them out, by default likeness to Q does too."""
    shares = []
    for seed in range(10):
        given, outside = two_kinds(seed, 6)
        chosen = [similar(*given, budget=6, relevance=2.0, privacy=privacy) for privacy in (1.0, 0.0)]
        chosen.append(similar(*given, budget=6))
        shares.append([float(outside[rows].float().mean()) for rows in chosen])
    told, untold, usual = (sum(column) / len(shares) for column in zip(*shares, strict=True))
    assert usual < 0.05 and told < 0.25 and untold > 0.4, (usual, told, untold)


def test_without_an_answer_of_no_class_nothing_is_taken_off() -> None:
    given, _ = two_kinds(0, 0)
    assert similar(*given, budget=10).tolist() == similar(*given, budget=10, privacy=0.0).tolist()
