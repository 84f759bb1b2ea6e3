"""The rounds of one (arm, seed): the resumable loop. State is the folder and the ledger, nothing else."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

from ssal import registry
from ssal.answered import asked_about
from ssal.artefacts import locked, make_folder, read_json, sweep, write_json
from ssal.claim import answers_of, claim
from ssal.clearing import set_aside_later
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.growing import as_begun, take_given
from ssal.labelling.ledger import Ledger
from ssal.question import ASKED
from ssal.recipe import Arm
from ssal.round import round_number, run_round
from ssal.tracking import tracking

log = logging.getLogger("ssal")
FAILED = "failed.json"
"""Why a cell ended that did not finish, until it is run again."""


def run_project(
    arm: Arm,
    seed: int,
    images: Images,
    checkpoints: Path,
    folder: Path,
    overwrite: bool = False,
    new_encoder: bool = False,
) -> None:
    """Run, resume or extend one arm with one seed in `folder`, as far as it goes.

    Where people answer, images may have joined or gone since it began; the encoder is kept, unless a `new_encoder` is
    asked for. Raises BadInput where another recipe made what stands there, or another process is at work on it.
    """
    with ExitStack() as stack:
        try:  # for a moment: who looks at the status holds the folder for no longer
            stack.enter_context(locked(folder, 1.0))
        except BlockingIOError:
            raise BadInput(f"{folder}: another process is running this arm and seed; wait for it, or stop it") from None
        (folder / FAILED).unlink(missing_ok=True)
        for place in (folder, *folder.glob("round_*")):
            sweep(place)
        check_images(arm, images, asked_about(folder) if arm.asks_people else ())
        claim(arm, images, folder, overwrite)
        stack.enter_context(tracking(arm.trainer.get("trackers", ()), folder))
        ledger, began_with = Ledger(folder / "ledger.sqlite"), images.fingerprint
        if arm.asks_people:
            set_aside_later(folder, ledger)
            images, began_with = as_begun(images, folder, new_encoder)
        if images.given:
            take_given(images, ledger, folder)
        for number in count():
            round_folder = make_folder(folder / f"round_{number}")
            log.info("round %d: %d labels", number, len(ledger.before(number).labels()))
            if not run_round(arm, seed, number, images, ledger, checkpoints, round_folder, began_with):
                learners = [number for number in range(number + 1) if ledger.before(number).labels()]
                facts = {"labels_bought": ledger.bought(), "learners": learners, "answers": answers_of(ledger)}
                write_json(folder / "finished.json", facts)
                return


def check_images(arm: Arm, images: Images, asked: Collection[str] = ()) -> None:
    """Raise BadInput where an arm wants more labels than there are images to ask for, or classes have no names yet.

    Ids that were `asked` about count as well where they are gone: their answers are bought.
    """
    if not images.classes:
        raise BadInput(
            "data.classes: no image has a label yet, so name the classes that people may answer, as in "
            "data.classes=[cat, dog]"
        )
    if arm.asks_people and 0 < len(images.hidden) < len(images.pool):
        raise BadInput(
            f"data.labels: {len(images.hidden)} of {len(images.pool)} images have a label, which is hidden, and the "
            "others would never be asked for; type data.labels=given, so that people are asked for the rest"
        )
    if arm.asks_people and not set(images.hidden.values()) <= set(images.classes):
        raise BadInput(
            "data.out_of_class: the oracle alone answers that an image is of none of the classes; type "
            "labelling.answered_by=oracle, or data.out_of_class=null"
        )
    free = len(images.askable.union(asked))
    if not free:
        raise BadInput(
            "acquisition.budget: every image of the pool has a label, so there is none to ask for; add images without "
            "a label, or type data.labels=hidden to compare strategies"
        )
    if arm.budget > free:
        raise BadInput(
            f"acquisition.budget: {arm.budget} labels are wanted, but {free} images of the pool can be asked for; "
            f"type acquisition.budget={free} or less"
        )


def of_others(folder: Path) -> bool:
    """Say whether the last run here died before it had made the folder its own: what stands is another recipe's."""
    return (folder / FAILED).exists() and not read_json(folder / FAILED).get("begun", True)


def results(arm: Arm, seed: int, folder: Path) -> list[dict[str, Any]]:
    """Return one row per round that trained a learner and was measured, as results.csv holds them."""
    rows: list[dict[str, Any]] = []
    if of_others(folder):
        return rows
    for metrics in sorted(folder.glob("round_*/metrics.json"), key=lambda path: round_number(path.parent)):
        asked = metrics.with_name(ASKED)
        cost = read_json(asked) if asked.exists() else {"score_seconds": 0.0, "select_seconds": 0.0}
        rows.append(
            {
                "arm": arm.name,
                "seed": seed,
                **read_json(metrics),
                "score_seconds": cost["score_seconds"],
                "select_seconds": cost["select_seconds"],
                "strategy": registry.find("strategy", arm.strategy).name,
                "learner": arm.learner_method,
                "pretext": arm.pretext_method,
                "companions": arm.companion_note(),
                "oracle": arm.oracle_note(),
                **({"noise": noise} if (noise := arm.labelling.get("noise")) else {}),
            }
        )
    return rows
