"""Frozen learners: folds that keep every class, temperatures and penalties chosen from the labels at hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_runs import pictures, recipe, run, write_pictures
from torch import Tensor
from torch.nn.functional import cross_entropy

from ssal import registry
from ssal.backbones import Identity
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.frozen import FOLDS, FrozenLearner, best_temperature, stratified_folds


@pytest.mark.parametrize("labels", [[0] * 12 + [1] * 7, [0, 1, 0, 2, 1, 0, 0, 0, 0, 0], [3, 3], list(range(6)), [1]])
def test_every_class_stays_in_training_whatever_is_held_out(labels: list[int]) -> None:
    numbers = torch.tensor(labels)
    folds = stratified_folds(numbers)
    alone = torch.bincount(numbers)[numbers] == 1
    assert torch.equal(folds == -1, alone)
    sizes = torch.bincount(folds[~alone], minlength=FOLDS)
    assert len(sizes) == FOLDS and sizes.max() - sizes.min() <= 1
    for fold in range(FOLDS):
        held = folds == fold
        assert set(numbers[~held].tolist()) == set(labels)
        for number in set(labels):
            share = (held & (numbers == number)).sum()
            assert abs(share - (numbers == number).sum() / FOLDS) <= 1, "every fold has its share of every class"


def test_the_temperature_is_that_of_the_highest_likelihood() -> None:
    """Logits (4, 0) that are right three times in four say so at softmax((4, 0) / T) = (3/4, 1/4): T = 4 / log 3."""
    logits, labels = torch.tensor([[4.0, 0.0]]).repeat(40000, 1), torch.tensor([0, 0, 1, 0]).repeat(10000)
    assert best_temperature(logits, labels) == pytest.approx(4 / math.log(3), rel=2e-3)
    assert best_temperature(logits / 8, labels) == pytest.approx(0.5 / math.log(3), rel=2e-3)


def test_few_images_move_the_temperature_little() -> None:
    """One image, right by a logit of 2: the derivative of its cost and of the prior's by log T cancel each other."""
    right = torch.tensor([[2.0, 0.0]])
    found = best_temperature(right, torch.tensor([0]))
    wrongness = 1 - float((right / found).softmax(dim=1)[0, 0])
    assert wrongness * 2 / found == pytest.approx(-math.log(found) / 0.5**2, abs=1e-3)
    many = best_temperature(right.repeat(500, 1), torch.zeros(500, dtype=torch.long))
    assert 0.1 <= many < found < 1 < best_temperature(right, torch.tensor([1])) < 10


def test_the_temperature_stays_in_its_bounds() -> None:
    wrong = torch.tensor([[1000.0, 0.0]]).repeat(50, 1)
    assert best_temperature(wrong, torch.ones(50, dtype=torch.long)) == pytest.approx(10, rel=1e-3)
    unseen = torch.tensor([[1.0, 0.0, -1e4]]).repeat(3, 1)  # as the linear probe gives classes without a label
    assert math.isfinite(best_temperature(unseen, torch.tensor([0, 1, 0])))


