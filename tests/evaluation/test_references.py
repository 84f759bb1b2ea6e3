from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from ssal.evaluation.references import REFERENCES


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, ...]:
    data = load_digits()
    pixels = torch.from_numpy(np.round(data.images / 16 * 255).astype(np.uint8))[:, None].repeat(1, 3, 1, 1)
    labels = torch.from_numpy(data.target)
    return pixels[:100], labels[:100], pixels[1000:1400], labels[1000:1400]


def test_references_are_the_scikit_learn_models_they_say(digits):
    train, labels, test, _ = digits
    flat, unseen = (part.flatten(1).numpy().astype(np.float32) / np.float32(255) for part in (train, test))
    machine = SVC(C=10, gamma="scale").fit(flat, labels)
    assert (REFERENCES["svm"](train, labels, test).numpy() == machine.predict(unseen)).all()
    mean, spread = flat.mean(0), flat.std(0)
    spread[spread == 0] = 1
    regression = LogisticRegression(max_iter=1000).fit((flat - mean) / spread, labels)
    expected = regression.predict((unseen - mean) / spread)
    same = REFERENCES["logistic_regression"](train, labels, test).numpy() == expected
    assert same.mean() > 0.995  # the two standardise with different rounding


@pytest.mark.parametrize("name", REFERENCES)
def test_references_learn_digits_and_leave_their_input_alone(digits, name):
    train, labels, test, truth = digits
    before = train.clone(), test.clone()
    predicted = REFERENCES[name](train, labels, test)
    assert predicted.shape == truth.shape and predicted.dtype == torch.long
    assert (predicted == truth).float().mean() > 0.8
    assert torch.equal(train, before[0]) and torch.equal(test, before[1])


@pytest.mark.parametrize("name", REFERENCES)
def test_one_labelled_class_is_predicted_for_all(digits, name):
    train, _, test, _ = digits
    assert REFERENCES[name](train[:3], torch.tensor([7, 7, 7]), test).tolist() == [7] * len(test)


@pytest.mark.parametrize("name", REFERENCES)
def test_class_numbers_need_not_start_at_zero_or_be_close(digits, name):
    train, labels, test, _ = digits
    assert torch.equal(REFERENCES[name](train, labels * 3 + 5, test), REFERENCES[name](train, labels, test) * 3 + 5)
