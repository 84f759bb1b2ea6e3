"""A waiting round as files: handed out for people who answer elsewhere, and their answers taken in."""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ssal.acquisition.chosen import CHOSEN, read_chosen
from ssal.artefacts import read_json, write_text
from ssal.cells import Cell, cells_named, images_of
from ssal.data.images import Images
from ssal.errors import BadInput, counted
from ssal.export.place import check_outside
from ssal.handout import QUESTION, contents_of
from ssal.labelling.ask import begun
from ssal.labelling.files.csv_answers import csv_text, read_csv
from ssal.labelling.files.folders import read_folders, write_folders
from ssal.labelling.files.label_studio_answers import read_label_studio
from ssal.labelling.files.label_studio_tasks import interface_xml, tasks_json
from ssal.labelling.files.questions import Question
from ssal.labelling.files.reading import accepted
from ssal.labelling.inbox import record
from ssal.labelling.ledger import Ledger
from ssal.labelling.naming import Names
from ssal.labelling.settle import Outcome, ThirdLooks, outcome, shared_by_two
from ssal.recipe import Recipe
from ssal.round import round_number

log = logging.getLogger("ssal")
FORMS = ("csv", "folders", "label-studio")


@dataclass(frozen=True)
class Open:
    """A round whose images people are being asked about."""

    recipe: Recipe
    cell: Cell
    folder: Path
    images: Images

    @property
    def number(self) -> int:
        """Which round it is."""
        return round_number(self.folder)

    @cached_property
    def ids(self) -> list[str]:
        """Every image that was chosen, those that are gone since among them."""
        return sorted(choice.id for choice in read_chosen(self.folder / CHOSEN))

    @cached_property
    def paths(self) -> dict[str, str]:
        """Path by id of every image that is asked for, in the order of ids."""
        pool = self.images.pool
        return {id: pool.paths[pool.row(id)] for id in self.ids if id in pool}

    @cached_property
    def shown(self) -> dict[str, dict[str, Any]]:
        """What people are shown of each image by id, as the labelling page shows it."""
        return {image["id"]: image for image in read_json(self.folder / QUESTION / "question.json")["images"]}

    @property
    def share(self) -> float:
        """The share of its images that two people are asked about."""
        return float(self.cell.arm.labelling.get("asked_of_two", 0.0))

    @cached_property
    def ledger(self) -> Ledger:
        """What was answered in its run."""
        return Ledger(self.cell.folder / "ledger.sqlite")

    def outcome(self) -> Outcome:
        """Return what its answers come to so far, and which images still wait."""
        return outcome(self.ids, self.paths, self.ledger.said(), self.number, self.share)

    def questions(self, ids: Iterable[str]) -> list[Question]:
        """Return images with what the model takes them for."""
        best = {id: next(iter(image["suggestions"]), ()) for id, image in self.shown.items()}
        return [Question(id, self.paths[id], *best[id]) for id in ids]

    def picture(self, id: str) -> str:
        """Return an image as a data URI."""
        data = (self.folder / QUESTION / self.shown[id]["file"]).read_bytes()
        return "data:image/webp;base64," + base64.b64encode(data).decode()


def open_round(recipe: Recipe, checkpoints: Path, arm: str = "", seed: int | None = None) -> Open:
    """Return the round that waits for people, of the first run that does. Raises BadInput where none does."""
    for cell in cells_named(recipe, checkpoints, arm, seed):
        ledger = cell.folder / "ledger.sqlite"
        for folder in sorted(cell.folder.glob("round_*"), key=round_number):
            if begun(folder) and not Ledger(ledger).asked_in(round_number(folder)):
                return Open(recipe, cell, folder, images_of(cell.arm, checkpoints))
    raise BadInput(f"{recipe.path}: no image waits for an answer under {checkpoints}; type ssal run {recipe.typed}")


def hand_out(asked: Open, form: str, to: Path) -> str:
    """Write the images that wait for an answer to `to` in one of FORMS; return how many, and what to do with them.

    Those are left out whose answers are complete and agree. Raises BadInput, also where none is left.
    """
    check_outside(to, asked.cell.arm.data["options"])
    found = asked.outcome()
    if not found.waiting:
        where = f"{asked.recipe.path}: no image waits for an answer, as all {len(asked.paths)} of this round have one"
        raise BadInput(f"{where}; type ssal run {asked.recipe.typed}")
    todo = "; ".join([_written(asked, asked.questions(found.waiting), form, to), *found.ways()])
    return f"{counted(len(found.waiting), 'image is', 'images are')} in {to}: {todo}"


def _written(asked: Open, questions: list[Question], form: str, to: Path) -> str:
    """Write images in one of FORMS; return what to do with them."""
    classes = asked.images.classes
    if form == "folders":
        write_folders(to, questions, classes, contents_of(asked.cell.arm, asked.images))
        return f"move every image from {to}/to_sort into the folder of its class"
    if os.path.lexists(to):
        raise BadInput(f"{to}: people may be answering there; name a file that is not there yet")
    if form == "csv":
        write_text(to, csv_text(questions))
        return "write a class into the label column"
    write_text(to, tasks_json(questions, asked.picture))
    interface = to.with_suffix(".xml")
    write_text(interface, interface_xml(classes))
    return f"import it into a Label Studio project whose labelling interface is {interface}, and export JSON"


def take(
    asked: Open, answers: Path, accept_valid: bool = False, who: str = "", decides: bool = False
) -> tuple[int, Outcome]:
    """Write the answers of a file or folder into the ledger; return how many were new, and which images still wait.

    A folder holds a folder per class, .json is Label Studio's, everything else CSV. Where the file `decides` it is a
    third look: what it says anew of images on which people differ settles them, and all else in it is left aside.
    Raises BadInput with every problem: then nothing is taken, unless `accept_valid`.
    """
    if not os.path.exists(answers):  # which, unlike pathlib, takes a name of any length
        raise BadInput(f"{answers}: there is no such file or folder (from {Path.cwd()})")
    there, who = asked.paths, who.strip()
    known = {id: there.get(id, id) for id in asked.ids}  # who answered an image that is gone since did no wrong
    ledger, classes = asked.ledger, asked.images.classes
    renamed = Names(ledger.chain.rows()).renamed()
    third = ThirdLooks(ledger.said(), ledger.said(undone=True), asked.number) if decides else None
    if answers.is_dir():
        read, via = read_folders(answers, known, classes, renamed), "folders"
    elif answers.suffix.lower() == ".json":
        two, counts = (set(), third.counts) if third else (shared_by_two(asked.ids, asked.share), None)
        read, via = read_label_studio(answers, known, classes, renamed=renamed, two=two, counts=counts), "label_studio"
    else:
        read, via = read_csv(answers, known, classes, renamed), "csv"
    found = [replace(one, who=one.who or who) for one in [*accepted(read, accept_valid).values(), *read.seconded]]
    if third:
        found = [answer for answer in found if third.counts(answer)]
        if third.aside:
            log.warning(
                "%s left aside: a third look is what somebody says anew of an image on which people differ; without "
                "--decides all answers count",
                counted(len(third.aside), "answer is", "answers are"),
            )
    new = record(found, ledger, asked.number, via, who, decides)
    return new, asked.outcome()
