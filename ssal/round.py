"""One round, top to bottom: the whole architecture on one screen."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from ssal import registry
from ssal.acquisition.choose import choose
from ssal.acquisition.chosen import CHOSEN, Choice, read_chosen, write_chosen
from ssal.artefacts import read_json, write_json
from ssal.data.images import Images
from ssal.evaluation.measure import measure
from ssal.handout import prepare_question
from ssal.labelling.ask import ask, begun
from ssal.labelling.audit_slice import next_in_audit, set_aside
from ssal.labelling.ledger import AUDIT, Ledger
from ssal.learner.train import train
from ssal.learner.trained import Trained
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import pretrain
from ssal.recipe import Arm
from ssal.signals.collect import collect
from ssal.signals.kept import OUTPUTS, forget, of_these
from ssal.streams import generator

log = logging.getLogger("ssal")
LEFT = ("metrics.json", OUTPUTS)
"""What a round with a learner leaves for results and for later rounds."""


def round_number(folder: Path) -> int:
    """Return the number in the name of a round's folder."""
    return int(folder.name.removeprefix("round_"))


def run_round(
    arm: Arm,
    seed: int,
    number: int,
    images: Images,
    ledger: Ledger,
    checkpoints: Path,
    folder: Path,
    began_with: str,
) -> bool:
    """Train on the labels at hand, then buy the next ones; say whether another round follows.

    R purchases make R + 1 rounds: the last one only trains. Every stage leaves its result in `folder` before the next
    begins and is skipped where it stands there, so a killed round goes on where it was. The encoder is that of the
    images whose fingerprint is `began_with`; labels of images that are gone since are left aside.
    Raises Waiting where people are still to answer.
    """
    everything, ledger = ledger, ledger.before(number).among(images.pool)
    bought_already = bool(everything.asked_in(number))
    if bought_already and (not ledger.labels() or all((folder / name).exists() for name in LEFT)):
        return True
    encoder = pretrain(replace(images, fingerprint=began_with), checkpoints, **arm.encoder(seed))
    aside = set_aside(images.askable, arm.audit, seed)
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
        aside=aside,
    )
    learner = learn(encoder, companions=arm.companions)
    others = arm.networks if learner and len(images.test) else ()
    networks = {name: cast(Trained, learn(pretrain(images, checkpoints, **arm.network(seed, name)))) for name in others}
    accelerator = arm.trainer["accelerator"]
    audited = aside.union(ledger.audited())  # images that join or go may push one out that is answered already
    measure(learner, encoder, images, ledger, number, arm.references, networks, accelerator, folder, audited)
    outputs_anew = partial(
        collect, (), learner, encoder, images, ledger, folder, None, names=(seed, "round", number), options={}
    )
    if bought_already:  # and something that the round had left was removed
        if not (folder / OUTPUTS).exists():
            outputs_anew()
            forget(folder)
        return True
    size = next((labels for labels in arm.rounds(len(images.given)) if labels > ledger.bought()), 0) - ledger.bought()
    if size <= 0:
        return False
    if open_question(folder, size) is None:
        _choose(arm, seed, number, images, ledger, encoder, learner, size, aside, folder)
    elif learner and not of_these(folder / OUTPUTS, images.fingerprint):  # people are shown what this learner thinks
        outputs_anew()
    forget(folder)
    chosen = read_chosen(folder / CHOSEN)
    prepare = partial(prepare_question, chosen, arm, images, encoder, ledger, number, folder)
    answers = ask(
        arm.answered_by, chosen, images, everything, folder,
        number=number, seed=seed, prepare=prepare, options=arm.labelling,
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
    if not (folder / CHOSEN).exists() or len(read_chosen(folder / CHOSEN)) != asked["size"]:
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
    aside: Collection[str],
    folder: Path,
) -> None:
    """Choose `size` images, the audit's among them, or as many as people were asked for: chosen.csv, asked.json."""
    learned_before = number > 0 and ledger.before(number - 1).labels()
    last = folder.with_name(f"round_{number - 1}") / OUTPUTS
    previous = last if learned_before and of_these(last, images.fingerprint) else None
    first = learner is None or (arm.compares_rounds and previous is None)
    strategy, options = (arm.first_round, arm.first_options) if first else (arm.strategy, arm.options)
    because = None
    if first and learner is not None:
        because = f"{arm.strategy} compares two learners, and this is the first one, so first_round chooses"
        log.info("%s asks: %s", strategy, because)
    if begun(folder) and (folder / "asked.json").exists():
        size = read_json(folder / "asked.json")["size"]
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
    write_json(folder / "asked.json", asked)
