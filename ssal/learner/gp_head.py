"""Gaussian-process head: a Bayesian last layer on frozen features, which knows what few labels leave open."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.learner.frozen import FrozenLearner
from ssal.learner.gaussian_process import GaussianProcess
from ssal.registry import learner

MOST_LABELS = 2000
MOST_ENTRIES = 2**28
"""Classes × labels² of the factorisation: 2 GiB."""


Variance = Annotated[float, Field(gt=0, le=1e6)]
"""Beyond that the factorisation has no digits left."""


@learner("gp_head", frozen=True, most_labels=MOST_LABELS)
class GaussianProcessHead(FrozenLearner):
    """Laplace's approximation of a softmax Gaussian process on frozen features (Rasmussen & Williams, 2006).

    Algorithms 3.3 and 3.4 in the space of the n labelled images: C·n³ operations, whatever the features' width. With
    the linear kernel it is Bayesian logistic regression, a constant among its inputs, on features with the pool's mean
    0 and deviation 1. With the RBF kernel classes without a label keep what the prior gives them where no labelled
    image is near.
    Differs from the book: the latents of all images are drawn together (Wilson et al., 2020), as choosing many images
    at once needs, and the prior's draws with the RBF kernel are sums of random Fourier features.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        kernel: Literal["linear", "rbf"] = "linear",
        prior_variances: Annotated[tuple[Variance, ...], Field(min_length=1)] = (0.1, 1.0, 10.0),
        samples: Annotated[int, Field(gt=1)] = 256,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; of `prior_variances`, every round takes the one of the highest evidence.

        They are of one class's latent at a typical image. From 100 on, the evidence may still rise, but Laplace's
        normal distribution is then far wider than the posterior, and averages over it say next to nothing.
        `temperature_scaling` corrects most of what remains of that, from a few labels per class on.
        """
        super().__init__(encoder, views, classes, **shared)
        self.kernel, self.samples = kernel, samples
        self.prior_variances = sorted(prior_variances)
        self.prior_variance, self.log_evidence = self.prior_variances[0], math.nan

    def see(self, pool: ImageSet, rows: Tensor, labels: Tensor, unlabelled_rows: Tensor | None = None) -> None:
        """Make room for the labelled features. Raises BadInput where they are too many."""
        super().see(pool, rows, labels, unlabelled_rows)
        classes = self.network.head.out_features
        most = min(MOST_LABELS, math.isqrt(MOST_ENTRIES // classes))
        if len(rows) > most:
            raise BadInput(
                f"learner gp_head: expected at most {most} labels of {classes} classes, as its cost grows with the "
                f"cube of the labels, got {len(rows)}; set learner.method to linear_probe, or acquisition.budget to "
                f"{most} or less"
            )
        process = GaussianProcess(self.kernel, classes, len(rows), pool.shape[0], self.samples)
        self.average.add_module("head", process)

    @property
    def process(self) -> GaussianProcess:
        """The head that predicts."""
        return cast(GaussianProcess, self.average.head)

    def tune(self, features: Tensor, labels: Tensor) -> None:
        """Choose the prior variance of the highest evidence, the smaller one of two that are equal."""
        self.process.look(self.pool.fetch(self.unlabelled_rows).cpu().float())
        evidence = {variance: self.process.condition(features, labels, variance) for variance in self.prior_variances}
        self.prior_variance = max(evidence, key=evidence.__getitem__)

    def solve(self, features: Tensor, labels: Tensor) -> None:
        """Find the posterior."""
        self.log_evidence = self.process.condition(features, labels, self.prior_variance)

    def posterior_logits(self, features: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        """Return logits (K,N,C) of features (N,D) under `samples` draws of the posterior, joint over images.

        The same state of `generator` gives the same draws, so that images in several batches share them.
        """
        return self.process.latents(features, *self.process.draws(samples, generator)).float()

    def facts(self) -> dict[str, Any]:
        """Return the prior that was chosen and its evidence."""
        length = {"length": float(self.process.length)} if self.kernel == "rbf" else {}
        chosen = {"prior_variance": self.prior_variance, **length, "log_evidence": self.log_evidence}
        return {**super().facts(), **chosen}