def clusters(count: int, width: int = 30, spread: float = 3.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    labels = torch.arange(count) % 3
    centres = torch.randn(3, width, generator=torch.Generator().manual_seed(0))
    return centres[labels] + spread * torch.randn(count, width, generator=generator), labels


def fitted(name: str, features: Tensor, labels: Tensor, classes: int = 3, **options: object) -> FrozenLearner:
    learner = registry.find("learner", name).call(
        Identity(features.shape[1]), Views((0.0,), (1.0,), flip=False), classes, **options
    )
    pool = ImageSet([f"{i:016x}" for i in range(len(features))], [""] * len(features), features)
    learner.see(pool, torch.arange(len(features)), labels)
    learner.fit(lambda steps: [{"labelled": features, "labels": labels}], Path(), (0,), {})
    return learner.eval()


def test_held_out_logits_are_scikit_learns_out_of_fold() -> None:
    features, labels = clusters(31)
    learner = fitted("linear_probe", features, labels)
    logits, truth = learner.held_out(features, labels)
    folds = stratified_folds(labels)
    order = folds.argsort(stable=True)
    assert torch.equal(truth, labels[order])
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    theirs = cross_val_predict(peer, features, labels, cv=PredefinedSplit(folds.numpy()), method="predict_proba")
    assert torch.allclose(logits.softmax(dim=1).double(), torch.from_numpy(theirs)[order], atol=2e-3)


@pytest.mark.parametrize("name", ["linear_probe", "gp_head"])
def test_a_temperature_divides_the_logits_and_is_saved(name: str) -> None:
    features, labels = clusters(45)
    plain, scaled = (fitted(name, features, labels, temperature_scaling=flag) for flag in (False, True))
    temperature = scaled.facts()["temperature"]
    assert "temperature" not in plain.facts() and abs(temperature - 1) > 0.05
    logits = plain(features)[0]
    assert torch.allclose(scaled(features)[0], logits / temperature, atol=1e-4)
    plain.average.load_state_dict(scaled.average.state_dict())
    assert torch.equal(plain(features)[0], scaled(features)[0])


@pytest.mark.parametrize("name", ["linear_probe", "gp_head"])
def test_a_temperature_makes_new_images_more_likely(name: str) -> None:
    features, labels = clusters(45)
    others, truth = clusters(600)
    plain, scaled = (fitted(name, features, labels, temperature_scaling=flag) for flag in (False, True))
    assert cross_entropy(scaled(others)[0], truth) < cross_entropy(plain(others)[0], truth) - 0.01


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0], [0, 1, 1], [2]])
def test_too_few_labels_to_hold_out(labels: list[int]) -> None:
    numbers = torch.tensor(labels)
    features = clusters(len(labels))[0]
    learner = fitted("linear_probe", features, numbers, 4, temperature_scaling=True, penalties=(0.1, 0.5), penalty=3.0)
    held_out = labels == [0, 1, 1]
    assert (learner.facts()["temperature"] != 1.0) == held_out
    assert (learner.facts()["penalty"] != 3.0) == held_out
    logits = learner(features)[0]
    assert torch.isfinite(logits).all() and torch.equal(logits.argmax(dim=1), numbers)


def test_the_penalty_of_fewest_mistakes_is_taken() -> None:
    features, labels = clusters(45)
    penalties = (0.001, 1.0, 100.0, 1e6)
    mistakes, costs = {}, {}
    for penalty in penalties:
        logits, truth = fitted("linear_probe", features, labels, penalty=penalty).held_out(features, labels)
        mistakes[penalty] = int((logits.argmax(dim=1) != truth).sum())
        costs[penalty] = float(cross_entropy(logits, truth))
    learner = fitted("linear_probe", features, labels, penalties=penalties)
    chosen = learner.facts()["penalty"]
    assert (mistakes[chosen], costs[chosen]) == min((mistakes[one], costs[one]) for one in penalties)
    assert len(set(mistakes.values())) > 1
    same = fitted("linear_probe", features, labels, penalty=chosen)
    assert torch.equal(learner(features)[0], same(features)[0]), "what is left is solved with it, on all labels"


def test_of_equal_penalties_the_stronger_is_taken() -> None:
    labels = torch.arange(12) % 3
    nothing = torch.ones(12, 5)  # features that never vary: every penalty gives the same head
    assert fitted("linear_probe", nothing, labels, penalties=(1.0, 100.0, 10.0)).facts() == {"penalty": 100.0}


def test_what_was_chosen_is_in_the_record(tmp_path: Path) -> None:
    images = pictures(write_pictures(tmp_path / "pictures"), tmp_path)
    options = {
        "linear_probe": {"penalties": [0.1, 10.0], "temperature_scaling": True},
        "gp_head": {"temperature_scaling": True, "kernel": "rbf"},
    }
    expected = {
        "linear_probe": {"penalty", "temperature"},
        "gp_head": {"prior_variance", "length", "log_evidence", "temperature"},
    }
    for name, given in options.items():
        arm = recipe(tmp_path / f"{name}.yaml", learner={"method": name, **given}).arms["main"]
        left = run(arm, images, tmp_path, name=name)
        for facts in left.metrics.values():
            record = json.loads((tmp_path / "learners" / facts["learner_folder"] / "record.json").read_text())
            assert expected[name] <= record.keys()
            assert 0 <= facts["expected_calibration_error"] <= 1
