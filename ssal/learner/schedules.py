"""Averaging, rates and decay that learners share: plain functions of steps and parameters."""

from __future__ import annotations

import math

import torch
from torch import nn


def short_schedule_decay(decay: float, steps: int) -> float:
    """Return the averaging decay for a schedule of `steps`: the published one belongs to 2^20 steps."""
    return max(0.0, min(decay, 1 - 10 / steps))


def early_decay(step: int, decay: float) -> float:
    """Return the averaging decay after `step` steps: min(1 − 1/(step + 1), decay), an equal average at first."""
    return min(1 - 1 / (step + 1), decay)


def cosine_seven_sixteenths(progress: float) -> float:
    """Return the learning-rate factor cos(7π·progress/16) (Sohn et al., 2020); it never reaches zero."""
    return math.cos(7 * math.pi * progress / 16)


@torch.no_grad()
def move_average(average: nn.Module, online: nn.Module, decay: float) -> None:
    """Move averaged parameters towards the online ones and copy the buffers (BatchNorm statistics)."""
    for slow, fast in zip(average.parameters(), online.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)
    for kept, moved in zip(average.buffers(), online.buffers(), strict=True):
        kept.copy_(moved)
