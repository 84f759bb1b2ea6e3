"""Correcting from the command line what a finished round was told of an image, or what a class is called."""

from __future__ import annotations

from pathlib import Path

from ssal.cells import Cell, cells_of, images_of
from ssal.errors import BadInput, counted, listing
from ssal.growing import FOLDER
from ssal.labelling.answers import SHOWN, SKIPPED, Answer
from ssal.labelling.files.asked import Asked
from ssal.labelling.files.words import Unclear, Words, plain
from ssal.labelling.ledger import Entry, Ledger, Said
from ssal.labelling.naming import Names, no_name, to_write
from ssal.recipe import Recipe

VIA = "correction"


def correct(recipe: Recipe, checkpoints: Path, ledger: Ledger, image: str, answer: str, who: str) -> str:
    """Write what `who` says an image is in place of what stands, and return a sentence on it.

    `image` is its id or its path, `answer` a class or the words for none. The next run trains on it, as if it had been
    said at first; nothing is asked again. Raises BadInput.
    """
    images = images_of(_cell(recipe, checkpoints, ledger).arm, checkpoints)
    standing: dict[str, Entry] = {}
    for entry in ledger.entries():
        if entry.kind != SKIPPED or entry.id not in standing:
            standing[entry.id] = entry
    paths = {id: images.pool.paths[images.pool.row(id)] if id in images.pool else id for id in standing}
    known = Asked(paths)
    try:
        id = known.by_path[image] if image in known.by_path else known.find(image)
    except Unclear as error:
        raise BadInput(
            f"{ledger.path}: {image!r} is no image that a finished round has an answer for; `ssal ledger log` lists "
            "their ids. What a run waits for is answered and changed by ssal label or ssal answers"
        ) from error
    try:
        words = Words(images.classes, Names(ledger.chain.rows()).renamed())
        words.without_label.pop(SKIPPED, None)  # which is understood, to say why it is none
        kind, label = words.meaning(answer)
    except Unclear as error:
        raise BadInput(f"{image}: {error}") from error
    before = standing[id]
    if kind == SKIPPED:
        raise BadInput(f"{image}: skipping is no correction; {SHOWN['cannot_tell']!r} takes its label out of training")
    was = before.label or SHOWN[before.kind]
    if (kind, label) == (before.kind, before.label):
        return f"{paths[id]} is {was!r} already, as {before.who} said; nothing was written"
    ledger.say([Said(Answer(id, kind, label, who), before.round, VIA, decides=True)])
    return f"{paths[id]} is {label or SHOWN[kind]!r} from now on, which was {was!r} since round {before.round}"


def rename(recipe: Recipe, checkpoints: Path, ledger: Ledger, old: str, new: str, who: str, merge: bool) -> str:
    """Call a class otherwise in all that was answered, and return a sentence on it and on what else names it.

    Raises BadInput where no label is called `old`, where nobody could answer with `new`, and, unless two classes are to
    `merge`, where one is called so already.
    """
    cell, new = _cell(recipe, checkpoints, ledger), new.strip()
    if wrong := no_name(new):
        raise BadInput(f"{new!r} {wrong}")
    if not merge and (same := sorted(name for name in _answered(ledger) - {old} if plain(name) == plain(new))):
        raise BadInput(
            f"{ledger.path}: {listing(map(repr, same))} was answered as well, and {old!r} could not be told from it "
            "again; type another name, or, where two classes are to be one for good, --merge (ssal ledger backup keeps "
            "what there was)"
        )
    from_data = any(entry.label == old and entry.who == FOLDER for entry in ledger.entries())
    images = ledger.rename(old, new, who)
    told = [f"{counted(images, 'image')} answered {old!r} {'are' if images > 1 else 'is'} {new!r} from now on"]
    if classes := cell.arm.data["classes"]:
        lacks = sorted(name for name in _answered(ledger) if name not in classes)
        changes = to_write(lacks, classes, Names(ledger.chain.rows()).renamed())
        told += [f"{change}, too" for change in changes.values()]
        told += [f"remove {old!r} from data.classes, or it is offered on"] * (merge and old in classes)
    if from_data:
        told.append(f"labels {old!r} came with the images: call their folder {new!r}, too, or write so in the manifest")
    return f"{'; '.join(told)}; then ssal run {recipe.typed} goes on" if told[1:] else told[0]


def _answered(ledger: Ledger) -> set[str]:
    """Return the classes that were answered, in rounds that are finished or not."""
    called = [*(entry.label for entry in ledger.entries()), *(one.answer.label for one in ledger.said())]
    return {name for name in called if name is not None}


def _cell(recipe: Recipe, checkpoints: Path, ledger: Ledger) -> Cell:
    """Return the run of the recipe whose ledger it is; a ledger may be of an arm or seed that it names no more."""
    cells = cells_of(recipe, checkpoints)
    for cell in cells:
        if cell.folder == ledger.path.parent:
            return cell
    known = listing(f"arm {cell.arm.name} with seed {cell.seed}" for cell in cells)
    arm, seed = ledger.path.parent.parent.name, ledger.path.parent.name.removeprefix("seed_")
    raise BadInput(
        f"{ledger.path}: the recipe has no arm {arm} with seed {seed} any more, only {known}; name them there"
    )
