"""Losses that compare projections of labelled images, and the head that makes these. Plain functions on tensors."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ssal.learner.base import Learner


def supervised_contrastive_loss(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss of `vectors` (M,D) with class numbers `labels` (M,) (Khosla et al., 2020).

    For each vector the mean, over the others of its class, of the cross-entropy of finding it among all others by
    cosine over `temperature`; then the mean over vectors. Those that are alone in their class count only as others; if
    all are, the loss is 0. This is the sum outside the logarithm, the better one of the paper's two.
    Differs from the authors' code: the loss is not multiplied by temperature / 0.07.
    """
    with torch.autocast(vectors.device.type, enabled=False):  # bfloat16 has too few digits for sums over a batch
        unit = normalize(vectors.float(), dim=1)
        itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        similar = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
        same = (labels[:, None] == labels) & ~itself
        log_share = (similar - similar.logsumexp(dim=1, keepdim=True)).masked_fill(~same, 0.0)
        partners = same.sum(dim=1)
        return -(log_share.sum(dim=1) / partners.clamp_min(1)).sum() / (partners > 0).sum().clamp_min(1)


def add_projection(learner: Learner, size: int) -> None:
    """Give the learner's network a part `projection` of two layers from its features to `size` values.

    As a part of the network it is optimised, averaged, saved and warm-started with it.
    """
    width: int = learner.network.head.in_features
    layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size))
    learner.network.add_module("projection", layers)
    learner.average.add_module("projection", copy.deepcopy(layers).requires_grad_(False))
