"""Stage 1: images to encoder. Trained once per fingerprint and shared by every arm that asks for the same."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from ssal import backbones, loop, registry
from ssal.artefacts import once
from ssal.data import batches
from ssal.data.images import Images
from ssal.data.views import Views
from ssal.fingerprints import file_fingerprint, fingerprint, source_fingerprint
from ssal.pretext.encoder import SHARED_FILES, Encoder

log = logging.getLogger("ssal")


def sources(method: str) -> list[Path]:
    """Return the files whose code an encoder depends on."""
    return SHARED_FILES if method == "none" else [*registry.files("pretext", method), *SHARED_FILES]


def encoder_of(
    images: Images,
    checkpoints: Path,
    *,
    seed: int,
    trainer: dict[str, Any],
    method: str,
    options: dict[str, Any],
    backbone: dict[str, Any],
) -> Encoder:
    """Return the encoder that these options name, whether or not it has been trained."""
    weights = backbone.get("weights")
    facts = {
        "method": method,
        "options": options,
        "backbone": {**backbone, "weights": None},  # their content stands below
        "seed": seed,
        "images": images.fingerprint,
        "flip": images.flip,
        "normalisation": [images.mean.tolist(), images.std.tolist()] if len(images.pool.shape) == 3 else None,
        "precision": trainer.get("precision"),
        "compile": trainer.get("compile", False),
        "source": source_fingerprint(*sources(method)),
        "weights": file_fingerprint(Path(weights)) if weights else None,
    }
    name = fingerprint(facts)
    ready = method != "none" or bool(weights) or len(images.pool.shape) == 1
    folder, trained = checkpoints / "encoders" / name, method != "none"
    return Encoder(folder, name, images.pool.shape, backbone, seed, ready, trainer, trained, facts)


def steps_of(options: dict[str, Any], pool_size: int) -> int:
    """Return how many steps a pretext's options mean for a pool: its epochs, or `max_steps` where that is less."""
    steps = max(1, round(options["epochs"] * pool_size / options["batch_size"]))
    return min(steps, options.get("max_steps") or steps)


def pretrain(
    images: Images,
    checkpoints: Path,
    *,
    seed: int,
    trainer: dict[str, Any],
    method: str,
    options: dict[str, Any],
    backbone: dict[str, Any],
) -> Encoder:
    """Return the encoder that `method` trains on the images of the pool; `none` gives the backbone as it starts."""
    encoder = encoder_of(
        images, checkpoints, seed=seed, trainer=trainer, method=method, options=options, backbone=backbone
    )
    if method == "none":
        return encoder

    def make(folder: Path) -> dict[str, Any]:
        began = time.perf_counter()
        size: int = options["batch_size"]
        steps = steps_of(options, len(images.pool))
        network = backbones.build(images.pool.shape, **backbone, seed=seed)
        names = (seed, "pretrain")
        module = encoder.module(network, Views.of(images), steps)
        module.names = names
        log.info("pretrain %s: %d steps of %d images", method, steps, size)
        curve = loop.fit(
            module, steps, lambda leg: batches.unlabelled_only(images.pool, leg, size, names), folder, names, trainer
        )
        spread = float(module.spread)  # type: ignore[arg-type]
        if spread < 0.1:
            log.warning("%s: the projections have collapsed (spread %.3f of 1): a poor encoder", method, spread)
        encoder.write(folder, module)
        seconds = time.perf_counter() - began
        return {**encoder.facts, "steps": steps, "seconds": seconds, "spread": spread, "loss": curve}

    once(encoder.folder, make, *encoder.files)
    return encoder
