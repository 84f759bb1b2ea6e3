"""GaussianProcess: kernels, and a head that keeps the labelled images and draws from what they leave open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ssal.learner.laplace import Curvature, curvature, posterior_weights, softmax_mode
from ssal.streams import generator

FREQUENCIES = 1024
"""Random Fourier features of the RBF prior's draws: their covariances are right to about a fiftieth."""
MOST_DISTANCES = 2000
"""Images whose distances give the length scale."""
ENTRIES_AT_ONCE = 2**23
"""Draws × images × classes that are in memory together: 64 MiB."""


@dataclass(frozen=True)
class Kernel:
    """Prior covariance of one class's latent at two inputs, and functions whose random sums have it."""

    name: str
    """`linear`: variance · (1 + x·y / D), a constant and all features; `rbf`: variance · exp(-|x - y|² / 2 length²)."""
    variance: float
    length: float = 1.0

    def matrix(self, inputs: Tensor, others: Tensor) -> Tensor:
        """Return covariances (N,M) at inputs (N,D) and (M,D)."""
        if self.name == "linear":
            return self.variance * (1 + inputs @ others.T / inputs.shape[1])
        return self.variance * (-(torch.cdist(inputs, others) / self.length).square() / 2).exp()

    def basis(self, inputs: Tensor) -> Tensor:
        """Return (N,F) whose inner products are the covariances; of `rbf` on average (Rahimi and Recht, 2007)."""
        width = inputs.shape[1]
        if self.name == "linear":
            return math.sqrt(self.variance) * torch.cat(
                [inputs / math.sqrt(width), torch.ones_like(inputs[:, :1])], dim=1
            )
        waves = torch.randn(width, FREQUENCIES, generator=generator("rbf", "frequencies"), dtype=inputs.dtype)
        angles = inputs @ waves.to(inputs.device) / self.length
        return math.sqrt(self.variance / FREQUENCIES) * torch.cat([angles.cos(), angles.sin()], dim=1)


class GaussianProcess(nn.Module):
    """Features (N,D) in, log-probabilities (N,C) out; its buffers hold the labelled images and what they say."""

    shift: Tensor
    scale: Tensor
    variance: Tensor
    length: Tensor
    inputs: Tensor
    """Labelled images, standardised (n,D)."""
    labels: Tensor
    residuals: Tensor
    """Label minus probability at the posterior's mode (C,n)."""

    def __init__(self, kernel: str, classes: int, labelled: int, width: int, samples: int) -> None:
        """Make room for `labelled` images; predictions average `samples` draws."""
        super().__init__()
        self.kernel_name, self.classes, self.samples = kernel, classes, samples
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("length", torch.ones(()))
        self.register_buffer("inputs", torch.zeros(labelled, width))
        self.register_buffer("labels", torch.zeros(labelled, dtype=torch.long))
        self.register_buffer("residuals", torch.zeros(classes, labelled))
        self._curvature: Curvature | None = None
        self._draws: tuple[Tensor, Tensor] | None = None

    def _load_from_state_dict(self, *given: Any) -> None:
        super()._load_from_state_dict(*given)
        self._curvature = self._draws = None

    @property
    def home(self) -> torch.device:
        """Where predictions are computed."""
        return torch.device("cpu") if self.shift.device.type == "mps" else self.shift.device  # mps has no double

    @property
    def kernel(self) -> Kernel:
        """The prior's covariance."""
        return Kernel(self.kernel_name, float(self.variance), float(self.length))

    def standard(self, features: Tensor) -> Tensor:
        """Return features with the pool's mean 0 and standard deviation 1, in double: variances are differences."""
        return (features.to(self.home, torch.float64) - self.shift.to(self.home)) / self.scale.to(self.home)

    def look(self, pool: Tensor) -> None:
        """Take the standardisation and the length scale, the median distance of images, from the pool (N,D)."""
        spread, self.shift = torch.std_mean(pool, dim=0, correction=0)
        self.scale = torch.where(spread > 1e-8, spread, torch.ones_like(spread))
        if self.kernel_name == "rbf":
            rows = torch.linspace(0, len(pool) - 1, min(len(pool), MOST_DISTANCES)).long()
            distances = torch.pdist(self.standard(pool[rows]))
            self.length.fill_(float(distances.median()) if distances.any() else 1.0)

    def condition(self, features: Tensor, labels: Tensor, variance: float) -> float:
        """Find the mode of the posterior given labelled features (n,D); return the log-evidence of `variance`."""
        self.variance.fill_(variance)
        self.inputs, self.labels = self.standard(features).float(), labels
        inputs = self.inputs.double()
        residuals, evidence = softmax_mode(self.kernel.matrix(inputs, inputs), labels, self.classes)
        self.residuals = residuals.float()
        self._curvature = self._draws = None
        return evidence

    def draws(self, samples: int, source: torch.Generator, mirrored: bool = False) -> tuple[Tensor, Tensor]:
        """Return joint draws of the posterior: weights of the prior's basis (C,F,K) and of labelled images (C,n,K).

        `mirrored` draws are half as many and the same on the other side of the mean, which they have exactly.
        """
        inputs, residuals = self.inputs.cpu().double(), self.residuals.cpu().double()
        probabilities = (one_hot(self.labels.cpu(), self.classes).T - residuals).clamp(min=0)
        matrix, basis = self.kernel.matrix(inputs, inputs), self.kernel.basis(inputs)
        if self._curvature is None:
            self._curvature = curvature(matrix, probabilities)
        count = samples // 2 if mirrored else samples
        shapes = ((self.classes, size, count) for size in (basis.shape[1], len(inputs)))
        prior, noise = (torch.randn(shape, generator=source, dtype=torch.float64) for shape in shapes)
        if mirrored:
            prior, noise = (torch.cat([half, -half], dim=2) for half in (prior, noise))
        return prior, posterior_weights(matrix, self._curvature, probabilities, residuals, basis @ prior, noise)

    def latents(self, features: Tensor, prior: Tensor, weights: Tensor) -> Tensor:
        """Return what every draw says of features (N,D): logits (K,N,C)."""
        inputs, labelled = self.standard(features), self.inputs.to(self.home, torch.float64)
        prior, weights = prior.to(inputs.device), weights.to(inputs.device)
        said = self.kernel.basis(inputs) @ prior + self.kernel.matrix(inputs, labelled) @ weights
        return said.permute(2, 1, 0)

    def forward(self, features: Tensor) -> Tensor:
        """Return log-probabilities: the mean of softmax over draws that are the same for all images."""
        if self._draws is None:
            self._draws = self.draws(self.samples, generator("gp_head", "prediction"), mirrored=True)
        parts = features.split(max(1, ENTRIES_AT_ONCE // (self.samples * self.classes)))
        found = [self.latents(part, *self._draws).log_softmax(dim=2).logsumexp(dim=0) for part in parts]
        return (torch.cat(found) - math.log(self._draws[0].shape[2])).to(features)
