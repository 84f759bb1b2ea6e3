"""A round of a run as it stands: its learner and labels are loaded, and nothing is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ssal import registry
from ssal.artefacts import nothing_made, read_json
from ssal.cells import Cell, cells_of, images_of
from ssal.claim import unchanged
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.growing import BEGAN_WITH, as_begun
from ssal.labelling.audit_slice import set_aside
from ssal.labelling.ledger import Ledger
from ssal.learner.train import train
from ssal.learner.trained import Trained
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import pretrain
from ssal.recipe import Arm, Recipe
from ssal.round import round_number
from ssal.signals.kept import OUTPUTS


@dataclass(frozen=True)
class Standing:
    """A round's learner, and the labels that it was trained on."""

    cell: Cell
    number: int
    images: Images
    ledger: Ledger
    """As it stood when the round began."""
    encoder: Encoder
    learner: Trained
    previous: Path | None
    """Outputs of the learner before, if there was one."""

    @property
    def aside(self) -> frozenset[str]:
        """The images that only the audit asks for, by id."""
        return set_aside(self.images.askable, self.cell.arm.audit, self.cell.seed)

    @property
    def free(self) -> int:
        """How many images a strategy could ask for."""
        return len(self.images.askable - self.ledger.answered() - self.aside)


def _signals(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = record.get("recipe", {}).get("signals", {})
    return found


def _with(arm: Arm, signals: dict[str, Any]) -> Arm:
    """Return the arm with other signals, as a run's record has them; those that an older ssal had are only told."""
    known = {name: given for name, given in signals.items() if name in registry.methods("signal")}
    return replace(arm, signals=known, record={**arm.record, "signals": signals})


def _as_it_ran(arm: Arm, record: dict[str, Any]) -> Arm:
    """Return the arm with its run's signals in place of its own, apart from heads that its learner was trained with.

    A learner that stands depends on no others: they may be given other options to ask it again.
    """
    ran = _signals(record)
    heads = _with(arm, ran).companions
    own = {name: given for name, given in arm.record["signals"].items() if name in heads}
    return _with(arm, {name: given for name, given in ran.items() if name not in heads} | own)


def as_they_ran(recipe: Recipe, checkpoints: Path) -> Recipe:
    """Return the recipe with the signals of its runs, for their report: a query may have been asked with others."""
    records = {cell.arm.name: cell.folder / "run.json" for cell in reversed(cells_of(recipe, checkpoints))}
    arms = {
        name: _with(arm, _signals(read_json(records[name]))) if records[name].exists() else arm
        for name, arm in recipe.arms.items()
    }
    return replace(recipe, arms=arms)


def encoder_of(cell: Cell, arm: Arm, images: Images, checkpoints: Path) -> tuple[Images, Encoder]:
    """Return the images as a cell's encoder sees them, and that encoder: joined images make no other one."""
    began_with = images.fingerprint
    if (cell.folder / BEGAN_WITH).exists():
        images, began_with = as_begun(images, cell.folder)
    return images, pretrain(replace(images, fingerprint=began_with), checkpoints, **arm.encoder(cell.seed))


def standing(recipe: Recipe, cell: Cell, checkpoints: Path, number: int | None) -> Standing:
    """Return the cell's last round with a learner, or round `number`. Raises BadInput where it does not stand.

    The cell's signals may have other options than the run's, apart from heads that its learner was trained with.
    """
    name = f"{recipe.path}: arm {cell.arm.name!r}, seed {cell.seed}"
    run, again = f"ssal run {recipe.path}", "repeat the overrides the run was made with"
    path, images = cell.folder / "run.json", images_of(cell.arm, checkpoints)
    record = read_json(path) if path.exists() else None
    arm = _as_it_ran(cell.arm, record) if record else cell.arm
    if record and not unchanged(record, arm, images, cell.folder):
        raise BadInput(
            f"{name}: this run was made by another recipe or from other data; undo the change, {again}, "
            f"or type {run} name=other"
        )
    rounds = sorted(round_number(metrics.parent) for metrics in cell.folder.glob("round_*/metrics.json"))
    if not rounds:
        raise BadInput(f"{name} has no round with a learner yet; {again}, or type {run}")
    number = rounds[-1] if number is None else number
    if number not in rounds:
        known = ", ".join(map(str, rounds))
        raise BadInput(f"{name} has no learner in round {number} (rounds with one: {known}); type --round {rounds[-1]}")
    ledger = Ledger(cell.folder / "ledger.sqlite").before(number).among(images.pool)
    try:
        with nothing_made():
            images, encoder = encoder_of(cell, arm, images, checkpoints)
            learner = train(
                encoder, images, ledger, number, checkpoints, cell.seed, arm.trainer,
                method=arm.learner_method, options=arm.learner, companions=arm.companions,
                aside=set_aside(images.askable, arm.audit, cell.seed),
            )  # fmt: skip
    except FileNotFoundError as error:
        people = "images or answers changed since"
        made = people if arm.asks_people else "is of another version of ssal"
        more = "" if arm.asks_people else f" name=again, and {again}"
        raise BadInput(
            f"{name}: what round {number} was trained to is not kept any more, or {made} ({error}); nothing is trained "
            f"here, so type {run}{more}"
        ) from error
    assert learner is not None  # it was measured
    previous = cell.folder / f"round_{number - 1}" / OUTPUTS
    return Standing(cell, number, images, ledger, encoder, learner, previous if previous.exists() else None)
