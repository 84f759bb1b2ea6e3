"""Encoders measured on their own: neighbours and linear probe against independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ssal import evaluate_encoder
from ssal.evaluate_encoder import PENALTIES, chosen_penalty, folds, linear_share, neighbour_share


def blobs(count: int, seed: int, classes: int = 3, width: int = 6, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return features (count, width) around one centre per class, and their class numbers."""
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    return centres[labels] + noise * torch.randn(count, width, generator=generator), labels


def test_neighbours_weigh_by_similarity_over_a_tenth() -> None:
    """Similarities 0.9, 0.8 and 0.2 weigh as 1, 0.367879 and 0.000912."""
    similar = torch.tensor([0.9, 0.8, 0.2])
    bank = 5 * torch.stack([similar, (1 - similar**2).sqrt()], dim=1)
    test = torch.tensor([[3.0, 0]])
    for labels, winner in (([0, 1, 1], 0), ([1, 0, 1], 1), ([0, 1, 0], 0)):
        share = neighbour_share(bank, torch.tensor(labels), test, torch.tensor([winner]), 2)
        assert share == 1.0, labels
    close = torch.tensor([0.9, 0.88, 0.88])
    bank = torch.stack([close, (1 - close**2).sqrt()], dim=1)
    labels = torch.tensor([0, 1, 1])
    assert neighbour_share(bank, labels, test, torch.tensor([1]), 2) == 1.0, "two of 0.82 outweigh one of 1"


@pytest.mark.parametrize("count", [7, 150, 450])
def test_neighbours_are_scikit_learns(count: int) -> None:
    """With fewer than 200 labels all of them vote; lengths of the features do not count."""
    (bank, labels), (test, truth) = blobs(count, 1), blobs(700, 2)
    near = KNeighborsClassifier(
        min(200, count), metric="cosine", algorithm="brute", weights=lambda far: np.exp((1 - far) / 0.1)
    )
    expected = near.fit(bank.double().numpy(), labels.numpy()).score(test.double().numpy(), truth.numpy())
    stretched = bank * torch.rand(count, 1, generator=torch.Generator().manual_seed(3)).add(0.5)
    assert neighbour_share(stretched, labels, test, truth, 3) == pytest.approx(expected, abs=2 / 700)


def test_the_probe_is_scikit_learns_at_the_penalty_of_the_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    (train, labels), (test, truth) = blobs(200, 1), blobs(400, 2)
    train, test = 50 * train + 7, 50 * test + 7
    scaler = StandardScaler().fit(train.double().numpy())
    known, unknown = (scaler.transform(rows.double().numpy()) for rows in (train, test))
    for penalty in PENALTIES:
        monkeypatch.setattr(evaluate_encoder, "PENALTIES", (penalty,))
        solver = LogisticRegression(C=1 / (200 * penalty), max_iter=1000).fit(known, labels.numpy())
        expected = solver.score(unknown, truth.numpy())
        assert linear_share(train, labels, test, truth) == pytest.approx(expected, abs=1 / 400)


def test_the_penalty_is_chosen_inside_the_training_images() -> None:
    """Where two of 60 features tell the class of 60 images, a strong penalty wins; in plenty of data a weak one may."""
    generator = torch.Generator().manual_seed(0)
    few = torch.randn(60, 60, generator=generator)
    numbers = (few[:, 0] + few[:, 1] > 0).long()
    assert chosen_penalty(few.double().numpy(), numbers.numpy()) >= 1e-2
    many = torch.randn(3000, 10, generator=generator)
    classes = (many @ torch.randn(10, 4, generator=generator)).argmax(1)
    assert chosen_penalty(many.double().numpy(), classes.numpy()) <= 1e-3


def test_folds_hold_out_every_image_once_and_every_class_alike() -> None:
    numbers = np.array([0] * 11 + [1] * 5 + [2] * 3 + [3])
    found = np.stack([*folds(numbers)])
    assert found.shape == (5, 20) and (found.sum(0) == 1).all()
    assert found[:, numbers == 0].sum(1).tolist() == [3, 2, 2, 2, 2]
    assert found[:, numbers == 1].sum(1).tolist() == [1] * 5
    assert [*folds(np.array([0, 1]))] == [], "nothing is left to train on"
    assert len([*folds(np.array([0, 1, 0, 1]))]) == 2


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2], [0, 0, 1], [1, 1]])
def test_very_few_labels_are_enough(labels: list[int]) -> None:
    bank, test = torch.eye(3)[labels], torch.eye(3)
    known, truth = torch.tensor(labels), torch.arange(3)
    named = len(set(labels)) / 3
    assert linear_share(bank, known, test, truth) == pytest.approx(named)
    assert neighbour_share(bank, known, test, truth, 3) == pytest.approx(named)
