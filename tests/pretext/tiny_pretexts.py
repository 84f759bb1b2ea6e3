"""Pretexts with the cheapest options they have, and trainings of seconds, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ssal import registry
from ssal.data.images import Images, ImageSet
from ssal.data.views import Views
from ssal.pretext.base import Pretext
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import pretrain

PRETEXTS = registry.methods("pretext")
TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
BACKBONE = {"name": "wrn_10_1", "weights": None}
VIEWS = Views((0.3, 0.3, 0.3), (0.37, 0.37, 0.37), flip=False)
SHORT = {
    "epochs": 4,
    "batch_size": 128,
    "optimiser": "sgd",
    "learning_rate": 0.4,
    "warm_up": 0.1,
    "min_scale": 0.5,
    "hidden": 256,
    "temperature": 0.2,
}
OWN: dict[str, dict[str, Any]] = {
    "moco_v2": {"epochs": 8, "queue": 256, "key_decay": 0.9, "strength": 0.2},
    "simsiam": {"epochs": 8, "projection": 256, "strength": 1.0},
    "barlow_twins": {"projection": 256, "learning_rate": 0.01},
    "vicreg": {"projection": 256, "learning_rate": 0.03},
    "dino": {
        "epochs": 12,
        "batch_size": 64,
        "optimiser": "adamw",
        "learning_rate": 0.016,
        "outputs": 64,
        "bottleneck": 64,
        "teacher_decay_base": 0.98,
        "min_scale": 0.6,
        "strength": 0.2,
        "local_crops": 1,
        "local_size": 0.5,
    },
}
"""What some pretexts need to learn in seconds: rates that fit their losses, and targets that follow fast."""


def options_of(name: str, **wanted: Any) -> dict[str, Any]:
    """Return every option of a pretext, as the recipe fills them in, with those of `wanted` that it has."""
    known = PRETEXTS[name].options
    given = {**SHORT, **OWN.get(name, {}), **wanted}
    return known | {key: value for key, value in given.items() if key in known}


def make(name: str, backbone: nn.Module, steps: int = 10, **wanted: Any) -> Pretext:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module: Pretext = PRETEXTS[name].call(backbone, VIEWS, steps=steps, **options_of(name, **wanted))
    return module


def first_images(images: Images, count: int) -> Images:
    pixels = images.pool.fetch(torch.arange(count))
    return replace(
        images, pool=ImageSet(images.pool.ids[:count], images.pool.paths[:count], pixels), fingerprint=f"f{count}"
    )


def trained(name: str, images: Images, checkpoints: Path, seed: int = 0, **wanted: Any) -> Encoder:
    trainer = {**TRAINER, **({"checkpoint_seconds": 0.0} if wanted.pop("often", False) else {})}
    return pretrain(
        images,
        checkpoints,
        seed=seed,
        trainer=trainer,
        method=name,
        options=options_of(name, **wanted),
        backbone=BACKBONE,
    )
