"""One round, top to bottom: the whole architecture on one screen."""

from __future__ import annotations

import time
from pathlib import Path

from ssal import registry
from ssal.acquisition.choose import choose, read_chosen
from ssal.artefacts import read_json, write_json
from ssal.data.images import Images
from ssal.evaluation.measure import measure
from ssal.labelling.ask import ask
from ssal.labelling.ledger import Ledger
from ssal.learner.train import train
from ssal.pretext.pretrain import pretrain
from ssal.recipe import Arm
from ssal.signals.collect import collect
from ssal.streams import generator


def run_round(
    arm: Arm, seed: int, number: int, images: Images, ledger: Ledger, checkpoints: Path, folder: Path
) -> bool:
    """Train on the labels at hand, then buy the next ones; say whether another round follows.

    R purchases make R + 1 rounds: the last one only trains. Every stage leaves its result in `folder` before the next
    begins and is skipped where it stands there, so a killed round goes on where it was.
    Raises Waiting where people are still to answer.
    """
    if ledger.asked_in(number):
        return True
    encoder = pretrain(
        images,
        checkpoints,
        arm.encoder_seed(seed),
        arm.trainer,
        method=arm.pretext_method,
        options=arm.pretext,
        backbone=arm.backbone,
    )
    learner = train(
        encoder, images, ledger, number, checkpoints, seed, arm.trainer, method=arm.learner_method, options=arm.learner
    )
    measure(learner, encoder, images, ledger, number, arm.references, folder)
    size = min(arm.query_size if ledger.labels() else arm.first_size, arm.budget - ledger.bought())
    if size <= 0:
        return False
    asked = folder / "asked.json"
    if not asked.exists():  # what people are already asked is not chosen anew
        previous = folder.with_name(f"round_{number - 1}") / "outputs.safetensors"
        first = learner is None or ("previous_probabilities" in arm.needs() and not previous.exists())
        strategy, options = (arm.first_round, arm.first_options) if first else (arm.strategy, arm.options)

        began = time.perf_counter()
        table = collect(arm.needs(first), learner, encoder, images, ledger, folder, previous, options=arm.signals)
        scored = time.perf_counter()
        ids = [images.pool.ids[row] for row in table["rows"].tolist()]
        choose(
            registry.find("strategy", strategy),
            table,
            ids,
            size,
            generator(seed, "round", number, "choose"),
            classes=len(ledger.class_numbers(images.classes)),
            options=options,
            folder=folder,
        )
        selected = time.perf_counter()
        write_json(
            asked,
            {
                "strategy": strategy,
                "options": options,
                "score_seconds": scored - began,
                "select_seconds": selected - scored,
            },
        )
    (folder / "table.safetensors").unlink(missing_ok=True)
    strategy, chosen = read_json(asked)["strategy"], read_chosen(folder / "chosen.csv")
    ledger.append(ask(arm.answered_by, chosen, images, folder, round_number=number, strategy=strategy))
    return True
