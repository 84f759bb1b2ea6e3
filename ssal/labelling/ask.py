"""Stage 5: rows to labels. Answers come at once from an oracle, or the run waits for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssal import registry
from ssal.data.images import Images
from ssal.labelling.ledger import Entry, Ledger

if TYPE_CHECKING:
    from ssal.acquisition.chosen import Choice


def begun(folder: Path) -> bool:
    """Say whether people are being asked about a round's choice: then it stands as it is."""
    return (folder / "to_label.csv").exists()


def ask(
    answered_by: str,
    chosen: Sequence[Choice],
    images: Images,
    ledger: Ledger,
    folder: Path,
    *,
    number: int,
    seed: int,
    prepare: Callable[[], dict[str, tuple[str, float]]],
    options: dict[str, Any],
) -> list[Entry]:
    """Return the ledger entries of round `number` for the chosen images, in the order they were chosen.

    `prepare` leaves what people are shown beside an image, for who asks them, and returns the best suggestion of each;
    what stands already it brings up to date.
    Raises Waiting where people are still to answer.
    """
    answerer = registry.find("answerer", answered_by)
    given: dict[str, Any] = {"seed": seed, "ledger": ledger, "number": number, "prepare": prepare}
    supplied = {name: given[name] for name in answerer.given}
    answers = answerer.call([choice.id for choice in chosen], images, folder, **supplied, **options)
    return [
        Entry(
            choice.id, answer.label, answer.who, number, choice.strategy, choice.score, answer.at, answer.kind,
            answer.seconds,
        )
        for choice in chosen
        for answer in [answers[choice.id]]
    ]  # fmt: skip
