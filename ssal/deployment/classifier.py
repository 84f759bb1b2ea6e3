"""Classifier: a trained learner as a network of its own, and the folder that it is kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ssal import backbones
from ssal.artefacts import read_json, read_tensors
from ssal.data.views import Views
from ssal.deployment import heads
from ssal.errors import BadInput
from ssal.fingerprints import file_fingerprint
from ssal.standing import Standing

WEIGHTS, CONFIG, ONNX, CARD = "model.safetensors", "config.json", "model.onnx", "README.md"
FORMAT = 1
"""Of config.json; raised where an older ssal could not read it."""
OWN = "ssal."
"""Begins the names of tensors that are not the backbone's: the file also serves as `backbone.weights`."""
HEAD, TEMPERATURE = f"{OWN}head.", f"{OWN}temperature"


class Classifier(nn.Module):
    """Encoder, head and temperature behind the normalisation: uint8 pixels (N,3,H,W) in, probabilities (N,C) out."""

    def __init__(self, encoder: nn.Module, head: nn.Module, temperature: Tensor, views: Views) -> None:
        """Take the parts over; logits are divided by `temperature` ()."""
        super().__init__()
        self.encoder, self.head, self.views = encoder, head, views
        self.temperature: Tensor
        self.register_buffer("temperature", temperature)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return probabilities, each row a function of its image alone."""
        logits = self.head(self.encoder(self.views.plain(pixels))) / self.temperature
        return logits.float().softmax(dim=1)

    def traceable(self) -> Classifier:
        """Return a classifier of the same answers in operations that ONNX has."""
        return Classifier(self.encoder, heads.traceable(self.head), self.temperature, self.views).eval()


class Loaded(NamedTuple):
    """A classifier in eval mode on the CPU, and its config.json."""

    classifier: Classifier
    config: dict[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image (3,H,W)."""
        return (3, *self.config["image_size"])


def tensors_of(stand: Standing) -> dict[str, Tensor]:
    """Return the averaged weights that a round is evaluated with: the backbone's under their own names, then OWN ones.

    Raises BadInput where the learner's answer is no function of one image's pixels.
    """
    learner, shape = stand.learner.learner, stand.images.pool.shape
    heads.check_learner(stand.cell.arm.learner_method)
    if len(shape) != 3:
        raise BadInput(
            f"data.source: {stand.cell.arm.data['source']} gives this run features in place of images, so it has no "
            "network from pixels to classes; write a model from a run on the images themselves"
        )
    encoder = stand.encoder.build() if learner.frozen else learner.average.encoder
    state = dict(encoder.state_dict())
    state |= {f"{HEAD}{name}": value for name, value in learner.average.head.state_dict().items()}
    state[TEMPERATURE] = learner.average.get_buffer("temperature") if learner.frozen else torch.ones(())
    return state


def described(stand: Standing) -> dict[str, Any]:
    """Return what config.json says so that the classifier can be built again from its tensors."""
    arm, images = stand.cell.arm, stand.images
    return {
        "format": FORMAT,
        "classes": list(stand.ledger.class_numbers(images.classes)),
        "image_size": list(images.pool.shape[1:]),
        "mean": images.mean.tolist(),
        "std": images.std.tolist(),
        "backbone": arm.backbone["name"],
        "learner": Path(arm.learner_method).name,
        "head": heads.described(stand.learner.learner.average.head),
    }


def build(config: dict[str, Any], weights: Path) -> Classifier:
    """Return the classifier of `config` with the tensors in `weights`, in eval mode on the CPU."""
    tensors, shape = read_tensors(weights), (3, *config["image_size"])
    encoder = backbones.build(shape, name=config["backbone"], weights=str(weights))
    own = {name.removeprefix(HEAD): value for name, value in tensors.items() if name.startswith(HEAD)}
    head = heads.built(config["head"], own)
    views = Views(tuple(config["mean"]), tuple(config["std"]), flip=False)
    # As the run's own networks are laid out: other kernels round otherwise.
    return Classifier(encoder, head, tensors[TEMPERATURE], views).eval().to(memory_format=torch.channels_last)


def is_model(folder: Path) -> bool:
    """Say whether a config.json of ours is in `folder`. Raises BadInput where that is damaged."""
    if not (folder / CONFIG).is_file():
        return False
    config = read_json(folder / CONFIG)
    return isinstance(config, dict) and {"format", "files", "ssal"} <= config.keys()


def load(folder: Path) -> Loaded:
    """Return the model that `write_model` left in `folder`. Raises BadInput where it is not whole, or too new."""
    if not is_model(folder):
        raise BadInput(
            f"{folder}: there is no model here (no {CONFIG} that ssal wrote); name the folder that was given to "
            "`ssal model RECIPE --to FOLDER`"
        )
    config = read_json(folder / CONFIG)
    if config["format"] > FORMAT:
        raise BadInput(f"{folder / CONFIG}: ssal {config['ssal']} wrote this model; update ssal to read it")
    if file_fingerprint(folder / WEIGHTS) != config["files"][WEIGHTS]:
        raise BadInput(
            f"{folder / WEIGHTS}: this is not the file that {CONFIG} was written with, or it is damaged; copy the "
            "whole folder again, or write the model anew with ssal model"
        )
    return Loaded(build(config, folder / WEIGHTS), config)
