"""One round, top to bottom: the whole architecture on one screen."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from ssal.acquisition.chosen import CHOSEN, read_chosen
from ssal.data.images import Images
from ssal.evaluation.measure import measure
from ssal.handout import prepare_question
from ssal.labelling.ask import ask
from ssal.labelling.audit_slice import set_aside
from ssal.labelling.ledger import Ledger
from ssal.learner.train import train
from ssal.learner.trained import Trained
from ssal.pretext.pretrain import pretrain
from ssal.question import choose_question, open_question
from ssal.recipe import Arm
from ssal.signals.collect import collect
from ssal.signals.kept import OUTPUTS, forget, of_these

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
        choose_question(arm, seed, number, images, ledger, encoder, learner, size, aside, folder)
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
