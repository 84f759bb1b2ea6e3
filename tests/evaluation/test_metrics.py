from __future__ import annotations

import math
import warnings

import pytest
import torch
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error

from ssal.evaluation.metrics import by_confidence, evaluate, expected_calibration_error


def example(images: int, classes: int, used: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    probabilities = (2 * torch.randn(images, classes, generator=generator)).softmax(dim=1)
    return probabilities, torch.randint(used, (images,), generator=generator)


@pytest.mark.parametrize(("images", "classes", "used"), [(500, 10, 10), (300, 10, 4), (7, 100, 100), (1, 2, 2)])
def test_metrics_equal_scikit_learn_and_torchmetrics(images, classes, used):
    probabilities, labels = example(images, classes, used, seed=images)
    predicted, present = probabilities.argmax(1), labels.unique()
    found = evaluate(probabilities, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": sk.accuracy_score(labels, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
            "macro_f1": sk.f1_score(labels, predicted, labels=present, average="macro"),
            "negative_log_likelihood": sk.log_loss(labels, probabilities.double(), labels=range(classes)),
        }
    expected["expected_calibration_error"] = float(
        multiclass_calibration_error(probabilities.double(), labels, num_classes=classes, n_bins=15, norm="l1")
    )
    assert found == pytest.approx(expected, abs=1e-6)


def test_numbers_one_can_check_by_hand():
    probabilities = torch.tensor([[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [0.9, 0.1, 0.0]])
    found = evaluate(probabilities, torch.tensor([0, 1, 1, 0]))
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)  # the third class never occurs and takes no part
    assert found["expected_calibration_error"] == pytest.approx((0.2 + 0.6 + 0.3 + 0.1) / 4, abs=1e-6)
    assert found["negative_log_likelihood"] == pytest.approx(-math.log(0.8 * 0.4 * 0.7 * 0.9) / 4, abs=1e-6)


def test_a_class_the_learner_has_no_output_for_counts_as_wrong():
    found = evaluate(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 5, 1, 7]))
    assert found["accuracy"] == 0.5
    assert found["balanced_accuracy"] == 0.5
    assert math.isfinite(found["negative_log_likelihood"]) and found["negative_log_likelihood"] > 10


def test_a_confidence_on_the_edge_belongs_to_the_lower_bin():
    edge = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    above = torch.tensor([[0.5 + 1e-9, 0.5 - 1e-9]], dtype=torch.float64)
    both = torch.cat([edge, above])
    labels = torch.tensor([0, 1])
    assert expected_calibration_error(both, labels, bins=2) == pytest.approx(0.5)  # apart: |1 - .5| and |0 - .5|
    assert expected_calibration_error(both, labels, bins=1) == pytest.approx(0.0, abs=1e-8)  # together they cancel


def test_what_cannot_be_measured_raises():
    probabilities, labels = example(4, 3, 3, seed=0)
    with pytest.raises(ValueError, match="finite"):
        evaluate(probabilities * torch.nan, labels)
    with pytest.raises(ValueError, match="from 0"):
        evaluate(probabilities, labels - 3)
    with pytest.raises(ValueError, match="N > 0"):
        evaluate(probabilities[:0], labels[:0])
    with pytest.raises(ValueError, match=r"\(N,\)"):
        evaluate(probabilities, labels[:2])


def test_images_by_confidence():
    probabilities = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.55, 0.45], [1.0, 0.0]], dtype=torch.float64)
    found = by_confidence(probabilities, torch.tensor([0, 0, 0, 0]), bins=4)
    assert found.images.tolist() == [0, 0, 1, 3] and found.right.tolist() == [0, 0, 1, 2]
    assert found.confidence.tolist() == pytest.approx([0, 0, 0.55, 2.7])
