"""Stage 3: classifier and pool to one table of tensors. Every per-image source shares one predict pass."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from ssal import loop, registry
from ssal.artefacts import fingerprint, read_tensors, write_tensors
from ssal.data import batches
from ssal.data.images import Images
from ssal.errors import BadInput, nearest
from ssal.labelling.ledger import Ledger
from ssal.learner.base import Learner
from ssal.learner.trained import Trained
from ssal.pretext.encoder import Encoder
from ssal.registry import Method
from ssal.signals.kept import OUTPUTS, realigned

log = logging.getLogger("ssal")


class OnePass(pl.LightningModule):
    """Calls every per-batch source on the same batch, so the pool is read and forwarded once for all of them."""

    def __init__(self, learner: Learner, sources: Sequence[tuple[Method, dict[str, Any]]]) -> None:
        """`sources` are methods with their recipe options."""
        super().__init__()
        self.learner, self.sources = learner, sources

    def predict_step(self, batch: Tensor, index: int) -> dict[str, Tensor]:
        """Return all sources' tensors of one batch."""
        return {
            name: rows
            for source, options in self.sources
            for name, rows in source.call(self.learner, batch, **options).items()
        }


def sources_of(needs: Sequence[str]) -> dict[str, Method]:
    """Return the signal sources, by name, that provide the signals in `needs`; `labelled_…` come with their own."""
    wanted = {need.removeprefix("labelled_") for need in needs} - {"labels", "child_scores"}
    known = registry.methods("signal")
    provided = {name for source in known.values() for name in source.provides}
    for need in sorted(wanted - provided):
        raise BadInput(f"no source provides the signal {need!r}{nearest(need, provided)}")
    return {name: source for name, source in known.items() if wanted & set(source.provides)}


def collect(
    needs: Sequence[str],
    learner: Trained | None,
    encoder: Encoder,
    images: Images,
    ledger: Ledger,
    folder: Path,
    previous: Path | None,
    *,
    options: dict[str, dict[str, Any]],
) -> dict[str, Tensor]:
    """Return the table: for each needed signal a tensor over the pool, and over the labelled images.

    Without a learner `features` are the encoder's. `outputs.safetensors` keeps the probabilities of all training
    images for later rounds; `table_….safetensors` is for a round that is killed before it has chosen.
    """
    facts = (learner.folder.name if learner else None, encoder.fingerprint, sorted(needs), options)
    path = folder / f"table_{fingerprint(*facts)}.safetensors"
    if path.exists():
        return read_tensors(path)
    sources, wanted = sources_of(needs), {need.removeprefix("labelled_") for need in needs}
    everything: dict[str, Tensor] = {}
    if learner is not None:
        sources.setdefault("outputs", registry.find("signal", "outputs"))
        one_pass = OnePass(
            learner.learner,
            [(source, options.get(name, {})) for name, source in sources.items() if source.traits["each"] == "batch"],
        )
        everything |= loop.predict(one_pass, batches.in_order(learner.images.pool), learner.trainer)
        order = list(ledger.class_numbers(images.classes))
        write_tensors(folder / OUTPUTS, {"probabilities": everything["probabilities"]}, classes=order)
    elif "features" in wanted:
        everything["features"] = encoder.features(images)["pool"]
    earlier = realigned(previous, ledger.class_numbers(images.classes)) if previous else None
    supplied = {"encoder": encoder, "images": images, "previous": earlier}
    for name, source in sources.items():
        if source.traits["each"] == "round" and wanted & set(source.provides):
            everything |= source.call(*(supplied[need] for need in source.needs), **options.get(name, {}))
    table = split(everything, images, ledger)
    write_tensors(path, table)
    log.info("signals of %d images: %s", len(images.pool), ", ".join(sorted(everything)) or "none needed")
    return table


def split(everything: dict[str, Tensor], images: Images, ledger: Ledger) -> dict[str, Tensor]:
    """Return rows to choose from under their own names, labelled rows under `labelled_…`, `labels`, and those `rows`.

    Images that nobody can label (a benchmark's own unlabelled part) are trained on, but never asked for.
    """
    numbers = ledger.numbered(images.classes)
    number_of_row = torch.tensor([numbers.get(id, -1) for id in images.pool.ids], dtype=torch.long)
    askable = torch.tensor([id in images.askable for id in images.pool.ids], dtype=torch.bool)
    unlabelled = ((number_of_row < 0) & askable).nonzero()[:, 0]
    labelled = (number_of_row >= 0).nonzero()[:, 0]
    table = {"rows": unlabelled, "labels": number_of_row[labelled]}
    for name, rows in everything.items():
        table[name] = rows[unlabelled]
        table[f"labelled_{name}"] = rows[labelled]
    return table
