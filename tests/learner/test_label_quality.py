"""Disagreement of given and propagated labels: wrong ones are found, and no label vouches for itself."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from torch import Tensor

from ssal.learner.label_quality import label_disagreement
from ssal.learner.propagation import neighbour_graph


def digits_with_wrong_labels(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return pixels, labels of which every tenth is another class, and which those are."""
    images, truth = (torch.from_numpy(part) for part in load_digits(return_X_y=True))
    generator = torch.Generator().manual_seed(seed)
    flipped = torch.randperm(len(truth), generator=generator)[: len(truth) // 10]
    given = truth.long().clone()
    given[flipped] = (given[flipped] + torch.randint(1, 10, (len(flipped),), generator=generator)) % 10
    return images.float(), given, given != truth


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_wrong_labels_of_digits_are_found(seed: int) -> None:
    images, given, wrong = digits_with_wrong_labels(seed)
    found = label_disagreement(images, torch.arange(len(images)), given)
    differs = found.propagated != given
    recall = (differs & wrong).sum() / wrong.sum()
    precision = (differs & wrong).sum() / differs.sum()
    assert recall > 0.97 and precision > 0.85, (recall, precision)  # chance: 0.1 each
    first = found.order[: int(wrong.sum())]
    assert wrong[first].float().mean() > 0.94, "asking as many as are wrong meets nearly all of them"
    assert average_precision_score(wrong, found.scores) > 0.98
    assert torch.equal(found.scores[found.order], found.scores.sort(descending=True).values)


def test_unlabelled_images_carry_labels_on_and_rows_keep_their_order() -> None:
    images, given, wrong = digits_with_wrong_labels(0)
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))[:300]
    found = label_disagreement(images, rows, given[rows])
    differs = found.propagated != given[rows]
    assert (differs & wrong[rows]).sum() / wrong[rows].sum() > 0.9
    assert average_precision_score(wrong[rows], found.scores) > 0.85


def test_a_label_is_judged_without_itself_by_dense_algebra() -> None:
    """With one image of each class per turn, every turn is the inverse's columns of the others."""
    points = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    rows, labels = torch.tensor([3, 8, 20, 31]), torch.tensor([0, 1, 0, 1])
    found = label_disagreement(points, rows, labels, neighbours=10, alpha=0.5, folds=4)
    matrix = neighbour_graph(points, 10).matrix.to_dense().double()
    inverse = torch.linalg.inv(torch.eye(40) - 0.5 * matrix)
    for place in range(4):
        # turns hold one image each, by class and then by place: 3, 20, 8, 31
        reach = [sum(inverse[rows[place], rows[at]] / n for at in others) for others, n in _others(place)]
        assert found.scores[place].item() == pytest.approx(float(1 - reach[labels[place]] / sum(reach)), abs=1e-5)


def _others(place: int) -> list[tuple[list[int], int]]:
    kept = [[at for at in of if at != place] for of in ([0, 2], [1, 3])]
    return [(of, len(of)) for of in kept]


def test_what_nobody_can_judge_ranks_last() -> None:
    points = torch.cat([torch.eye(5)[:1].repeat(8, 1), torch.eye(5)[1:2].repeat(8, 1), torch.zeros(2, 5)])
    labels = torch.tensor([0] * 7 + [1] + [1] * 8 + [0, 2])  # 7 is wrong, 16 like nothing, 17 alone of its class
    found = label_disagreement(points, torch.arange(18), labels, neighbours=7)
    assert found.order[0] == 7 and found.propagated[7] == 0 and found.scores[7] == 1
    assert found.propagated[16:].tolist() == [-1, -1] and found.scores[16:].tolist() == [0, 0]
    assert torch.isfinite(found.scores).all()
    alone = label_disagreement(points, torch.tensor([4]), torch.tensor([0]))
    assert alone.scores.tolist() == [0] and alone.propagated.tolist() == [-1]


def test_impossible_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 rows, 1 labels and 10 folds"):
        label_disagreement(torch.ones(3, 2), torch.tensor([0, 1]), torch.tensor([0]))
