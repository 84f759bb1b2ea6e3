"""Confidence is calibrated on audited images, as scikit-learn, SciPy and TorchMetrics calibrate and measure it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from torchmetrics.functional.classification import multiclass_calibration_error

from ssal.evaluation.outlook import IMAGES_FROM
from ssal.export.calibration import FOLDS, by_chance, calibrate


def sure_to_three_quarters(count: int, right: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits that say class 0 with 75 %, and labels of which that many are 0."""
    labels = (torch.arange(count) >= right).long()
    return torch.tensor([[math.log(3), 0.0]]).repeat(count, 1), labels[torch.randperm(count)]


def test_a_classifier_that_is_right_more_often_than_it_says() -> None:
    """Right in 90 %: odds of 9 in place of 3 take a temperature of log 3 / log 9, one half."""
    found = calibrate(*sure_to_three_quarters(2000, 1800))
    assert found.images == 2000 and found.measured
    assert found.temperature == pytest.approx(0.5, abs=0.005)
    assert found.measured.accuracy.mean == pytest.approx(0.9)
    assert found.measured.error_before == pytest.approx(0.15, abs=1e-6)
    assert found.measured.confidence == pytest.approx(0.9, abs=0.01) and found.measured.error < 0.01


def test_few_audited_images_say_nothing_of_the_confidence() -> None:
    found = calibrate(*sure_to_three_quarters(IMAGES_FROM - 1, IMAGES_FROM - 3))
    assert found == (1.0, IMAGES_FROM - 1, None)
    assert calibrate(*sure_to_three_quarters(IMAGES_FROM, IMAGES_FROM)).measured
    assert calibrate(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)) == (1.0, 0, None)


def test_images_of_a_class_that_the_learner_lacks_are_wrong_and_fit_nothing() -> None:
    logits, labels = sure_to_three_quarters(40, 30)
    both = calibrate(torch.cat([logits, logits]), torch.cat([labels, torch.full_like(labels, -1)]))
    assert both.measured and both.measured.accuracy.mean == pytest.approx(30 / 80)
    assert both.temperature == pytest.approx(calibrate(logits, labels).temperature)
    none = calibrate(logits, torch.full_like(labels, -1))
    assert none.temperature == 1 and none.measured and none.measured.error == pytest.approx(0.75)


@pytest.fixture
def noisy() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of five classes that are three times too large, and labels drawn from what they should say."""
    draw = np.random.default_rng(0)
    honest = 1.5 * draw.normal(size=(400, 5))
    shares = np.exp(log_softmax(honest, axis=1))
    labels = [draw.choice(5, p=share) for share in shares]
    return torch.from_numpy(3 * honest), torch.tensor(labels)


def by_scipy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature of largest likelihood times prior, log T ~ N(0, 1/2), found by another search."""

    def cost(log: np.ndarray) -> float:
        said = log_softmax(logits / math.exp(log[0]), axis=1)[np.arange(len(labels)), labels]
        return float(-said.sum() + (log[0] / 0.5) ** 2 / 2)

    return math.exp(minimize(cost, [0.3], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x[0])


def test_the_temperature_is_that_of_other_programs(noisy: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = (part.numpy() for part in noisy)
    found = calibrate(*noisy).temperature
    assert found == pytest.approx(by_scipy(logits, labels), rel=1e-4)
    same = LogisticRegression()  # whose decision function gives the logits back
    same.classes_, same.n_features_in_ = np.arange(5), 5
    same.coef_, same.intercept_ = np.eye(5), np.zeros(5)
    theirs = CalibratedClassifierCV(FrozenEstimator(same), method="temperature").fit(logits, labels)
    (fitted,) = theirs.calibrated_classifiers_
    assert found == pytest.approx(1 / fitted.calibrators[0].beta_, rel=0.03), "it has no prior"
    assert 2.5 < found < 3.5


def test_the_error_is_cross_fitted_and_that_of_torchmetrics(noisy: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = noisy
    found = calibrate(logits, labels).measured
    assert found
    before = multiclass_calibration_error(logits.softmax(dim=1), labels, num_classes=5, n_bins=15)
    assert found.error_before == pytest.approx(float(before), abs=1e-6)
    held_out = torch.empty_like(logits)
    for fold in range(FOLDS):
        inside = [row for row in range(400) if row % FOLDS != fold]
        held_out[fold::FOLDS] = logits[fold::FOLDS] / by_scipy(logits[inside].numpy(), labels[inside].numpy())
    after = multiclass_calibration_error(held_out.softmax(dim=1), labels, num_classes=5, n_bins=15)
    assert found.error == pytest.approx(float(after), abs=1e-3)
    assert found.confidence == pytest.approx(float(held_out.softmax(dim=1).amax(dim=1).mean()), abs=1e-4)
    assert found.error < 0.6 * found.error_before


def test_few_images_show_an_error_by_chance_alone() -> None:
    """In one bin it is the mean |share right - 3/4|, which is sqrt(2 / pi) standard deviations of a mean of n."""
    for count in (36, 400):
        expected = math.sqrt(2 / math.pi) * math.sqrt(0.75 * 0.25 / count)
        assert by_chance(torch.full((count,), 0.75, dtype=torch.float64)) == pytest.approx(expected, rel=0.1)
    assert by_chance(torch.ones(50)) == 0, "nothing is left to chance"
