"""What people have made, to a folder of its own: labels, pseudo-labels, suspicious labels, for any program to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import ssal
from ssal.answered import Answered, answered
from ssal.artefacts import nothing_made, write_json
from ssal.audit import Suspect, labels_of, suspects_of
from ssal.cells import Cell, cells_named, images_of
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.export.forms import CSV, FORMS, OF_IMAGES, Material, write_forms
from ssal.export.place import EXPORT, check_place, files_in
from ssal.export.pseudo_labels import PseudoLabels, pseudo_labels
from ssal.fingerprints import fingerprint
from ssal.recipe import Recipe
from ssal.standing import encoder_of, standing
from ssal.whole_folder import whole_folder

FORMAT = 1
"""Of export.json; raised where an older ssal could not read it."""


class Exported(NamedTuple):
    """An export's folder, and what to tell of it."""

    folder: Path
    lines: list[str]


def export(
    recipe: Recipe,
    checkpoints: Path,
    to: Path | None = None,
    arm: str = "",
    seed: int | None = None,
    forms: Sequence[str] = (),
    above: float | None = None,
) -> Exported:
    """Write what is known of a run's images into the folder `to`, all or nothing; an earlier export there is replaced.

    The arm is the treatment or the first, the seed the first, the folder `export` beside results.csv, the `forms` all
    of FORMS that the data allow, unless given. Pseudo-labels with a confidence of `above` or more are put into class
    folders and COCO's JSON as well; otherwise these hold labels that were answered alone. Hidden labels that nobody has
    asked for enter nothing. Raises BadInput where nothing was answered yet, or `to` holds anything else.
    """
    cell = cells_named(recipe, checkpoints, arm or recipe.first_arm, seed)[0]
    to = to or checkpoints / recipe.name / "export"
    check_place(to, cell.arm.data["options"])
    answers = answered(cell.folder)
    if not answers.entries:
        raise BadInput(
            f"{recipe.path}: arm {cell.arm.name!r}, seed {cell.seed}: nothing was answered yet under {checkpoints}; "
            f"type ssal run {recipe.typed}"
        )
    images = images_of(cell.arm, checkpoints)
    forms = _forms(recipe, images, forms)
    pseudo = _pseudo_labels(recipe, cell, checkpoints, answers) if CSV in forms or above is not None else ""
    if above is not None and isinstance(pseudo, str):
        raise BadInput(f"--pseudo-labels-above: {pseudo}")
    suspects = _suspects(recipe, cell, images, checkpoints, answers) if CSV in forms else ""
    material = Material(cell, images, answers, pseudo, suspects)
    with whole_folder(to.resolve(), replace=True) as work:
        record, lines = write_forms(work, material, forms, above)
        facts = {
            "format": FORMAT,
            "ssal": ssal.__version__,
            "recipe": recipe.name,
            "recipe_fingerprint": fingerprint(recipe.resolved()),
            "arm": cell.arm.name,
            "seed": cell.seed,
            **record,
            "said": lines,
            "files": files_in(work),
        }
        write_json(work / EXPORT, facts)
    return Exported(to, [f"arm {cell.arm.name}, seed {cell.seed}: {to}", *lines])


def _forms(recipe: Recipe, images: Images, forms: Sequence[str]) -> Sequence[str]:
    if len(images.pool.shape) == 3:
        return forms or FORMS
    if wanted := [str(form) for form in forms if form in OF_IMAGES]:
        raise BadInput(f"{recipe.path}: {' and '.join(wanted)} need images, and these data are features; type --as csv")
    return (CSV,)


def _pseudo_labels(recipe: Recipe, cell: Cell, checkpoints: Path, answers: Answered) -> PseudoLabels | str:
    """Return pseudo-labels, or why there are none: what people answered is written whatever the classifier is."""
    if not any(cell.folder.glob("round_*/metrics.json")):
        return "there is no classifier yet"
    try:
        return pseudo_labels(standing(recipe, cell, checkpoints, None), answers.entries)
    except BadInput as error:
        if cell.arm.asks_people and isinstance(error.__cause__, FileNotFoundError):
            return (
                "since the last classifier was trained, an answer that it learned from was corrected, or images joined "
                f"or went; there are some again when ssal run {recipe.typed} has trained the next one"
            )
        return str(error)


def _suspects(recipe: Recipe, cell: Cell, images: Images, checkpoints: Path, answers: Answered) -> list[Suspect] | str:
    """Return the labels as `ssal audit` judges them, or why it cannot; nothing is trained for it."""
    try:
        with nothing_made():
            images, encoder = encoder_of(cell, cell.arm, images, checkpoints)
        return suspects_of(recipe, cell, images, encoder, labels_of(answers.entries))
    except BadInput as error:
        return str(error)
    except FileNotFoundError:
        return "the encoder of this run is not there yet, or is not kept any more"
