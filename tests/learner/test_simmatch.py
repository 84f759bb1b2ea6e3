"""SimMatch: unfolding and aggregation by hand, the bank, and the loss."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from on_vectors import batch, learner_of_logits
from torch import nn
from torch.nn.functional import normalize

from ssal.learner.simmatch import SimMatch, aggregate, unfold
from ssal.learner.targets import soft_cross_entropy

LABELS = torch.tensor([0, 1, 0])
SIMILARITIES = torch.tensor([[0.5, 0.3, 0.2]])


def test_unfolding_multiplies_by_the_class_of_the_neighbour() -> None:
    found = unfold(SIMILARITIES, torch.tensor([[0.2, 0.8]]), LABELS)
    assert found[0].tolist() == pytest.approx([0.10 / 0.38, 0.24 / 0.38, 0.04 / 0.38])  # .1 + .24 + .04


def test_aggregation_sums_over_a_class() -> None:
    assert aggregate(SIMILARITIES, LABELS, 3)[0].tolist() == pytest.approx([0.7, 0.3, 0])


def simmatch(**options: Any) -> SimMatch:
    """Return SimMatch on vectors of 2 whose projection leaves them alone; pool rows 5, 2 and 7 have labels 0, 1, 0."""
    learner = learner_of_logits("simmatch", 2, 8, [5, 2, 7], [0, 1, 0], projection=2, **options)
    assert isinstance(learner, SimMatch)
    learner.network.projection = nn.Identity()
    return learner


def test_the_bank_holds_unit_vectors_in_the_order_of_the_labels() -> None:
    learner = simmatch()
    learner.keep(torch.tensor([2]), torch.tensor([[0.6, 0.8]]))
    learner.keep(torch.tensor([7, 5]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    expected = torch.tensor([[0.0, 1.0], [0.6, 0.8], [1.0, 0.0]])
    assert torch.allclose(learner.bank, expected) and learner.bank_labels.tolist() == [0, 1, 0]


def test_the_bank_moves_slowly_and_stays_on_the_sphere() -> None:
    learner = simmatch()
    learner.keep(torch.tensor([2]), torch.tensor([[1.0, 0.0]]))
    learner.keep(torch.tensor([2]), torch.tensor([[0.0, 1.0]]))
    length = math.hypot(0.7, 0.3)
    assert learner.bank[1].tolist() == pytest.approx([0.7 / length, 0.3 / length])
    generator = torch.Generator().manual_seed(0)
    learner.keep(torch.tensor([2, 5, 7]), normalize(torch.randn(3, 2, generator=generator), dim=1))
    assert learner.bank.norm(dim=1).tolist() == pytest.approx([1, 1, 1])  # rows, not columns


def test_an_image_twice_in_a_batch_counts_once_with_its_mean() -> None:
    learner = simmatch()
    learner.keep(torch.tensor([2, 5, 2]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
    assert learner.bank.tolist() == [[0, 1], pytest.approx([0.5**0.5, 0.5**0.5]), [0, 0]]


def test_places_that_no_batch_has_filled_are_similar_to_nothing() -> None:
    learner = simmatch()
    learner.keep(torch.tensor([2, 7]), torch.tensor([[1.0, 0.0], [0.6, 0.8]]))
    found = learner.similarities(torch.tensor([[1.0, 0.0]])).softmax(dim=1)[0].tolist()
    assert found == pytest.approx([0, 1 / (1 + math.exp(-4)), 1 / (1 + math.exp(4))])  # 1/.1 and .6/.1


def test_the_loss_by_hand() -> None:
    learner = simmatch(threshold=0.7, temperature=1.0, own_share=0.5, unlabelled_weight=2.0, similarity_weight=3.0)
    learner.keep(torch.tensor([5, 2, 7]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    unlabelled = [[1.0, 0.0], [0.0, 1.0]]
    given = batch([[0.0, 0.0], [3.0, 4.0]], [0, 1], unlabelled, labelled_rows=[5, 2])
    loss = learner.loss(given, "t").item()
    # Alignment finds equal shares already. With e = exp(1): p = (e, 1)/(e+1) and its mirror image.
    e = math.e
    first, second = [e / (e + 1), 1 / (e + 1)], [1 / (e + 1), e / (e + 1)]
    similar = [[e, 1, 1 / e], [1, e, 1]]
    similar = [[value / sum(row) for value in row] for row in similar]
    unlabelled_loss = agreement = 0.0
    for own, row in zip((first, second), similar, strict=True):
        mixed = [(own[0] + row[0] + row[2]) / 2, (own[1] + row[1]) / 2]
        assert (max(mixed) >= 0.7) == (mixed[0] > 0.5), "the first is sure, the second is not"
        if max(mixed) >= 0.7:
            unlabelled_loss -= sum(target * math.log(now) for target, now in zip(mixed, own, strict=True)) / 2
        unfolded = [row[0] * own[0], row[1] * own[1], row[2] * own[0]]
        agreement -= sum(a / sum(unfolded) * math.log(now) for a, now in zip(unfolded, row, strict=True)) / 2
    labelled = (math.log(2) + math.log1p(math.exp(-1))) / 2
    assert loss == pytest.approx(labelled + 2 * unlabelled_loss + 3 * agreement, abs=1e-4)
    length = math.hypot(0.7 * 0 + 0.3 * 0.6, 0.7 + 0.3 * 0.8)
    assert learner.bank[1].tolist() == pytest.approx([0.18 / length, 0.94 / length]), "the bank moves afterwards"


def test_a_class_without_labels_gets_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learner_of_logits("simmatch", 3, 4, [0, 1], [0, 2], threshold=0.0, own_share=1.0)
    targets: list[torch.Tensor] = []

    def caught(target: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        targets.append(target)
        return soft_cross_entropy(target, logits)

    monkeypatch.setattr("ssal.learner.simmatch.soft_cross_entropy", caught)
    given = batch([[1.0, 0, 0], [0, 0, 1.0]], [0, 2], [[2.0, 1.0, 0], [0, 1.0, 2.0], [2.0, 0, 0]])
    assert learner.loss(given, "t").isfinite()
    assert targets[0].shape == (3, 3) and targets[0][:, 1].max() < 1e-4
    aligned = targets[0].mean(dim=0)
    plain = torch.tensor([[2.0, 1.0, 0], [0, 1.0, 2.0], [2.0, 0, 0]]).softmax(dim=1).mean(dim=0)
    assert aligned[0] / aligned[2] < plain[0] / plain[2], "the others come closer to equal shares"


def test_the_projection_is_optimised_averaged_and_saved_with_the_network() -> None:
    learner = learner_of_logits("simmatch", 2, 4, [0], [1], projection=3)
    names = {name for name, _ in learner.average.named_parameters() if name.startswith("projection")}
    assert len(names) == 4 and names <= set(learner.average.state_dict())
    groups = learner.configure_optimizers()["optimizer"].param_groups
    found = {id(p) for group in groups for p in group["params"]}
    assert {id(p) for p in learner.network.get_submodule("projection").parameters()} <= found
    assert not any(p.requires_grad for p in learner.average.parameters())
