"""How a project stands: accuracy on images drawn at random, what the next batch is worth, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from ssal.artefacts import read_facts, read_json, read_tensors
from ssal.cells import Cell, cells_of
from ssal.errors import counted
from ssal.evaluation.measure import AUDITED
from ssal.evaluation.outlook import IMAGES_FROM, LEARNERS_FROM, Accuracy, Forecast, accuracy, forecast
from ssal.evaluation.sentences import points
from ssal.labelling.ledger import GIVEN, Entry, Ledger
from ssal.project import of_others
from ssal.recipe import Recipe
from ssal.round import round_number

LEDGER = "ledger.sqlite"


class Learned(NamedTuple):
    """One round's learner: how many labels it had, and its accuracy on the audited images."""

    round: int
    labels: int
    accuracy: Accuracy
    minutes: float | None = None
    """What answering took until then, as far as it was measured; None where none of it was."""


@dataclass(frozen=True)
class Outlook:
    """What the audited images say of a run's learners, all on the same images, and what more labels may bring."""

    curve: list[Learned]
    """Every learner so far."""
    next: Forecast | None
    """What the next batch may add; None where nobody can tell yet, or nothing is asked any more."""
    minutes: float | None
    """What answering the next batch takes, at the median pace so far; None where nobody measured any."""
    size: int
    """Images of the next batch; 0 where the budget is spent."""
    untimed: int = 0
    """Answers that nobody measured the time of, where that of others was."""

    def words(self) -> list[str]:
        """Return it in sentences."""
        lines = []
        if self.curve:
            _, labels, now, _ = self.curve[-1]
            lines.append(
                f"accuracy: {100 * now.mean:.0f} % (95 % interval {100 * now.low:.0f} to {100 * now.high:.0f}) on "
                f"{counted(now.n, 'image')} drawn at random and never trained on, after {counted(labels, 'answer')}"
            )
        if self.size:
            minutes = 0 if self.minutes is None else max(1, round(self.minutes))
            batch = f"next {counted(self.size, 'image')}"
            cost = f", about {counted(minutes, 'minute')} of answering" if minutes else ""
            if self.next is None:
                lines.append(
                    f"{batch}{cost}: what they will add cannot be told yet; that takes {LEARNERS_FROM} "
                    f"trainings and {IMAGES_FROM} images of the audit"
                )
            else:
                gain = self.next
                lines.append(
                    f"{batch}{cost}: expected to add {points(gain.gain)} (95 % interval "
                    f"{points(gain.low)} to {points(gain.high)})"
                )
        return lines


def outlook(cell: Cell) -> Outlook:
    """Return how a run stands, from its files alone."""
    ledger = Ledger(cell.folder / LEDGER)
    entries, audited = ledger.entries(), ledger.audited()
    rounds, labels, rows = [], [], []
    files = sorted(cell.folder.glob(f"round_*/{AUDITED}"), key=lambda path: round_number(path.parent))
    files = [file for file in files if file.with_name("metrics.json").exists()]
    if files:  # of what is gone since, the last learner has said nothing
        audited = {id: audited[id] for id in read_facts(files[-1])["ids"] if id in audited}
    for file in files:
        facts, probabilities = read_facts(file), read_tensors(file)["probabilities"]
        names = ledger.called_now(facts)
        place = {id: row for row, id in enumerate(facts["ids"])}
        if set(audited) <= set(place):
            best = [names[column] for column in probabilities.argmax(dim=1).tolist()]
            rows.append([best[place[id]] == label for id, label in audited.items()])
            labels.append(int(read_json(file.with_name("metrics.json"))["labels"]))
            rounds.append(round_number(file.parent))
    correct = np.array(rows, dtype=bool).reshape(len(rows), len(audited))
    given, bought = len(entries) - ledger.bought(), ledger.bought()
    size = next((count for count in cell.arm.rounds(given) if count > bought), bought) - bought
    paces = [entry.seconds for entry in entries if entry.seconds is not None]
    curve = [
        Learned(number, count, found, _minutes(entries, number))
        for number, count, row in zip(rounds, labels, correct, strict=True)
        if (found := accuracy(row))
    ]
    rising = all(low < high for low, high in zip(labels, labels[1:], strict=False))
    known = forecast(labels, correct, labels[-1] + size) if labels and size and rising else None
    untimed = sum(entry.seconds is None and entry.strategy != GIVEN for entry in entries) if paces else 0
    return Outlook(curve, known, size * median(paces) / 60 if paces else None, size, untimed)


def _minutes(entries: Sequence[Entry], number: int) -> float | None:
    """Return what answering took in the rounds before `number`; None where nobody measured any."""
    spent = [entry.seconds for entry in entries if entry.round < number and entry.seconds is not None]
    return sum(spent) / 60 if spent else None


Outlooks = Mapping[tuple[str, int], Outlook]
"""Arm and seed -> how that run stands."""


def outlooks(recipe: Recipe, checkpoints: Path) -> Outlooks:
    """Return how every run of a recipe stands that has an audit slice and was asked something."""
    cells = [cell for cell in cells_of(recipe, checkpoints) if cell.arm.audit and (cell.folder / LEDGER).exists()]
    return {(cell.arm.name, cell.seed): outlook(cell) for cell in cells if not of_others(cell.folder)}


def sentences(found: Outlooks) -> list[str]:
    """Return what is to be said of every run; each sentence after its arm and seed where there are several."""
    several = len(found) > 1
    return [f"{f'{arm} seed {seed}: ' * several}{line}" for (arm, seed), one in found.items() for line in one.words()]


def ending(recipe: Recipe, checkpoints: Path) -> list[str]:
    """Return what to type after the runs of a recipe are finished in which people answer; nothing where none is."""
    asking = [cell for cell in cells_of(recipe, checkpoints) if cell.arm.asks_people]
    answers = sum(Ledger(cell.folder / LEDGER).bought() for cell in asking)
    told = (
        f"finished: {counted(answers, 'answer')}; ssal export {recipe.typed} writes the labels, ssal model "
        f"{recipe.typed} --to model the classifier; a larger acquisition.budget asks for more"
    )
    return [told] if asking else []
