"""Stage 5: rows to labels. Answers come at once from an oracle, or the run waits for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssal import registry
from ssal.data.images import Images
from ssal.labelling.ledger import Entry

if TYPE_CHECKING:
    from ssal.acquisition.choose import Choice


def begun(folder: Path) -> bool:
    """Say whether people are being asked about a round's choice: then it stands as it is."""
    return (folder / "to_label.csv").exists()


def ask(
    answered_by: str,
    chosen: Sequence[Choice],
    images: Images,
    folder: Path,
    *,
    round_number: int,
    strategy: str,
    seed: int,
    options: dict[str, Any],
) -> list[Entry]:
    """Return the ledger entries for the chosen images, in the order they were chosen.

    Raises Waiting where people are still to answer.
    """
    answerer = registry.find("answerer", answered_by)
    supplied = {"seed": seed} if "seed" in answerer.given else {}
    answers = answerer.call([choice.id for choice in chosen], images, folder, **supplied, **options)
    return [
        Entry(choice.id, answers[choice.id], answered_by, round_number, strategy, choice.score) for choice in chosen
    ]
