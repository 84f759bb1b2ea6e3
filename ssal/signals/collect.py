"""Stage 3: classifier and pool to one table of tensors. Every per-image source shares one predict pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import torch

from ssal import loop, registry
from ssal.artefacts import read_tensors, write_tensors
from ssal.data import batches
from ssal.data.images import Images
from ssal.data.views import Views
from ssal.fingerprints import fingerprint
from ssal.labelling.ledger import Ledger
from ssal.learner.trained import Trained
from ssal.pretext.encoder import Encoder
from ssal.registry import Method
from ssal.signals.afterwards import accompany
from ssal.signals.kept import FITTING, OUTPUTS, realigned
from ssal.signals.one_pass import OnePass
from ssal.signals.parts import Table, split, unlabelled

log = logging.getLogger("ssal")


def collect(
    needs: Sequence[str],
    learner: Trained | None,
    encoder: Encoder,
    images: Images,
    ledger: Ledger,
    folder: Path,
    previous: Path | None,
    *,
    names: tuple[int | str, ...],
    options: dict[str, dict[str, Any]],
    budget: int = 0,
    aside: Collection[str] = (),
    watch: Callable[[str, Method], Method] = lambda name, source: source,
) -> Table:
    """Return the table: for each needed signal a tensor over the pool, and over the images with answers (see split).

    Without a learner `features` are the encoder's. Sources draw from streams that begin with `names`. `budget` images
    will be chosen, of those set `aside` none. `outputs.safetensors` keeps probabilities of all training images for
    later rounds, `table_….safetensors` a round's signals until it has chosen. `watch` may replace sources (see Watch).
    """
    # What is left to ask for follows from images of none of the classes also where no learner does.
    made_by = (learner and learner.folder.name, encoder.fingerprint, images.fingerprint, sorted(ledger.of_no_class()))
    path = folder / f"table_{fingerprint(*made_by, sorted(needs), names, options, budget, sorted(aside))}.safetensors"
    if path.exists():
        return read_tensors(path)
    sources = {name: watch(name, source) for name, source in registry.sources_of(needs).items()}
    numbers = ledger.class_numbers(images.classes)

    def keywords(name: str, source: Method) -> dict[str, Any]:
        given: dict[str, Any] = {
            "names": (*names, name),
            "classes": len(numbers),
            "pool_size": len(images.pool),
            "budget": budget,
            "trainer": (learner or encoder).trainer,
            "folder": folder / f"{FITTING}{name}",
        }
        return {**{key: given[key] for key in source.given}, **options.get(name, {})}

    everything: Table = {}
    if learner is not None:
        accompany(learner, sources, options, names, folder)
        passed = {"outputs": registry.find("signal", "outputs"), **sources}
        one_pass = OnePass(
            learner.learner,
            [(source, keywords(name, source)) for name, source in passed.items() if source.traits["each"] == "batch"],
        )
        everything |= loop.predict(one_pass, batches.numbered(learner.images.pool), learner.trainer)
        outputs = {"probabilities": everything["probabilities"]}
        write_tensors(folder / OUTPUTS, outputs, images=images.fingerprint, **ledger.columns(images.classes))
    elif "outputs" in sources:
        everything["features"] = encoder.features(images)["pool"]
    labelled = sorted(map(images.pool.row, answered := ledger.numbered(images.classes)))
    supplied: dict[str, Any] = {
        "encoder": encoder,
        "images": images,
        "pool": images.pool,
        "views": Views.of(images),
        "learner": learner.learner if learner else None,
        "previous": realigned(previous, numbers, ledger.called_now) if previous else None,
        "labelled_rows": torch.tensor(labelled, dtype=torch.long),
        "unlabelled_rows": unlabelled(images, ledger, aside),
        "labels": torch.tensor([answered[images.pool.ids[row]] for row in labelled], dtype=torch.long),
        "class_numbers": numbers,
    }
    for name, source in sources.items():
        if source.traits["each"] == "round":
            given = (supplied[need] if need in supplied else everything.get(need) for need in source.needs)
            everything |= source.call(*given, **keywords(name, source))
    table = split(everything, images, ledger, aside)
    write_tensors(path, table)
    log.info("signals of %d images: %s", len(images.pool), ", ".join(sorted(everything)) or "none needed")
    return table
