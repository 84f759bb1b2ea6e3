"""Softmax Gaussian processes by Laplace's approximation: mode, evidence and joint draws of the posterior.

Plain functions on double tensors, after Rasmussen and Williams (2006, section 3.5). C classes share the kernel matrix
(n,n) of n labelled images. Latents, probabilities and residuals are (C,n); draws stand behind, (C,n,S).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

NEWTON_STEPS = 100
"""Far more than the ten or so that the mode takes: the posterior is log-concave and steps that overshoot are halved."""


@dataclass(frozen=True)
class Curvature:
    """How the labelled images pin the latents down: (K + W^-1)^-1 without the inverse of W, which has none.

    W is the likelihood's curvature diag(p) - p pᵀ of every image, K the kernel matrix of every class.
    """

    each: Tensor
    """E_c = (K + diag(1 / p_c))^-1 of every class (C,n,n)."""
    joint: Tensor
    """Cholesky factor of the sum of all E_c (n,n)."""
    half_log_determinant: float
    """Half the log-determinant of 1 + KW."""

    def solve(self, values: Tensor) -> Tensor:
        """Return (K + W^-1)^-1 `values`, both (C,n,S)."""
        apart = self.each @ values
        return apart - self.each @ torch.cholesky_solve(apart.sum(dim=0), self.joint)


def curvature(kernel: Tensor, probabilities: Tensor) -> Curvature:
    """Return the curvature at `probabilities` (C,n), one factorisation per class: C·n³ operations."""
    classes, count = probabilities.shape
    each = kernel.new_empty(classes, count, count)
    half_log_determinant = kernel.new_zeros(())
    for number, root in enumerate(probabilities.sqrt()):
        inner = torch.eye(count).to(kernel) + root[:, None] * kernel * root
        factor = torch.linalg.cholesky(inner)
        half_log_determinant += factor.diagonal().log().sum()
        each[number] = root[:, None] * torch.cholesky_inverse(factor) * root
    joint = torch.linalg.cholesky(each.sum(dim=0))
    # |1 + KW| of equation 3.44 is the product of every class's determinant and that of the sum of all E_c.
    half_log_determinant += joint.diagonal().log().sum()
    return Curvature(each, joint, float(half_log_determinant))


def times_likelihood_curvature(probabilities: Tensor, values: Tensor) -> Tensor:
    """Return (diag(p) - p pᵀ) `values` of every image, both (C,n)."""
    weighted = probabilities * values
    return weighted - probabilities * weighted.sum(dim=0)


def softmax_mode(kernel: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, float]:
    """Return label minus probability at the posterior's mode (C,n), and the log-evidence (algorithm 3.3).

    The latents at the mode are these residuals times the kernel matrix. Classes without a label take part.
    Differs from the book: a Newton step that overshoots is halved.
    """
    targets = one_hot(labels, classes).T.to(kernel.dtype)

    def objective(weights: Tensor, latents: Tensor) -> float:
        fit = (targets * latents).sum() - latents.logsumexp(dim=0).sum()
        return float(fit - (weights * latents).sum() / 2)

    weights = latents = torch.zeros_like(targets)
    reached = objective(weights, latents)
    for _ in range(NEWTON_STEPS):
        probabilities = latents.softmax(dim=0)
        goal = times_likelihood_curvature(probabilities, latents) + targets - probabilities
        toward = goal - curvature(kernel, probabilities).solve((goal @ kernel)[:, :, None])[:, :, 0] - weights
        before, step = reached, 1.0
        while step > 1e-3:
            moved = weights + step * toward
            reached = objective(moved, moved @ kernel)
            if reached >= before:
                break
            step /= 2
        if reached <= before + 1e-10 * (1 + abs(before)):
            break
        weights, latents = moved, moved @ kernel
    probabilities = latents.softmax(dim=0)
    evidence = objective(weights, latents) - curvature(kernel, probabilities).half_log_determinant
    return targets - probabilities, evidence


def posterior_weights(
    kernel: Tensor, curve: Curvature, probabilities: Tensor, residuals: Tensor, prior: Tensor, noise: Tensor
) -> Tensor:
    """Return what `prior` draws lack to be joint draws of the posterior: weights of the labelled images (C,n,S).

    A draw of the posterior at any image is the prior's draw there plus its kernel with the labelled images times these
    weights (Matheron's rule; Wilson et al., 2020). `prior` (C,n,S) are draws at the labelled images, `noise` (C,n,S)
    is standard normal and stands for what the labels leave open.
    """
    # sqrt(p)·noise - p·Σ sqrt(p)·noise has the covariance diag(p) - p pᵀ, since sqrt(p) has length one.
    rooted = probabilities.sqrt()[:, :, None] * noise
    left_open = rooted - probabilities[:, :, None] * rooted.sum(dim=0)
    return residuals[:, :, None] - left_open - curve.solve(prior - kernel @ left_open)
