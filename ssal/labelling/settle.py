"""What the answers of several people to one image come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ssal.labelling.answers import SKIPPED, Answer

if TYPE_CHECKING:
    from ssal.labelling.ledger import Said


def settle(answers: Sequence[Answer]) -> Answer | None:
    """Return what `answers` to one image, in the order they came, come to; None where there is none, or no agreement.

    Of each person the last answer counts. Who skipped an image leaves it to the others. Answers that differ are settled
    by a third look, which stands alone here.
    """
    last = {answer.who: answer for answer in answers}
    looked = [answer for answer in last.values() if answer.kind != SKIPPED] or list(last.values())
    if len({(answer.kind, answer.label) for answer in looked}) != 1:
        return None
    return looked[-1]


def settled_of(said: Iterable[Said]) -> dict[tuple[str, int], Answer | None]:
    """Return what answers come to, by id and round; None where people disagree."""
    of: dict[tuple[str, int], list[Said]] = {}
    for one in said:
        of.setdefault((one.answer.id, one.round), []).append(one)
    decided = {place: [one for one in all_of if one.decides][-1:] or all_of for place, all_of in of.items()}
    return {place: settle([one.answer for one in counting]) for place, counting in decided.items()}
