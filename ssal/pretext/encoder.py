"""Encoder: a backbone with its weights in a folder; what stage 1 leaves and every later stage may use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ssal import backbones, loop, registry
from ssal.artefacts import once, read_json, read_tensors, write_tensors
from ssal.data import batches
from ssal.data.images import Images, ImageSet
from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.pretext.base import Pretext
from ssal.streams import stream

DATA_FILES = ("affine", "augment", "batches", "decode", "images", "lazy", "randaugment", "tones", "views")
SHARED_FILES = [
    Path(__file__),
    *(Path(__file__).parents[1] / name for name in ("backbones.py", "loop.py", "neighbours.py", "streams.py")),
    *(Path(__file__).parents[1] / "data" / f"{name}.py" for name in DATA_FILES),
]
"""What every training depends on beside its own file: a change here makes fingerprints new."""

WEIGHTS = "encoder.safetensors"
BACKBONE = "backbone."
HEADS = "heads.safetensors"
"""What a pretext trained beside the backbone; kept where it can still tell the loss of a single image."""


TELLS_IMAGE_LOSSES = "image_losses"
"""Trait of the pretexts that do."""


@dataclass(frozen=True)
class Encoder:
    """A backbone with its weights, in a folder; features of all images are computed once and kept beside it."""

    folder: Path
    fingerprint: str
    shape: tuple[int, ...]
    backbone: dict[str, Any]
    seed: int
    ready: bool
    """Whether it has learned anything: from a pretext, or from `backbone.weights`."""
    trainer: dict[str, Any]
    trained: bool
    """Whether a pretext trains it, into `folder`; otherwise it is the backbone as it starts."""
    facts: dict[str, Any]
    """What the fingerprint follows from."""

    def build(self) -> nn.Module:
        """Return a fresh backbone with the encoder's weights, on the CPU. Raises BadInput where they are gone."""
        network = backbones.build(self.shape, **self.backbone, seed=self.seed)
        if self.trained:
            network.load_state_dict(read_tensors(self.folder / WEIGHTS))
        return network

    @property
    def files(self) -> tuple[str, ...]:
        """What a pretext leaves in the folder beside its record."""
        heads = self.facts["method"] in registry.with_trait("pretext", TELLS_IMAGE_LOSSES)
        return (WEIGHTS, HEADS) if heads else (WEIGHTS,)

    def module(self, backbone: nn.Module, views: Views, steps: int) -> Pretext:
        """Return the pretext around `backbone`; initial weights of its heads follow from the seed."""
        filed = registry.find("pretext", self.facts["method"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(self.seed, "pretrain", "heads"))
            module: Pretext = filed.call(backbone, views, steps=steps, **self.facts["options"])
        return module

    def write(self, folder: Path, module: Pretext) -> None:
        """Leave the weights of the backbone, and of all else that the pretext trained, in two files."""
        state = module.state_dict()
        own = {name for name in state if name.startswith(BACKBONE)}
        write_tensors(folder / WEIGHTS, module.backbone.state_dict())
        if HEADS in self.files:
            write_tensors(folder / HEADS, {name: state[name] for name in state.keys() - own})

    def pretext(self, images: Images) -> Pretext:
        """Return the pretext as its training left it, heads and all, in eval mode on the CPU.

        Raises BadInput where there is none that tells the loss of a single image, or its files are gone.
        """
        if HEADS not in self.files:
            raise BadInput(
                f"pretext.method: {self.facts['method']!r} has no loss of single images; use one of: "
                f"{', '.join(registry.with_trait('pretext', TELLS_IMAGE_LOSSES))}"
            )
        backbone = self.build()
        module = self.module(backbone, Views.of(images), self.record["steps"])
        state = {f"{BACKBONE}{name}": value for name, value in backbone.state_dict().items()}
        module.load_state_dict({**state, **read_tensors(self.folder / HEADS)})
        return module.eval()

    @cached_property
    def record(self) -> dict[str, Any]:
        """What the stage wrote down: seconds, loss curve, spread of the projections."""
        return read_json(self.folder / "record.json") if self.trained else {"seconds": 0.0}

    def features(self, images: Images) -> dict[str, Tensor]:
        """Return `pool` (n,D) and `test` (m,D) features of the deterministic view, rows in id order."""
        if len(self.shape) == 1:
            parts = {"pool": images.pool, "test": images.test}
            return {name: part.fetch(torch.arange(len(part))) for name, part in parts.items()}
        folder = self.folder / f"features_{images.fingerprint}"

        def make(folder: Path) -> dict[str, Any]:
            scorer = _Embed(self.build(), Views.of(images))
            parts = {
                part: loop.predict(scorer, batches.in_order(getattr(images, part)), self.trainer)["features"]
                if len(getattr(images, part))
                else torch.empty(0, 0)
                for part in ("pool", "test")
            }
            write_tensors(folder / "features.safetensors", parts)
            return {"images": sum(map(len, parts.values()))}

        return read_tensors(once(folder, make, "features.safetensors") / "features.safetensors")

    def embedded(self, images: Images) -> Images:
        """Return `images` with every image replaced by its features: what frozen learners train on."""
        features = self.features(images)
        return replace(
            images,
            pool=ImageSet(images.pool.ids, images.pool.paths, pixels=features["pool"]),
            test=ImageSet(images.test.ids, images.test.paths, pixels=features["test"]),
        )


class _Embed(pl.LightningModule):
    def __init__(self, backbone: nn.Module, views: Views) -> None:
        super().__init__()
        self.backbone, self.views = backbone, views

    def predict_step(self, batch: Tensor, index: int) -> dict[str, Tensor]:
        return {"features": self.backbone(self.views.plain(batch))}
