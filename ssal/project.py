"""The rounds of one (arm, seed): the resumable loop. State is the folder and the ledger, nothing else."""

from __future__ import annotations

import fcntl
import logging
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from ssal.artefacts import disk_errors, read_json, sweep, write_json
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.labelling.ledger import GIVEN, Entry, Ledger
from ssal.recipe import Arm, differences
from ssal.round import run_round

log = logging.getLogger("ssal")


def run_project(arm: Arm, seed: int, images: Images, checkpoints: Path, folder: Path, overwrite: bool = False) -> None:
    """Run, resume or extend one arm with one seed in `folder`, as far as it goes.

    Raises BadInput where another recipe made what stands there, or another process is at work on it.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{folder}: another process is running this arm and seed; wait for it, or stop it") from None
        for place in (folder, *folder.glob("round_*")):
            sweep(place)
        check_images(arm, images)
        _claim(arm, images, folder, overwrite)
        ledger = Ledger(folder / "ledger.sqlite")
        if images.given and not ledger.entries():
            ledger.append(Entry(id, images.given[id], "folder", 0, GIVEN) for id in sorted(images.given))
        for number in count():
            round_folder = folder / f"round_{number}"
            with disk_errors(round_folder):
                round_folder.mkdir(exist_ok=True)
            log.info("round %d: %d labels", number, len(ledger.labels()))
            if not run_round(arm, seed, number, images, ledger, checkpoints, round_folder):
                write_json(folder / "finished.json", {"labels_bought": ledger.bought(), "images": len(images.pool)})
                return


def check_images(arm: Arm, images: Images) -> None:
    """Raise BadInput where an arm wants more labels than there are images to ask for, or classes have no names yet."""
    if not images.classes:
        raise BadInput(
            "data.classes: no image has a label yet, so name the classes that people may answer, as in "
            "data.classes=[cat, dog]"
        )
    if arm.answered_by != "oracle" and 0 < len(images.hidden) < len(images.pool):
        raise BadInput(
            f"data.labels: {len(images.hidden)} of {len(images.pool)} images have a label, which is hidden, and the "
            "others would never be asked for; type data.labels=given, so that people are asked for the rest"
        )
    free = len(images.askable)
    if arm.budget > free:
        raise BadInput(
            f"acquisition.budget: {arm.budget} labels are wanted, but {free} images of the pool can be asked for; "
            f"type acquisition.budget={free} or less"
        )


def finished(arm: Arm, folder: Path, images: Callable[[], Images]) -> bool:
    """Say whether this arm has bought all its labels in `folder`, under this very recipe and on these very images.

    `images` is called only where the rest says yes.
    """
    if not (folder / "finished.json").exists():
        return False
    before = read_json(folder / "run.json")
    if differences(before["recipe"], arm.resolved()) or before["images"] != images().fingerprint:
        return False
    done = read_json(folder / "finished.json")
    return bool(done["labels_bought"] >= arm.budget)


def _claim(arm: Arm, images: Images, folder: Path, overwrite: bool) -> None:
    """Write down whose folder this is, or refuse it to a recipe that differs from the one that made it."""
    record = folder / "run.json"
    now: dict[str, Any] = {"recipe": arm.resolved(), "images": images.fingerprint}
    if record.exists():
        before = read_json(record)
        changed = differences(before["recipe"], now["recipe"])
        if before["images"] != now["images"]:
            changed.append("the images themselves")
        if changed and not overwrite:
            raise BadInput(
                f"{folder}: this run was made by another recipe ({', '.join(changed)} differ); undo the change, "
                "give the recipe another name, or type --overwrite to start again"
            )
        if changed:
            _set_aside(folder)
    write_json(record, now)


def _set_aside(folder: Path) -> None:
    """Clear a run's folder for another recipe; what people wrote is kept under other names.

    run.json goes last: until then the folder is refused to other recipes, also after a kill.
    """
    ledger, before = folder / "ledger.sqlite", len(list(folder.glob("ledger.replaced_*.sqlite")))
    if ledger.exists():
        Ledger(ledger).set_aside(folder / f"ledger.replaced_{before + 1}.sqlite")
    for item in folder.glob("round_*"):
        if (item / "to_label.csv").exists():
            (item / "to_label.csv").replace(folder / f"to_label.replaced_{before + 1}_{item.name}.csv")
        shutil.rmtree(item)
    (folder / "finished.json").unlink(missing_ok=True)
    (folder / "run.json").unlink()


def results(arm: Arm, seed: int, folder: Path) -> list[dict[str, Any]]:
    """Return one row per finished round that trained a learner, as results.csv holds them."""
    rows: list[dict[str, Any]] = []
    for number in count():
        metrics, asked = folder / f"round_{number}" / "metrics.json", folder / f"round_{number}" / "asked.json"
        if not metrics.parent.exists():
            return rows
        if not metrics.exists():
            continue
        cost = read_json(asked) if asked.exists() else {"score_seconds": 0.0, "select_seconds": 0.0}
        rows.append(
            {
                "arm": arm.name,
                "seed": seed,
                **read_json(metrics),
                "score_seconds": cost["score_seconds"],
                "select_seconds": cost["select_seconds"],
                "strategy": arm.strategy,
                "learner": arm.learner_method,
                "pretext": arm.pretext_method,
                "companions": "",
                "oracle": "",
            }
        )
    return rows
