"""What a round asks: chosen once, and standing from the first answer on, whatever the recipe says then."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ssal import registry
from ssal.acquisition.choose import choose
from ssal.acquisition.chosen import CHOSEN, Choice, read_chosen, write_chosen
from ssal.artefacts import read_json, write_json
from ssal.data.images import Images
from ssal.labelling.ask import begun
from ssal.labelling.audit_slice import next_in_audit
from ssal.labelling.ledger import AUDIT, Ledger
from ssal.learner.trained import Trained
from ssal.pretext.encoder import Encoder
from ssal.recipe import Arm
from ssal.signals.collect import collect
from ssal.signals.kept import OUTPUTS, of_these
from ssal.streams import generator

log = logging.getLogger("ssal")
ASKED = "asked.json"
"""Who chose, why, and how many: written last, so that a choice without it does not stand."""


def open_question(folder: Path, size: int | None = None) -> dict[str, Any] | None:
    """Return ASKED of a round that has chosen, or None: what people are asked stands, whatever the recipe says.

    Where nobody was asked yet, a choice of another `size` does not stand, nor does one that is not whole.
    """
    if not (folder / ASKED).exists():
        return None
    asked: dict[str, Any] = read_json(folder / ASKED)
    if not (folder / CHOSEN).exists() or len(read_chosen(folder / CHOSEN)) != asked["size"]:
        return None
    return asked if begun(folder) or size in (None, asked["size"]) else None


def choose_question(
    arm: Arm,
    seed: int,
    number: int,
    images: Images,
    ledger: Ledger,
    encoder: Encoder,
    learner: Trained | None,
    size: int,
    aside: Collection[str],
    folder: Path,
) -> None:
    """Choose `size` images, the audit's among them, or as many as people were asked for: chosen.csv and ASKED."""
    learned_before = number > 0 and ledger.before(number - 1).labels()
    last = folder.with_name(f"round_{number - 1}") / OUTPUTS
    previous = last if learned_before and of_these(last, images.fingerprint) else None
    first = learner is None or (arm.compares_rounds and previous is None)
    strategy, options = (arm.first_round, arm.first_options) if first else (arm.strategy, arm.options)
    because = None
    if first and learner is not None:
        because = f"{arm.strategy} compares two learners, and this is the first one, so first_round chooses"
        log.info("%s asks: %s", strategy, because)
    if begun(folder) and (folder / ASKED).exists():
        size = read_json(folder / ASKED)["size"]
    audited = next_in_audit(aside, ledger, size, arm.audit, seed)
    began = time.perf_counter()
    names = (seed, "round", number, "signals")
    table = collect(
        arm.needs(first),
        learner,
        encoder,
        images,
        ledger,
        folder,
        previous,
        names=names,
        options=arm.signals,
        budget=size - len(audited),
        aside=aside,
    )
    scored = time.perf_counter()
    strategy_size = size - len(audited)
    chosen = (
        choose(
            registry.find("strategy", strategy),
            table,
            [images.pool.ids[row] for row in table["rows"].tolist()],
            strategy_size,
            generator(seed, "round", number, "choose"),
            classes=len(ledger.class_numbers(images.classes)),
            options=options,
        )
        if strategy_size
        else []
    )
    chosen += [Choice(id, rank, None, AUDIT) for rank, id in enumerate(audited, len(chosen) + 1)]
    write_chosen(folder / CHOSEN, chosen)
    asked = {
        "strategy": strategy,
        "options": options,
        "because": because,
        "size": len(chosen),
        "score_seconds": scored - began,
        "select_seconds": time.perf_counter() - scored,
    }
    write_json(folder / ASKED, asked)
