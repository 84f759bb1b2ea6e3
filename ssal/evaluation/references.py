"""Classifiers on raw inputs that need no deep learning: trained on the same labels, they are what a run must beat.

Raw inputs are an image's pixels, or its embedding where the data are embeddings.

Their settings are fixed, and were set on training images only: on digits, Fashion-MNIST and sign-digits with 20 to 200
labels, an SVM on pixels in [0, 1] was better than one on standardised pixels throughout, and C = 10 better than C = 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor

Reference = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(training inputs, their class numbers, test inputs) -> class numbers of the test images."""


def svm(train_inputs: Tensor, train_labels: Tensor, test_inputs: Tensor) -> Tensor:
    """Predict with a support vector machine on raw inputs (Cortes and Vapnik, 1995): RBF kernel, C = 10, gamma 'scale'.

    Inputs are pixels, uint8 (n,3,H,W), used at their own size as values in [0, 1], or embeddings, float (n,D), used as
    they are.
    A single labelled class is predicted for every image.
    """
    return _predict(SVC(C=10.0, kernel="rbf", gamma="scale"), train_inputs, train_labels, test_inputs)


def logistic_regression(train_inputs: Tensor, train_labels: Tensor, test_inputs: Tensor) -> Tensor:
    """Predict with multinomial logistic regression, L2 with C = 1, on inputs standardised by the labelled images.

    Shapes and the single-class rule are those of `svm`.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    return _predict(model, train_inputs, train_labels, test_inputs)


ACCURACY = "_accuracy"
"""<reference>_accuracy is the column of what a reference reaches."""
NETWORK = "network_"
"""network_<backbone> is the reference that another network is, which learns as the arm's own learner does."""
REFERENCES: dict[str, Reference] = {"svm": svm, "logistic_regression": logistic_regression}


def _predict(model: Any, train_inputs: Tensor, train_labels: Tensor, test_inputs: Tensor) -> Tensor:
    if len(train_labels.unique()) == 1:
        return train_labels[:1].repeat(len(test_inputs))
    model.fit(_flat(train_inputs), train_labels.cpu().numpy())
    return torch.from_numpy(model.predict(_flat(test_inputs)))


def _flat(inputs: Tensor) -> np.ndarray:
    flat = inputs.detach().cpu().flatten(1).float().numpy()
    return flat / np.float32(255) if inputs.dtype == torch.uint8 else flat
