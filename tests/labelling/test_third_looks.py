"""A third look by a file in which several people are named: only what somebody says anew settles an image."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import pytest
from command_line import CommandLine
from command_line import Said as Output
from label_studio_exports import annotation, exported
from tiny_project import CELL, name_of, question

from ssal.labelling.ledger import Ledger

NAMES = ("nought", "one", "two", "three")


class Project:
    """A round of ten images, five of which ann and ben were each asked about and differ on."""

    def __init__(self, ssal: CommandLine) -> None:
        recipe = Path("project.yaml")
        recipe.write_text(recipe.read_text().replace("audit: 0.2", "audit: 0.2, asked_of_two: 0.5"))
        assert ssal("run", "project.yaml", "--jobs", "1").code == 3
        self.ssal = ssal
        self.images = question(0)
        self.ids = [id for id, image in self.images.items() if image["people"] == 2]
        self.true = {id: name_of(str(image["path"])) for id, image in self.images.items()}
        self.wrong = {id: next(name for name in NAMES if name != self.true[id]) for id in self.ids}
        self.third = {
            id: next(name for name in NAMES if name not in (self.true[id], self.wrong[id])) for id in self.ids
        }
        self.first = {id: {"ann": self.true[id], "ben": self.wrong[id]} for id in self.ids}
        assert len(self.ids) == 5
        self.csv("ann", self.true)
        self.csv("ben", self.wrong)
        assert set(self.settled().values()) == {None}

    def csv(self, who: str, said: dict[str, str], *words: str) -> Output:
        """Take a file that names nobody, as `who`."""
        Path("answers.csv").write_text("\n".join(["id,label", *(f"{id},{name}" for id, name in said.items())]) + "\n")
        taken = self.ssal("answers", "project.yaml", "answers.csv", "--who", who, *words)
        assert taken.code == 0, taken
        return taken

    def decide(self, said: dict[str, dict[str, str]], *words: str) -> Output:
        """Take a Label Studio export with what people said of each image as a third look."""
        tasks = [
            exported(
                {"data": {"image_id": id}, "predictions": []},
                number,
                *(annotation([label], {"email": who}) for who, label in people.items()),
            )
            for number, (id, people) in enumerate(said.items())
        ]
        Path("export.json").write_text(json.dumps(tasks, indent=1))
        return self.ssal("answers", "project.yaml", "export.json", "--decides", *words)

    def settled(self) -> dict[str, str | None]:
        """Return what the images that two people were asked about came to."""
        settled = Ledger(CELL / "ledger.sqlite").settled()
        return {id: answer and answer.label for id in self.ids for answer in [settled[id, 0]]}


@pytest.fixture
def project(ssal: CommandLine) -> Project:
    return Project(ssal)


def test_first_looks_are_no_third_looks_whatever_their_order_in_the_file(project: Project) -> None:
    one, *others = project.ids
    for order in permutations(("ann", "ben", "carol")):
        looks = {who: project.first[one].get(who, project.third[one]) for who in order}
        said = {one: looks} | {id: project.first[id] for id in others}
        if order[0] == "ann":  # as the same people are named elsewhere
            said[one] = {who.upper(): label for who, label in looks.items()}
        told = project.decide(said)
        first = order == ("ann", "ben", "carol")
        assert told.code == 0 and told.out.startswith(f"{'1 new answer' if first else '0 new answers'} from"), told
        assert "4 images wait for a third look (people differ): " in told.out
        assert f"{10 if first else 11} answers are left aside: a third look is what somebody says anew" in told.log
        assert project.settled() == {one: project.third[one]} | dict.fromkeys(others)
    project.decide({id: {"carol": project.true[id]} | project.first[id] for id in others})
    assert project.settled() == {one: project.third[one]} | {id: project.true[id] for id in others}


@pytest.mark.parametrize("order", [("carol", "dora"), ("dora", "carol")])
def test_further_people_who_differ_are_refused_and_settle_nothing(project: Project, order: tuple[str, str]) -> None:
    one, two, *_ = project.ids
    differ = {"carol": project.true[one], "dora": project.wrong[one]}
    said = {one: project.first[one] | {who: differ[who] for who in order}, two: {"carol": project.true[two]}}
    told = project.decide(said)
    assert told.code == 2 and told.out == "", told
    (problem,) = [line for line in told.err.splitlines() if one in line]
    first, second = order
    assert "export.json:" in problem and "task 0: image" in problem
    assert f"{one} has two labels, {differ[first]!r} by {first} and {differ[second]!r} by {second}" in problem
    assert "or take the 1 other answer with --accept-valid" in told.err
    assert set(project.settled().values()) == {None}
    told = project.decide(said, "--accept-valid")
    assert told.code == 0 and told.out.startswith("1 new answer from")
    assert project.settled() == dict.fromkeys(project.ids) | {two: project.true[two]}


def test_further_people_who_agree_settle_it_once(project: Project) -> None:
    one, *_ = project.ids
    said = {one: dict.fromkeys(("dora", "carol"), project.third[one]) | project.first[one]}
    assert project.decide(said).code == 0
    assert project.settled() == dict.fromkeys(project.ids) | {one: project.third[one]}
    assert project.decide(said).out.startswith("0 new answers"), "once however often it is read"


def test_who_says_something_new_may_decide_and_what_was_taken_back_stays_so(project: Project) -> None:
    one, two, *_ = project.ids
    ledger = Ledger(CELL / "ledger.sqlite")
    assert project.decide({one: project.first[one] | {"ben": project.true[one]}}).out.startswith("1 new answer from")
    assert project.settled()[one] == project.true[one], "ben changed his mind"
    project.csv("eve", {two: project.third[two]})
    (mine,) = [look for look in ledger.said() if look.answer.who == "eve"]
    ledger.undo(mine.position, "eve")
    assert project.decide({two: {"eve": project.third[two]}}).out.startswith("0 new answers")
    assert project.settled()[two] is None


def test_images_that_one_person_is_asked_about_take_a_third_look_alike(project: Project) -> None:
    alone = next(id for id in project.images if id not in project.ids)
    other, third = [name for name in NAMES if name != project.true[alone]][:2]
    project.csv("ben", {alone: other})
    told = project.decide({alone: {"ann": project.true[alone], "ben": other, "carol": third}})
    assert told.code == 0 and told.out.startswith("1 new answer from"), told
    settled = Ledger(CELL / "ledger.sqlite").settled()[alone, 0]
    assert settled is not None and settled.label == third


def test_a_file_that_names_nobody_decides_as_whoever_hands_it_in(project: Project) -> None:
    one, *others = project.ids
    assert project.csv("carol", {one: project.true[one]}, "--decides").out.startswith("1 new answer from")
    assert project.settled() == dict.fromkeys(others) | {one: project.true[one]}


def test_who_hands_in_the_same_answers_once_more_decides_nothing(project: Project) -> None:
    said = project.csv("ann", project.true, "--decides")
    assert "0 new answers" in said.out and "left aside" in said.log
    assert set(project.settled().values()) == {None}
