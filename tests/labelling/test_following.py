"""Following a ledger row by row comes to what the ledger says when it is read whole."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ssal.labelling.answers import KINDS, LABEL, Answer
from ssal.labelling.following import Following
from ssal.labelling.ledger import GIVEN, Entry, Ledger, Said

IDS, PEOPLE, CLASSES = ("a", "b", "c"), ("ann", "ben"), ("cat", "dog")
ANSWERS = st.tuples(
    st.sampled_from(IDS), st.sampled_from(KINDS), st.sampled_from(CLASSES), st.sampled_from(PEOPLE), st.integers(0, 1),
    st.booleans(),
)  # fmt: skip
DONE = st.one_of(ANSWERS, st.tuples(st.just("undo"), st.integers(0, 9)), st.tuples(st.just("rename"), st.booleans()))


@settings(max_examples=60, deadline=None)
@given(done=st.lists(DONE, max_size=14), begins=st.integers(0, 14))
def test_row_by_row_is_the_same_as_at_once(tmp_path_factory, done: list[tuple], begins: int) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("l") / "ledger.sqlite")
    following = None
    for at, (first, *rest) in enumerate(done):
        if at == begins:
            following = Following(ledger.chain, 1)
        if first == "undo":
            standing = ledger.said()
            if standing:
                ledger.undo(standing[rest[0] % len(standing)].position, "eve")
        elif first == "rename":
            called = {one.answer.label for one in ledger.said()}
            old, new = ("cat", "lynx") if rest[0] else ("lynx", "cat")
            if old in called:
                ledger.rename(old, new, "eve")
        else:
            kind, label, who, number, decides = rest
            ledger.say([Said(Answer(first, kind, label if kind == LABEL else None, who), number, "page", decides)])
        if following:
            following.catch_up()
    following = following or Following(ledger.chain, 1)
    asked = [one for one in ledger.said() if one.round == 1]
    assert sorted((one for said in following.said.values() for one in said), key=lambda one: one.position) == asked
    assert following.settled == {id: now for (id, number), now in ledger.settled().items() if number == 1}
    assert not following.finished


def test_a_round_is_finished_by_its_own_entries(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append([Entry("g", "cat", "folder", 0, GIVEN)])
    first, second = Following(ledger.chain, 0), Following(ledger.chain, 1)
    assert not first.finished, "what the project began with is no answer"
    ledger.append([Entry("a", "cat", "ann", 0, "margin")])
    for following in (first, second):
        following.catch_up()
    assert (first.finished, second.finished) == (True, False)
    assert Following(ledger.chain, 0).finished


def test_rows_behind_a_position_and_of_a_round(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert ledger.chain.last() == 0 and ledger.chain.rows(after=3) == []
    ledger.say([Said(Answer(id, LABEL, "cat", "ann"), number, "page") for number, id in enumerate("abc")])
    ledger.undo(1, "ann")
    assert ledger.chain.last() == 4
    assert [row["position"] for row in ledger.chain.rows(after=2)] == [3, 4]
    assert [row["position"] for row in ledger.chain.rows(of_round=1)] == [2, 4], "what belongs to no round is of all"
