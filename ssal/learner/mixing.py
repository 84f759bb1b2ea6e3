"""Groups of images that share a network: MixUp, interleaved batches, and whose BatchNorm statistics are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Let batches in train mode be normalised by themselves alone: the running statistics neither serve nor move."""
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


def mixing_shares(count: int, alpha: float, seed: int) -> Tensor:
    """Return the share (count,) of each image in its mixture: max(λ, 1 − λ) of λ from Beta(alpha, alpha).

    The larger part keeps a mixture nearer to its own image than to the partner's (Berthelot et al., 2019).
    """
    drawn = torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count))
    return torch.maximum(drawn, 1 - drawn).float()


def mixup(images: Tensor, targets: Tensor, partners: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return images (N,…) and target probabilities (N,C), each by its share (N,) and the rest its partner's (N,)."""
    shares, partners = shares.to(images.device), partners.to(images.device)
    of_image, of_target = shares.view(-1, *[1] * (images.ndim - 1)), shares.view(-1, 1)
    return torch.lerp(images[partners], images, of_image), torch.lerp(targets[partners], targets, of_target)


def interleave(groups: Sequence[Tensor]) -> list[Tensor]:
    """Return n groups of equal length in which the first holds an n-th of each and the others part of the first.

    Group i gives its i-th of n parts for the first group's i-th part; done twice, everything is back in its place.
    """
    if len({len(group) for group in groups}) != 1:
        raise ValueError(f"interleave: expected groups of equal length, got {[len(group) for group in groups]}")
    parts = [list(group.tensor_split(len(groups))) for group in groups]
    shared = [own[place] for place, own in enumerate(parts)]
    for place, own in enumerate(parts):
        own[place] = parts[0][place]
    return [torch.cat(own) for own in (shared, *parts[1:])]
