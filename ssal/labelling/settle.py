"""What the answers of several people to one image come to."""

from __future__ import annotations

from collections.abc import Sequence

from ssal.labelling.answers import SKIPPED, Answer


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
