"""Oracle: known labels answer at once, in a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.registry import answerer


@answerer
def oracle(ids: Sequence[str], images: Images, folder: Path) -> dict[str, str]:
    """Answer from the labels that a benchmark keeps hidden; no other code reads them."""
    unknown = [id for id in ids if id not in images.hidden]
    if unknown:
        raise BadInput(
            f"labelling.answered_by: the oracle knows no label for {len(unknown)} of {len(ids)} images asked for "
            f"(first: {unknown[0]}). Where the data have no labels, people answer: labelling.answered_by=inbox"
        )
    return {id: images.hidden[id] for id in ids}
