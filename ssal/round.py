"""One round, top to bottom: the whole architecture on one screen."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

from ssal import registry
from ssal.acquisition.choose import choose, read_chosen
from ssal.artefacts import read_json, write_json
from ssal.data.images import Images
from ssal.evaluation.measure import measure
from ssal.labelling.ask import ask, begun
from ssal.labelling.ledger import Ledger
from ssal.learner.train import train
from ssal.learner.trained import Trained
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import pretrain
from ssal.recipe import Arm
from ssal.signals.collect import collect
from ssal.signals.kept import OUTPUTS, forget
from ssal.streams import generator

log = logging.getLogger("ssal")
LEFT = ("metrics.json", OUTPUTS)
"""What a round with a learner leaves for results and for later rounds."""


def round_number(folder: Path) -> int:
    """Return the number in the name of a round's folder."""
    return int(folder.name.removeprefix("round_"))


def run_round(
    arm: Arm, seed: int, number: int, images: Images, ledger: Ledger, checkpoints: Path, folder: Path
) -> bool:
    """Train on the labels at hand, then buy the next ones; say whether another round follows.

    R purchases make R + 1 rounds: the last one only trains. Every stage leaves its result in `folder` before the next
    begins and is skipped where it stands there, so a killed round goes on where it was.
    Raises Waiting where people are still to answer.
    """
    everything, ledger = ledger, ledger.before(number)
    bought_already = bool(everything.asked_in(number))
    if bought_already and (not ledger.labels() or all((folder / name).exists() for name in LEFT)):
        return True
    encoder = pretrain(images, checkpoints, **arm.encoder(seed))
    learn = partial(
        train,
        images=images,
        ledger=ledger,
        round_number=number,
        checkpoints=checkpoints,
        seed=seed,
        trainer=arm.trainer,
        method=arm.learner_method,
        options=arm.learner,
    )
    learner = learn(encoder, companions=arm.companions)
    others = arm.networks if learner and len(images.test) else ()
    networks = {name: cast(Trained, learn(pretrain(images, checkpoints, **arm.network(seed, name)))) for name in others}
    measure(learner, encoder, images, ledger, number, arm.references, networks, arm.trainer["accelerator"], folder)
    if bought_already:  # and something that the round had left was removed
        if not (folder / OUTPUTS).exists():
            collect((), learner, encoder, images, ledger, folder, None, names=(seed, "round", number), options={})
            forget(folder)
        return True
    size = next((labels for labels in arm.rounds(len(images.given)) if labels > ledger.bought()), 0) - ledger.bought()
    if size <= 0:
        return False
    asked = open_question(folder, size)
    if asked is None:
        asked = _choose(arm, seed, number, images, ledger, encoder, learner, size, folder)
    forget(folder)
    chosen = read_chosen(folder / "chosen.csv")
    answers = ask(
        arm.answered_by, chosen, images, folder,
        round_number=number, strategy=asked["strategy"], seed=seed, options=arm.labelling,
    )  # fmt: skip
    everything.append(answers)
    return True


def open_question(folder: Path, size: int | None = None) -> dict[str, Any] | None:
    """Return asked.json of a round that has chosen, or None: what people are asked stands, whatever the recipe says.

    Where nobody was asked yet, a choice of another `size` does not stand, nor does one that is not whole.
    """
    if not (folder / "asked.json").exists():
        return None
    asked: dict[str, Any] = read_json(folder / "asked.json")
    if not (folder / "chosen.csv").exists() or len(read_chosen(folder / "chosen.csv")) != asked["size"]:
        return None
    return asked if begun(folder) or size in (None, asked["size"]) else None


def _choose(
    arm: Arm,
    seed: int,
    number: int,
    images: Images,
    ledger: Ledger,
    encoder: Encoder,
    learner: Trained | None,
    size: int,
    folder: Path,
) -> dict[str, Any]:
    """Choose `size` images, or as many as people were asked for; leave chosen.csv and asked.json, and return this."""
    learned_before = number > 0 and ledger.before(number - 1).labels()
    previous = folder.with_name(f"round_{number - 1}") / OUTPUTS if learned_before else None
    first = learner is None or (arm.compares_rounds and previous is None)
    strategy, options = (arm.first_round, arm.first_options) if first else (arm.strategy, arm.options)
    because = None
    if first and learner is not None:
        because = f"{arm.strategy} compares two learners, and this is the first one, so first_round chooses"
        log.info("%s asks: %s", strategy, because)
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
        budget=size,
    )
    scored = time.perf_counter()
    ids = [images.pool.ids[row] for row in table["rows"].tolist()]
    choose(
        registry.find("strategy", strategy),
        table,
        ids,
        read_json(folder / "asked.json")["size"] if begun(folder) and (folder / "asked.json").exists() else size,
        generator(seed, "round", number, "choose"),
        classes=len(ledger.class_numbers(images.classes)),
        options=options,
        folder=folder,
    )
    asked = {
        "strategy": strategy,
        "options": options,
        "because": because,
        "size": len(read_chosen(folder / "chosen.csv")),
        "score_seconds": scored - began,
        "select_seconds": time.perf_counter() - scored,
    }
    write_json(folder / "asked.json", asked)
    return asked
