"""Encoders measured on their own: how far neighbours and a linear probe get with every label there is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightly.utils.benchmarking.knn import knn_predict
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import normalize

from ssal.cells import images_of
from ssal.data.images import Images
from ssal.embed import encoders_of
from ssal.errors import BadInput
from ssal.recipe import Recipe

ORACLE = (
    "oracle evaluation: neighbours and probe have all {known} labels of the pool, {hidden} of them hidden from a run"
)
NEIGHBOURS, TEMPERATURE = 200, 0.1
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""L2 penalties per training image, strongest first, so that of equals the strongest is taken."""
FOLDS, MOST_FOR_FOLDS = 5, 10_000
"""The penalty is chosen on at most so many training images; the probe is then solved on all of them."""


@dataclass(frozen=True)
class Measured:
    """What one encoder's features are worth on the test images."""

    name: str
    neighbours: float
    """Share of test images whose class their neighbours name."""
    linear: float
    """Share of test images whose class the linear probe names."""
    seconds: float
    """How long the encoder was trained."""

    def __str__(self) -> str:
        """Say it in one line."""
        shares = f"kNN {100 * self.neighbours:.2f} %, linear {100 * self.linear:.2f} %"
        return f"{self.name}: {shares}, trained in {self.seconds:.1f} s"


def neighbour_share(bank: Tensor, labels: Tensor, test: Tensor, truth: Tensor, classes: int) -> float:
    """Return the accuracy of cosine neighbours in `bank` (n,D), weighted by exp(similarity / 0.1) (Wu et al., 2018).

    As many neighbours vote as there are, 200 at most.
    """
    near, bank = min(NEIGHBOURS, len(bank)), normalize(bank, dim=1).T
    right = 0
    for rows in torch.arange(len(test)).split(500):
        order = knn_predict(normalize(test[rows], dim=1), bank, labels, classes, knn_k=near, knn_t=TEMPERATURE)
        right += int((order[:, 0] == truth[rows]).sum())
    return right / len(test)


def linear_share(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor) -> float:
    """Return the test accuracy of logistic regression on features standardised by the training images.

    The penalty is the one with the best accuracy in cross-validation inside the training images.
    """
    mean, scale = train.mean(dim=0), train.std(dim=0, correction=0)
    scale = torch.where(scale > 1e-8, scale, torch.ones_like(scale))
    known, unknown = (((rows - mean) / scale).double().numpy() for rows in (train, test))
    numbers = labels.numpy()
    if len(np.unique(numbers)) == 1:
        return float((truth == labels[0]).float().mean())
    probe = _probe(chosen_penalty(known, numbers), len(known)).fit(known, numbers)
    return float(np.mean(probe.predict(unknown) == truth.numpy()))


def chosen_penalty(known: np.ndarray, numbers: np.ndarray) -> float:
    """Return the penalty with the most right answers over the folds; the strongest of equals."""
    known, numbers = known[:MOST_FOR_FOLDS], numbers[:MOST_FOR_FOLDS]  # rows stand by content hash: a random part
    right = dict.fromkeys(PENALTIES, 0)
    for fold in folds(numbers):
        for penalty in PENALTIES:
            probe = _probe(penalty, int((~fold).sum())).fit(known[~fold], numbers[~fold])
            right[penalty] += int((probe.predict(known[fold]) == numbers[fold]).sum())
    return max(right, key=right.__getitem__)


def folds(numbers: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the held-out images (n,) of every fold, each class spread over them in turn; rows have no order to keep.

    Folds that leave no two classes to train on, as with very few images, are passed over.
    """
    turns = np.empty(len(numbers), dtype=int)
    for number in np.unique(numbers):
        turns[numbers == number] = np.arange((numbers == number).sum()) % FOLDS
    for turn in range(FOLDS):
        fold = turns == turn
        if fold.any() and len(np.unique(numbers[~fold])) > 1:
            yield fold


def _probe(penalty: float, images: int) -> LogisticRegression:
    return LogisticRegression(C=1 / (penalty * images), max_iter=500)


def evaluate_encoders(recipe: Recipe, checkpoints: Path) -> Iterator[Measured | str]:
    """Yield what is to be known first, then every encoder of the recipe, measured on the test images.

    Neighbours and probe have every label of the pool that the data source knows, hidden ones included. Raises BadInput,
    before any training, where there is nothing to train the probe on or nothing to test it on.
    """
    for arm in recipe.arms.values():
        images = images_of(arm, checkpoints)
        if not (images.hidden or images.given) or not len(images.test):
            lacks = "labels in the pool" if len(images.test) else "test images"
            raise BadInput(f"{recipe.path}: arm {arm.name}: an encoder cannot be evaluated without {lacks}")
    said = ""
    for name, (encoder, images) in encoders_of(recipe, checkpoints).items():
        known = {id: label for id, label in {**images.hidden, **images.given}.items() if label in images.classes}
        says = ORACLE.format(known=len(known), hidden=len(known) - len(images.given))
        if says != said:
            yield says
            said = says
        yield measure(name, encoder.features(images), images, known, encoder.record["seconds"])


def measure(name: str, features: dict[str, Tensor], images: Images, known: dict[str, str], seconds: float) -> Measured:
    """Return the two accuracies of `features`, with `known` labels by pool id."""
    numbers = {label: number for number, label in enumerate(sorted({*known.values(), *images.test_labels}))}
    rows = [row for row, id in enumerate(images.pool.ids) if id in known]
    bank = features["pool"][rows].cpu().float()
    labels = torch.tensor([numbers[known[images.pool.ids[row]]] for row in rows])
    test, truth = features["test"].cpu().float(), torch.tensor([numbers[label] for label in images.test_labels])
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # penalties too weak may stop early
        linear = linear_share(bank, labels, test, truth)
    return Measured(name, neighbour_share(bank, labels, test, truth, len(numbers)), linear, seconds)
