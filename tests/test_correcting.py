"""Renaming a class: two never become one unseen, nobody is left with a name nobody can answer with."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine, refused
from tiny_project import CELL, RECIPE, answer_csv

from ssal.labelling.ledger import Ledger
from ssal.labelling.naming import no_name

RUN = ("run", "project.yaml", "--jobs", "1")
RENAME = ("ledger", "rename", "project.yaml")


@pytest.fixture
def answered(ssal: CommandLine) -> CommandLine:
    """Return the command line with ten answers that wait for the run."""
    assert ssal(*RUN).code == 3
    answer_csv(ssal, 0)
    return ssal


def test_two_classes_become_one_only_where_that_is_typed(answered: CommandLine) -> None:
    ledger = Ledger(CELL / "ledger.sqlite")
    rows = len(ledger.chain.rows())
    for new in ("two", "TWO", " two"):
        refused(answered(*RENAME, "one", new), "'two' was answered as well", "--merge", "ssal ledger backup")
    refused(answered(*RENAME, "one", "one"), "two different names")
    assert len(ledger.chain.rows()) == rows, "nothing was written"
    ones = {one.answer.id for one in ledger.said() if one.answer.label == "one"}
    said = answered(*RENAME, "one", "two", "--merge")
    assert said.code == 0 and "remove 'one' from data.classes, or it is offered on" in said.out, said
    assert ones and ones <= {one.answer.id for one in ledger.said() if one.answer.label == "two"}


def test_what_is_told_of_the_recipe_names_what_was_answered(answered: CommandLine) -> None:
    """Renamed twice, classes that change places, and two that become one: each sentence can be followed as it is."""
    assert "write 'ONE' for 'one' in data.classes" in answered(*RENAME, "one", "ONE").out
    said = answered(*RENAME, "ONE", " uno ")
    assert "'uno' from now on" in said.out and "write 'uno' for 'one' in data.classes" in said.out, said
    assert "write 'one' for 'two'" not in answered(*RENAME, "two", "one").out
    assert "data.classes" not in answered(*RENAME, "uno", "two").out, "they have changed places"
    assert answered(*RENAME, "two", "one", "--merge").code == 0
    assert "write 'uno' for 'one' and remove 'two' in data.classes" in answered(*RENAME, "one", "uno").out
    refused(answered(*RUN), "write 'uno' for 'one' and remove 'two' in data.classes")
    assert answered(*RUN, "data.classes=[nought,uno,three]").code == 3


def test_the_recipe_may_have_the_new_name_first(answered: CommandLine) -> None:
    said = answered(*RENAME, "one", "uno", "data.classes=[nought,uno,two,three]")
    assert said.code == 0 and said.out.strip().endswith("'uno' from now on"), said


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "is empty"), (" ", "is empty"), ("None of the classes", "what people answer"), ("skipped", "what people")],
)
def test_a_class_has_a_name_that_people_can_answer_with(answered: CommandLine, name: str, why: str) -> None:
    refused(answered(*RENAME, "one", name), why)
    Path("project.yaml").write_text(RECIPE.replace("nought", f'"{name}"'))
    refused(answered(*RUN), "project.yaml:3", "data.classes[0]", why)
    assert no_name("one") is None


def test_a_run_that_the_recipe_no_longer_names_is_corrected_nowhere(answered: CommandLine) -> None:
    for command in (("correct", "project.yaml", "x.png", "one"), ("rename", "project.yaml", "one", "uno")):
        refused(
            answered("ledger", *command, "seeds=[1]"),
            "the recipe has no arm main with seed 0 any more, only arm main with seed 1; name them there",
        )
