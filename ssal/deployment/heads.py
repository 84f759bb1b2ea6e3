"""What turns features into logits in a classifier that stands alone: described, rebuilt, put into plain sums."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from ssal import registry
from ssal.errors import BadInput, listing
from ssal.learner.gaussian_process import FREQUENCIES, GaussianProcess
from ssal.streams import generator

NEEDS_POOL = "needs_pool"
"""Trait of the learners that tell an image's class from the pool around it, not from the image alone."""


def check_learner(name: str) -> None:
    """Raise BadInput where a learner's answer is no function of one image alone, naming those whose answer is."""
    if registry.find("learner", name).traits.get(NEEDS_POOL):
        others = [one for one in registry.methods("learner") if one not in registry.with_trait("learner", NEEDS_POOL)]
        raise BadInput(
            f"learner.method: {name} tells an image's class from the pool that it lies in, so there is no classifier "
            f"of one image to write; train one of these on the same labels, e.g. learner.method=linear_probe: "
            f"{listing(others, len(others))}"
        )


def described(head: nn.Module) -> dict[str, Any]:
    """Return what `built` needs beside the tensors. Raises BadInput for a head of another kind."""
    if isinstance(head, nn.Linear):
        return {"kind": "linear"}
    if isinstance(head, GaussianProcess):
        return {"kind": "gaussian_process", "kernel": head.kernel_name, "samples": head.samples}
    raise BadInput(
        f"the learner's head is a {type(head).__name__}, and a model holds a linear layer or a Gaussian process; use a "
        "learner that `ssal list learners` shows"
    )


def built(description: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    """Return the head that was `described` and left `tensors`: features (N,D) in, logits (N,C) out."""
    head: nn.Module
    if description["kind"] == "linear":
        classes, width = tensors["weight"].shape
        head = nn.Linear(width, classes)
    else:
        (labelled, width), classes = tensors["inputs"].shape, len(tensors["residuals"])
        head = GaussianProcess(description["kernel"], classes, labelled, width, description["samples"])
    head.load_state_dict(tensors)
    return head


def traceable(head: nn.Module) -> nn.Module:
    """Return a head of the same answers in operations that ONNX has."""
    return Draws(head) if isinstance(head, GaussianProcess) else head


class Draws(nn.Module):
    """A Gaussian process whose posterior draws are fixed: features (N,D) in, log-probabilities (N,C) out.

    Each draw is a weighted sum of functions of the features. With the linear kernel these are the features themselves
    and a constant; with the RBF kernel random Fourier features (Rahimi & Recht, 2007) and the kernel at every labelled
    image.
    """

    weights: Tensor
    """Of every function (F,K·C)."""
    waves: Tensor
    """Frequencies over the length scale (D,F)."""
    centres: Tensor
    """Labelled images, standardised (n,D)."""

    def __init__(self, process: GaussianProcess) -> None:
        """Take the draws that the process predicts with."""
        super().__init__()
        prior, weights = process.draws(process.samples, generator("gp_head", "prediction"), mirrored=True)
        shift, scale, width = process.shift.cpu().double(), process.scale.cpu().double(), len(process.shift)
        self.classes, self.rbf = process.classes, process.kernel_name == "rbf"
        if self.rbf:
            waves = torch.randn(width, FREQUENCIES, generator=generator("rbf", "frequencies"), dtype=torch.float64)
            self.register_buffer("waves", (waves / process.length.double().cpu()).float())
            self.register_buffer("centres", process.inputs.cpu())
            self.variance, self.length = float(process.variance), float(process.length)
            mixed = torch.cat([math.sqrt(self.variance / FREQUENCIES) * prior, self.variance * weights], dim=1)
        else:  # an affine function is known from its values at the origin and at every unit vector
            corners = torch.cat([torch.zeros(1, width), torch.eye(width)]).double() * scale + shift
            said = process.latents(corners, prior, weights).permute(2, 1, 0)
            mixed = torch.cat([said[:, 1:] - said[:, :1], said[:, :1]], dim=1)
        self.register_buffer("weights", mixed.permute(1, 2, 0).flatten(1).float())
        self.register_buffer("shift", shift.float())
        self.register_buffer("scale", scale.float())

    def functions(self, inputs: Tensor) -> Tensor:
        """Return what the draws are sums of (N,F), at standardised features (N,D)."""
        if not self.rbf:
            return torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
        angles, lengths = inputs @ self.waves, self.centres.square().sum(dim=1)
        squares = inputs.square().sum(dim=1, keepdim=True) + lengths - 2 * inputs @ self.centres.T
        near = (-squares.clamp(min=0) / (2 * self.length**2)).exp()
        return torch.cat([angles.cos(), angles.sin(), near], dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean of softmax over the draws, as logarithms."""
        inputs = (features - cast(Tensor, self.shift)) / cast(Tensor, self.scale)
        said = (self.functions(inputs) @ self.weights).unflatten(1, (-1, self.classes))
        count = self.weights.shape[1] // self.classes
        return said.log_softmax(dim=2).logsumexp(dim=1) - math.log(count)
