"""What answers come to: one person or two, who differ or skip, and which images a round still waits for."""

from __future__ import annotations

import pytest

from ssal.labelling.answers import CANNOT_TELL, LABEL, SKIPPED, Answer
from ssal.labelling.ledger import Said
from ssal.labelling.settle import lacking, outcome, shared_by_two


def said(who: str, what: str, id: str = "a", number: int = 0, decides: bool = False) -> Said:
    kind = what if what in (SKIPPED, CANNOT_TELL) else LABEL
    return Said(Answer(id, kind, what if kind == LABEL else None, who), number, "page", decides)


def test_the_same_images_are_asked_of_two_whatever_their_order() -> None:
    ids = [f"{number:016x}" for number in range(200)]
    assert shared_by_two(ids, 0.1) == shared_by_two(ids[::-1], 0.1) and len(shared_by_two(ids, 0.1)) == 20
    assert shared_by_two(ids, 0.05) < shared_by_two(ids, 0.1) and shared_by_two(ids, 0) == set()


@pytest.mark.parametrize(
    ("answers", "one", "two"),
    [
        ([], 1, 2),
        ([("ann", "cat")], 0, 1),
        ([("ann", "cat"), ("ann", "cat")], 0, 1),
        ([("ann", "cat"), ("ann", "dog")], 0, 1),
        ([("ann", "cat"), (" ANN ", "cat")], 0, 1),
        ([("ann", "cat"), ("ben", SKIPPED)], 0, 1),
        ([("ann", SKIPPED)], 0, 1),
        ([("ann", SKIPPED), ("ann", SKIPPED)], 0, 1),
        ([("ann", SKIPPED), ("ben", SKIPPED)], 0, 0),
        ([("ann", SKIPPED), ("ben", SKIPPED), ("ben", "cat")], 0, 1),
        ([("ann", "cat"), ("ben", CANNOT_TELL)], 0, 0),
        ([("ann", "cat"), ("ben", "cat")], 0, 0),
    ],
)
def test_one_person_never_stands_for_two(answers: list[tuple[str, str]], one: int, two: int) -> None:
    given = [said(*answer).answer for answer in answers]
    assert (lacking(given, 1), lacking(given, 2)) == (one, two)


def came(given: list[Said], share: float = 1.0, there: str = "abc") -> tuple[dict[str, str | None], str, str, str]:
    found = outcome("abc", there, given, 0, share)
    labels = {id: answer.label for id, answer in found.answers.items()}
    return labels, "".join(found.waiting), "".join(found.differ), "".join(found.second)


def test_what_a_round_waits_for() -> None:
    given = [said("ann", "cat", id) for id in "ab"]
    assert came(given, share=0) == ({"a": "cat", "b": "cat"}, "c", "", "")
    assert came(given) == ({}, "abc", "", "ab")
    given += [said("ben", "cat", "a"), said("ben", "dog", "b"), said("eve", "cat", "c", number=1)]
    assert came(given) == ({"a": "cat"}, "bc", "b", "")
    given.append(said("eve", "dog", "b", decides=True))
    assert came(given) == ({"a": "cat", "b": "dog"}, "c", "", "")
    assert came([said("ann", "cat", "a", decides=True)])[3] == "a", "nobody takes a third look alone"


def test_what_is_gone_is_not_waited_for_and_moves_no_other() -> None:
    (two,) = shared_by_two("abc", 1 / 3)
    assert came([said("ann", "cat", id) for id in "abc"], 1 / 3)[1:] == (two, "", two)
    for gone in "abc":
        there = "abc".replace(gone, "")
        labels, waiting, differ, second = came([said("ann", "cat", id) for id in "abc"], 1 / 3, there)
        assert waiting == second == two.replace(gone, "") and differ == ""
        assert set(labels) == set("abc") - {two}


def test_the_words_say_how_many_wait_and_for_what() -> None:
    assert outcome("a", "a", [], 0, 0).words() == "1 image waits for labels"
    given = [said("ann", "cat", id) for id in "abc"] + [said("ben", "dog", "c")]
    found = outcome("abcd", "abcd", given, 0, 1)
    assert (found.unanswered, found.second, found.differ) == (["d"], ["a", "b"], ["c"])
    assert found.words() == (
        "4 images wait: 1 for labels, 1 for a third look (people differ), "
        "2 for a second person (where there is none: labelling.asked_of_two=0)"
    )
    third = "take a third look from a file with ssal answers --decides"
    second = "take a second person's file with ssal answers --who NAME"
    assert found.ways() == [third, second]
    alone = "1 image waits for a second person (where there is none: labelling.asked_of_two=0)"
    assert (outcome("a", "a", given, 0, 1).words(), outcome("a", "a", given, 0, 1).ways()) == (alone, [second])
    differ = outcome("c", "c", given, 0, 1)
    assert (differ.words(), differ.ways()) == ("1 image waits for a third look (people differ)", [third])
    assert outcome("a", "a", [], 0, 0).ways() == []
