"""The audit slice: images drawn at random, asked for among the others, that measure accuracy.

No learner trains on them, not even on what they show; the encoder has seen them, which learns without labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor

from ssal.labelling.answers import SKIPPED
from ssal.labelling.ledger import AUDIT, Ledger
from ssal.streams import stream


def in_audit_order(ids: Iterable[str], seed: int) -> list[str]:
    """Return `ids` in the random order that `seed` fixes: an image that joins later moves no other's place."""
    return sorted(ids, key=lambda id: (stream(seed, AUDIT, id), id))


def set_aside(askable: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """Return the images that only the audit may ask for: the first `share` of the random order.

    As many as it takes where every image is asked for in the end; so no strategy ever has one of them, no learner is
    trained on one before its turn comes, and the slice is a random sample of all images at every size.
    """
    order = in_audit_order(askable, seed) if share else []
    return frozenset(order[: _part(share, len(order))])


def next_in_audit(aside: Iterable[str], ledger: Ledger, size: int, share: float, seed: int) -> Sequence[str]:
    """Return which images of those set `aside` are among the next `size` questions, so that their share is `share`.

    Those that were skipped come again first: accuracy without the images that people put off would be too high.
    """
    entries = ledger.entries()
    known = ledger.answered()
    done = sum(entry.strategy == AUDIT and entry.kind != SKIPPED for entry in entries)
    wanted = _part(share, ledger.bought() + size) - done
    waiting = [id for id in in_audit_order(aside, seed) if id not in known]
    return waiting[: max(0, min(wanted, size))]


def _part(share: float, of: int) -> int:
    """Round half up, so that the part of a growing number never shrinks, nor the rest."""
    return floor(share * of + 0.5)
