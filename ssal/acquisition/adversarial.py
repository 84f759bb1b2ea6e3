"""Adversarial sampling: ask for the images that look least like labelled ones to a discriminator."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ssal.registry import scores


@scores
def aalu(aalu_unlabelled: Tensor) -> Tensor:
    """Ask what looks unlabelled, or likely to be wrong, to an assistant (Zhu and Wang, 2020)."""
    return aalu_unlabelled


@scores
def vaal(vaal_unlabelled: Tensor) -> Tensor:
    """Ask what looks unlabelled to a discriminator of an autoencoder's latent space (Sinha et al., 2019)."""
    return vaal_unlabelled


@scores
def ta_vaal(ta_vaal_unlabelled: Tensor) -> Tensor:
    """Ask what looks unlabelled in a latent space that knows the learner's ranking of losses (Kim et al., 2021)."""
    return ta_vaal_unlabelled


@scores
def sraal(sraal_unlabelled: Tensor) -> Tensor:
    """Ask what looks unlabelled and unsure to a discriminator of a code that knows classes (Zhang et al., 2020)."""
    return sraal_unlabelled


@scores
def waal(probabilities: Tensor, waal_critic: Tensor, *, critic_weight: Annotated[float, Field(ge=0)] = 10.0) -> Tensor:
    """Ask what is unsure and unlike labelled images, the half sum of two norms of log p falling (Shui et al., 2020).

    The score is `critic_weight` times the critic's answer minus half the L1 and half the L2 norm of log p, in nats.
    """
    logs = -probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
    return critic_weight * waal_critic - (logs.norm(dim=1) + logs.sum(dim=1)) / 2
