"""Orders that strategies share: ranks as scipy has them, and queues and groups that take turns."""

from __future__ import annotations

import torch
from scipy.stats import rankdata
from torch import Tensor

from ssal.acquisition.ordering import ranks, rows_in_turn, scores_in_turn


def best_first(scores: Tensor) -> list[int]:
    return scores.argsort(descending=True, stable=True).tolist()


def test_ranks_agree_with_scipy() -> None:
    values = torch.tensor([3.0, 1, 2, 2, 5, 2, 1])
    torch.testing.assert_close(ranks(values), torch.from_numpy((rankdata(values) - 1) / 6))
    assert ranks(torch.ones(1)).tolist() == [0]


def test_queues_of_any_length_take_turns() -> None:
    assert rows_in_turn([[1, 2, 3], [], [4]], 9) == [1, 4, 2, 3]
    assert rows_in_turn([[1, 2, 3], [], [4]], 3) == [1, 4, 2]
    assert rows_in_turn([], 3) == rows_in_turn([[]], 3) == rows_in_turn([[1]], 0) == []


def test_turns_take_the_largest_of_every_group() -> None:
    values = torch.tensor([9.0, 8, 7, 3, 1, 5, 5])
    groups = torch.tensor([4, 4, 4, 0, 0, 2, 2])
    scores = scores_in_turn(values, groups)
    assert best_first(scores)[:1] == [0] and best_first(scores)[3:6][0] in (1, 5, 6)
    assert set(best_first(scores)[:3]) in ({0, 3, 5}, {0, 3, 6}) and best_first(scores)[6] == 2
    assert best_first(scores)[3] == 1, "inside a turn the larger value comes first"
    assert ((scores >= 0) & (scores < 1)).all()
    assert scores_in_turn(torch.ones(4), torch.tensor([0, 1, 2, 3])).unique().numel() == 1, "equal ones stay equal"
    assert best_first(scores_in_turn(torch.tensor([2.0, torch.inf]), torch.tensor([0, 1]))) == [1, 0]
    assert scores_in_turn(torch.ones(1), torch.tensor([3])).isfinite().all()
