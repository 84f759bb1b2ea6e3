"""The audit slice: a random sample of all images at every size, its share kept, apart from what strategies choose."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ssal.labelling.answers import SKIPPED
from ssal.labelling.audit_slice import in_audit_order, next_in_audit, set_aside
from ssal.labelling.ledger import AUDIT, Entry, Ledger

IDS = [f"{number:03d}" for number in range(100)]


def bought(ledger: Ledger, ids: list[str], number: int, strategy: str) -> None:
    ledger.append(Entry(id, "cat", "ann", number, strategy) for id in ids)


def test_the_order_is_fixed_and_an_image_that_joins_moves_no_other() -> None:
    order = in_audit_order(IDS, 0)
    assert sorted(order) == IDS and order != IDS and order == in_audit_order(reversed(IDS), 0)
    assert order != in_audit_order(IDS, 1)
    grown = in_audit_order([*IDS, "new"], 0)
    assert [id for id in grown if id != "new"] == order


def test_every_image_is_as_likely_to_be_audited() -> None:
    first = Counter(id for seed in range(2_000) for id in set_aside(IDS, 0.1, seed))
    assert sum(first.values()) == 2_000 * 10
    assert min(first.values()) > 140 and max(first.values()) < 260, "200 each, give or take four standard deviations"


@pytest.mark.parametrize(("share", "sizes"), [(0.1, [20, 5, 5, 5, 25]), (0.25, [3, 3, 3, 3]), (0.1, [1] * 25)])
def test_its_share_is_kept_over_all_rounds(tmp_path: Path, share: float, sizes: list[int]) -> None:
    ledger, aside = Ledger(tmp_path / "ledger.sqlite"), set_aside(IDS, share, 7)
    others = iter(id for id in IDS if id not in aside)
    audited: list[str] = []
    for number, size in enumerate(sizes):
        drawn = list(next_in_audit(aside, ledger, size, share, 7))
        audited += drawn
        bought(ledger, drawn, number, AUDIT)
        bought(ledger, [next(others) for _ in range(size - len(drawn))], number, "margin")
        assert abs(len(audited) - share * ledger.bought()) <= 0.5
    assert audited == in_audit_order(aside, 7)[: len(audited)], "the next ones of the order, each once"
    assert list(ledger.audited()) == audited and not set(ledger.labels()) & aside


@pytest.mark.parametrize("share", [0.03, 0.1, 0.25, 0.5])
@pytest.mark.parametrize("images", [1, 7, 45, 100])
def test_there_is_always_an_image_to_ask_for_until_all_are_asked(tmp_path: Path, share: float, images: int) -> None:
    ledger, aside = Ledger(tmp_path / "ledger.sqlite"), set_aside(IDS[:images], share, 0)
    others = [id for id in IDS[:images] if id not in aside]
    for number in range(images):
        drawn = list(next_in_audit(aside, ledger, 1, share, 0))
        bought(ledger, drawn or [others.pop()], number, AUDIT if drawn else "margin")
    assert ledger.answered() == set(IDS[:images])


def test_what_was_skipped_comes_again_before_others(tmp_path: Path) -> None:
    """Accuracy without the images that people put off, which are the hard ones, would be too high."""
    ledger, aside = Ledger(tmp_path / "ledger.sqlite"), set_aside(IDS, 0.2, 0)
    first = list(next_in_audit(aside, ledger, 10, 0.2, 0))
    skipped = Entry(first[0], None, "ann", 0, AUDIT, None, kind=SKIPPED)
    ledger.append([skipped])
    bought(ledger, first[1:], 0, AUDIT)
    bought(ledger, [id for id in IDS if id not in aside][:8], 0, "margin")
    again = list(next_in_audit(aside, ledger, 10, 0.2, 0))
    assert again[0] == first[0] and len(again) == 3 and not set(again[1:]) & set(first)


def test_without_a_share_there_is_none(tmp_path: Path) -> None:
    assert set_aside(IDS, 0.0, 0) == frozenset()
    assert list(next_in_audit([], Ledger(tmp_path / "ledger.sqlite"), 10, 0.0, 0)) == []
