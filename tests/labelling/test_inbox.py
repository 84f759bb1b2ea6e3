"""People answer through a CSV file: the run waits, takes whole rounds, and refuses what it cannot use line by line."""

from __future__ import annotations

import csv
import getpass
import json
import os
from pathlib import Path

import pytest
from command_line import CommandLine, refused
from command_line import Said as Output
from tiny_runs import NAMES, write_pictures

from ssal.labelling.answers import LABEL, Answer
from ssal.labelling.ledger import Ledger, Said

RECIPE = """\
name: project
seeds: [0]
data: {source: folder, path: pictures, size: 8, labels: given, flip: false}
backbone: {name: wrn_10_1}
learner: {method: supervised, steps: 4, batch_size: 8}
acquisition: {strategy: margin, query_size: 5, budget: 10}
labelling: {answered_by: inbox}
trainer: {accelerator: cpu}
"""
CELL = Path("checkpoints/project/main/seed_0")


@pytest.fixture
def ssal(command_line: CommandLine) -> CommandLine:
    """A project of 60 images for training: two of each class are labelled, the others are not."""
    Path("project.yaml").write_text(RECIPE)
    write_pictures(Path("pictures"))
    Path("pictures/train/unlabelled").mkdir()
    for name in NAMES:
        for path in sorted(Path(f"pictures/train/{name}").glob("*.png"))[2:]:
            path.rename(f"pictures/train/unlabelled/{name}_{path.name}")
    return command_line


def run(ssal: CommandLine, *overrides: str) -> Output:
    return ssal("run", "project.yaml", *overrides, "--jobs", "1")


def to_label(number: int, cell: Path = CELL) -> Path:
    return cell / f"round_{number}" / "to_label.csv"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def answer(path: Path, most: int | None = None) -> None:
    """Write the true class, which is in the image's name, beside the first images of a file."""
    asked = rows(path)
    for row in asked[:most]:
        row["label"] = Path(row["path"]).name.split("_")[0]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, asked[0])
        table.writeheader()
        table.writerows(asked)


def test_a_user_without_a_name_is_told_by_number(ssal: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, say, that runs under a number which its list of users lacks."""

    def nameless() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert run(ssal).code == 3
    answer(to_label(0))
    assert run(ssal).code == 3
    assert {entry.who for entry in Ledger(CELL / "ledger.sqlite").asked_in(0)} == {f"user {os.getuid()}"}


def bought() -> int:
    return Ledger(CELL / "ledger.sqlite").bought()


def test_a_project_waits_for_people_round_by_round_and_ends(ssal: CommandLine) -> None:
    said = run(ssal)
    assert said.code == 3 and "Traceback" not in said.err
    assert said.err.strip() == (
        f"5 images wait for labels: write a class into the label column of {to_label(0)} (nought, one, three, two), "
        "or type ssal label project.yaml; then the same command again"
    )
    asked = rows(to_label(0))
    chosen = rows(CELL / "round_0/chosen.csv")
    assert [row["id"] for row in asked] == sorted(row["id"] for row in chosen) and len(asked) == 5
    assert sorted(row["strategy"] for row in chosen) == ["audit", *["margin"] * 4]
    assert all(row["path"].startswith("train/unlabelled/") and row["label"] == "" for row in asked)
    assert bought() == 0 and len(Ledger(CELL / "ledger.sqlite").labels()) == 8
    answer(to_label(0))
    said = run(ssal)
    assert said.code == 3 and str(to_label(1)) in said.err
    assert bought() == 5
    answer(to_label(1))
    said = run(ssal)
    assert said.code == 0 and "18" in said.out, said
    entries = Ledger(CELL / "ledger.sqlite").entries()
    assert [entry.who for entry in entries] == ["folder"] * 8 + [getpass.getuser()] * 10
    assert [entry.strategy for entry in entries].count("audit") == 1, "a tenth of ten"
    names = {row["id"]: Path(row["path"]).name.split("_")[0] for number in (0, 1) for row in rows(to_label(number))}
    assert {entry.id: entry.label for entry in entries[8:]} == names
    assert run(ssal).code == 0


def test_waiting_costs_nothing_and_changes_nothing(ssal: CommandLine) -> None:
    run(ssal)
    kept = (CELL / "round_0").rglob("*")
    before = {path: path.read_bytes() for path in kept if path.suffix in (".csv", ".safetensors")}
    learners = {path: path.stat().st_mtime_ns for path in Path("checkpoints/learners").rglob("*.safetensors")}
    said = run(ssal)
    assert said.code == 3 and "train supervised" not in said.log and "signals of" not in said.log
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in learners} == learners


def test_some_answers_wait_for_the_others(ssal: CommandLine) -> None:
    run(ssal)
    answer(to_label(0), 3)
    said = run(ssal)
    assert said.code == 3 and said.err.startswith("2 images wait for labels")
    assert bought() == 0
    assert [bool(row["label"]) for row in rows(to_label(0))] == [True] * 3 + [False] * 2


def test_what_cannot_be_used_is_told_with_its_line_and_nothing_is_taken(ssal: CommandLine) -> None:
    run(ssal)
    answer(to_label(0))
    path = to_label(0)
    asked = rows(path)
    known = asked[3]["id"]
    asked[1]["label"] = "nuoght"
    asked[3] |= {"id": known[:-1] + ("0" if known[-1] != "0" else "1"), "path": "gone.png"}
    asked.append({**asked[4], "label": "one" if asked[4]["label"] == "two" else "two"})
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, asked[0])
        table.writeheader()
        table.writerows(asked)
    said = run(ssal)
    *message, last = refused(said).splitlines()
    assert [line.split(": ")[0] for line in message] == [f"{path}:{line}" for line in (3, 5, 7)]
    assert last.startswith("Nothing was taken.") and "--accept-valid" in last
    assert "no class is called 'nuoght'; did you mean 'nought'? (one of: nought, one, three, two)" in message[0]
    assert f"was not asked for; did you mean {known!r}?" in message[1]
    assert "two" in message[2]
    assert bought() == 0


@pytest.mark.parametrize(
    "content,said",
    [
        (b"", ":1: "),
        (b"name;label\n", ":1: "),
        (b"id,label\nabc\n", "5 images wait"),
        (b"id,label\nabc,\x00one\n", ":2: "),
    ],
)
def test_files_that_are_no_table(ssal: CommandLine, content: bytes, said: str) -> None:
    run(ssal)
    to_label(0).write_bytes(content)
    got = run(ssal)
    assert got.code == (3 if "wait" in said else 2), got
    assert said in got.err and "Traceback" not in got.err
    assert bought() == 0


def test_what_spreadsheets_do_to_a_file_is_no_obstacle(ssal: CommandLine) -> None:
    """A byte-order mark, Windows line ends, quotes, spaces, other columns and another order."""
    run(ssal)
    answer(to_label(0))
    lines = [f'" {row["label"]} ","{row["id"]}",seen,"a, b"' for row in reversed(rows(to_label(0)))]
    to_label(0).write_bytes(b"\xef\xbb\xbf" + "\r\n".join(["label,id,note,path", *lines, ",,,", ""]).encode())
    said = run(ssal)
    assert said.code == 3 and str(to_label(1)) in said.err, said
    assert bought() == 5
    chosen = [row["id"] for row in rows(CELL / "round_0/chosen.csv")]
    assert [entry.id for entry in Ledger(CELL / "ledger.sqlite").asked_in(0)] == chosen


def test_the_file_is_written_again_where_it_is_gone(ssal: CommandLine) -> None:
    run(ssal)
    before = to_label(0).read_bytes()
    to_label(0).unlink()
    assert run(ssal).code == 3
    assert to_label(0).read_bytes() == before


def test_a_larger_budget_while_people_answer_does_not_change_what_they_are_asked(ssal: CommandLine) -> None:
    words = ("acquisition={strategy: kmeans, query_size: 8}",)
    assert run(ssal, *words, "acquisition.budget=8").code == 3
    answer(to_label(0))
    assert run(ssal, *words, "acquisition.budget=10").code == 3
    asked = to_label(1).read_bytes()
    assert len(rows(to_label(1))) == 2
    assert run(ssal, *words, "acquisition.budget=30").code == 3
    assert to_label(1).read_bytes() == asked
    answer(to_label(1))
    assert run(ssal, *words, "acquisition.budget=30").code == 3
    assert bought() == 10 and len(rows(to_label(2))) == 6, "back on the grid of 8, 16, 24, 30"


def test_every_seed_that_waits_is_told(ssal: CommandLine) -> None:
    said = run(ssal, "seeds=[0,1]")
    assert said.code == 3
    for line, seed in zip(said.err.strip().splitlines(), (0, 1), strict=True):
        assert f"the label column of {to_label(0, CELL.with_name(f'seed_{seed}'))} (" in line
        assert f"or type ssal label project.yaml 'seeds=[0,1]' --arm main --seed {seed}; then" in line


def test_a_project_may_start_without_any_label(ssal: CommandLine) -> None:
    for name in NAMES:
        for part in ("train", "test"):
            for path in Path(f"pictures/{part}/{name}").glob("*.png"):
                path.rename(f"pictures/train/unlabelled/{name}_{path.name}")
    refused(run(ssal), "data.classes: no image has a label yet", "data.classes=[")
    words = ("data.classes=[nought, one, two, three]",)
    said = run(ssal, *words)
    assert said.code == 3 and "5 images wait" in said.err, said
    answer(to_label(0))
    assert run(ssal, *words).code == 3
    answer(to_label(1))
    assert run(ssal, *words).code == 0
    assert bought() == 10


def test_people_who_know_what_the_oracle_knows_are_asked_the_same(ssal: CommandLine) -> None:
    benchmark = ("data={source: digits, size: 8, labels: hidden}", "name=project", "labelling.audit=0.2")
    assert run(ssal, *benchmark, "labelling.answered_by=oracle", "--checkpoints", "benchmark").code == 0
    by_oracle = Ledger(Path("benchmark") / CELL.relative_to("checkpoints") / "ledger.sqlite").entries()
    for number in (0, 1):
        assert run(ssal, *benchmark).code == 3
        known = {entry.id: entry.label for entry in by_oracle}
        answers = [f"{row['id']},{known[row['id']]}" for row in rows(to_label(number))]
        to_label(number).write_text("\n".join(["id,label", *answers]))
    assert run(ssal, *benchmark).code == 0
    by_people = Ledger(CELL / "ledger.sqlite").entries()
    assert [(e.id, e.label, e.round, e.strategy, e.score) for e in by_people] == [
        (e.id, e.label, e.round, e.strategy, e.score) for e in by_oracle
    ]


def test_a_class_whose_images_lie_in_a_folder_is_renamed_in_both_places(ssal: CommandLine) -> None:
    run(ssal)
    said = ssal("ledger", "rename", "project.yaml", "nought", "zero")
    assert "labels 'nought' came with the images: call their folder 'zero', too" in said.out, said
    refused(run(ssal), "without 'zero'", "call the folder of its images so, too")
    refused(
        run(ssal, "data.classes=[zero, one, two, three]"), "class 'nought'", "call its folder as the class is called"
    )
    for part in ("train", "test"):
        Path(f"pictures/{part}/nought").rename(f"pictures/{part}/zero")
    said = run(ssal)
    assert said.code == 3 and "another class folder" not in said.log, said
    assert {"zero", "one"} <= set(Ledger(CELL / "ledger.sqlite").labels().values())


def test_people_are_never_asked_for_hidden_labels_alone_while_other_images_have_none(ssal: CommandLine) -> None:
    refused(run(ssal, "data.labels=hidden"), "data.labels: 8 of 60 images have a label", "data.labels=given")


def test_what_was_corrected_or_taken_back_stays_so_until_the_file_says_something_new(ssal: CommandLine) -> None:
    run(ssal)
    answer(to_label(0), 3)
    run(ssal)
    ledger = Ledger(CELL / "ledger.sqlite")
    first, second, third = ledger.said()
    assert {one.via for one in (first, second, third)} == {"csv"}
    ledger.undo(first.position, "ann")
    other = Answer(second.answer.id, LABEL, "one" if second.answer.label != "one" else "two", second.answer.who)
    ledger.say([Said(other, 0, "page")])
    assert run(ssal).err.startswith("3 images wait for labels")
    settled = {id: answer and answer.label for (id, _), answer in ledger.settled().items()}
    assert settled == {second.answer.id: other.label, third.answer.id: third.answer.label}
    answer(to_label(0))
    assert run(ssal).code == 3 and bought() == 0, "the undone one still says what was taken back"


def test_people_who_differ_are_told_and_a_third_look_decides(ssal: CommandLine) -> None:
    run(ssal)
    answer(to_label(0))
    ids = [row["id"] for row in rows(to_label(0))]
    ledger = Ledger(CELL / "ledger.sqlite")
    true = rows(to_label(0))[0]["label"]
    wrong = next(name for name in NAMES if name != true)
    ledger.say([Said(Answer(ids[0], LABEL, wrong, "ben"), 0, "page")])
    said = run(ssal)
    assert said.code == 3 and said.err.strip() == (
        f"{DIFFER}, or type ssal label project.yaml; then the same command again"
    )
    ledger.say([Said(Answer(ids[0], LABEL, wrong, "eve"), 0, "page", decides=True)])
    assert str(to_label(1)) in run(ssal).err
    assert {entry.id: (entry.label, entry.who) for entry in ledger.asked_in(0)}[ids[0]] == (wrong, "eve")


TWO = "labelling.asked_of_two=0.4"
DIFFER = "1 image waits for a third look (people differ): take a third look from a file with ssal answers --decides"
ALONE = "for a second person (where there is none: labelling.asked_of_two=0): take a second person's file with ssal"


def shared(number: int = 0) -> dict[str, int]:
    """Return of how many people each image is asked on the page."""
    question = json.loads((CELL / f"round_{number}/question/question.json").read_text())
    return {image["id"]: image["people"] for image in question["images"]}


def test_the_run_waits_for_the_second_person_as_the_page_does(ssal: CommandLine) -> None:
    run(ssal, TWO)
    two = [id for id, people in shared().items() if people == 2]
    assert len(two) == 2
    answer(to_label(0))
    said = run(ssal, TWO)
    assert said.code == 3 and said.err.strip() == (
        f"2 images wait {ALONE} answers --who NAME, or type ssal label project.yaml {TWO}; then the same command again"
    )
    ledger = Ledger(CELL / "ledger.sqlite")
    mine = {one.answer.id: one.answer for one in ledger.said()}
    ledger.say([Said(Answer(id, LABEL, mine[id].label, getpass.getuser().upper()), 0, "page") for id in two])
    assert run(ssal, TWO).err.startswith("2 images wait for a second person"), "one person alone is never two"
    ledger.say([Said(Answer(two[0], LABEL, mine[two[0]].label, "ben"), 0, "page")])
    ledger.say([Said(Answer(two[1], "skipped", None, "ben"), 0, "page")])
    said = run(ssal, TWO)
    assert said.err.startswith("1 image waits for a second person"), "skipped is no answer"
    wrong = next(name for name in NAMES if name != mine[two[1]].label)
    ledger.say([Said(Answer(two[1], LABEL, wrong, "ben"), 0, "page")])
    said = run(ssal, TWO)
    assert said.err.startswith(f"{DIFFER}, or type ssal label") and "to_label.csv" not in said.err
    ledger.say([Said(Answer(two[1], LABEL, wrong, "eve"), 0, "page", decides=True)])
    assert str(to_label(1)) in run(ssal, TWO).err
    assert {entry.id: entry.label for entry in ledger.asked_in(0)}[two[1]] == wrong


def test_files_that_name_people_count_as_people(ssal: CommandLine) -> None:
    Path("project.yaml").write_text(RECIPE.replace("answered_by: inbox", "answered_by: inbox, asked_of_two: 1"))
    run(ssal)
    asked = rows(to_label(0))
    label = {row["id"]: Path(row["path"]).name.split("_")[0] for row in asked}
    lines = [f"{id},{name}" for id, name in label.items()]
    Path("answers.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    said = ssal("answers", "project.yaml", "answers.csv", "--who", "ann")
    assert "5 new answers" in said.out and "5 images wait for a second person" in said.out
    for who in ("ann", " Ann"):
        assert "0 new answers" in ssal("answers", "project.yaml", "answers.csv", "--who", who).out, "one person"
    Path("one.csv").write_text("\n".join(["id,label", lines[-1]]) + "\n")
    for new, who in ((1, ""), (0, "  ")):
        assert f"{new} new answer" in ssal("answers", "project.yaml", "one.csv", "--who", who).out, "the user"
    last = Ledger(CELL / "ledger.sqlite").said()[-1]
    assert last.answer.who.strip()
    Ledger(CELL / "ledger.sqlite").undo(last.position, "ann")
    Path("half.csv").write_text("\n".join(["id,label", *lines[:2]]) + "\n")
    assert "; 3 images wait for a second person" in ssal("answers", "project.yaml", "half.csv", "--who", "ben").out
    choices = {"type": "choices", "from_name": "choice", "to_name": "image"}
    tasks = [
        {
            "data": {"image_id": id},
            "annotations": [
                {"completed_by": who, "result": [{**choices, "value": {"choices": [name]}}]} for who in (7, 8)
            ],
        }
        for id, name in label.items()
    ]
    odd = tasks[2]["annotations"][1]["result"][0]["value"]["choices"]  # type: ignore[index]
    true, odd[:] = odd[0], [next(name for name in NAMES if name != odd[0])]
    Path("export.json").write_text(json.dumps(tasks[2:]))
    said = ssal("answers", "project.yaml", "export.json")
    assert "6 new answers" in said.out and f"; {DIFFER}, or type ssal label project.yaml" in said.out, said
    Path("third.csv").write_text(f"id,label\n{list(label)[2]},{true}\n")
    said = ssal("answers", "project.yaml", "third.csv", "--decides")
    assert "1 new answer from" in said.out and "none waits any more" in said.out, "two people in one file are two"
    assert run(ssal).code == 3 and bought() == 5
    assert {entry.id: entry.label for entry in Ledger(CELL / "ledger.sqlite").asked_in(0)} == label


def test_a_third_look_by_a_file_settles_what_people_differ_on_and_nothing_else(ssal: CommandLine) -> None:
    run(ssal, TWO)
    label = {row["id"]: Path(row["path"]).name.split("_")[0] for row in rows(to_label(0))}
    wrong = {id: next(name for name in NAMES if name != true) for id, true in label.items()}
    one, ledger = next(id for id, people in shared().items() if people == 1), Ledger(CELL / "ledger.sqlite")

    def answers(said: dict[str, str], *words: str) -> str:
        Path("answers.csv").write_text("\n".join(["id,label", *(f"{id},{name}" for id, name in said.items())]) + "\n")
        taken = ssal("answers", "project.yaml", "answers.csv", *words, TWO)
        assert taken.code == 0, taken
        return taken.out + taken.log

    assert "; 2 images wait for a second person" in answers(label, "--who", "ann")
    told = answers(label, "--who", "eve", "--decides")
    assert "0 new answers" in told and "5 answers are left aside" in told, "nobody differs yet"
    assert "1 for a third look (people differ)" in answers({one: wrong[one]}, "--who", "ben")
    assert "1 new answer from" in answers({one: "skipped"}, "--who", "eve"), "an answer like any other"
    assert "0 new answers" in answers({one: "skipped"}, "--who", "eve", "--decides"), "skipping settles nothing"
    told = answers(wrong, "--who", "ann", "--decides")
    assert "1 new answer from" in told and "4 answers are left aside" in told, "she may change her mind"
    assert "differ" not in answers({}, "--who", "eve")
    assert answers(wrong, "--who", "ann", "--decides").startswith("0 new answers"), "once however often it is read"
    assert ledger.settled()[one, 0].label == wrong[one]  # type: ignore[union-attr]
    assert answers({one: label[one]}, "--who", "joe", "--decides").startswith("1 new answer from")
    assert ledger.settled()[one, 0].label == label[one]  # type: ignore[union-attr]


def test_one_person_alone_turns_it_off(ssal: CommandLine) -> None:
    run(ssal, TWO)
    answer(to_label(0), 4)
    told = run(ssal, "labelling.asked_of_two=1").err
    assert told.startswith("5 images wait: 1 for labels, 4 for a second person (where there is none: labelling.asked")
    assert f"write a class into the label column of {to_label(0)} where nobody has answered yet (nought, one," in told
    assert "), take a second person's file with ssal answers --who NAME, or type ssal label project.yaml" in told
    said = run(ssal, "labelling.asked_of_two=0")
    assert said.code == 3 and said.err.startswith("1 image waits for labels: ")
    assert set(shared().values()) == {1}, "the page follows"
    answer(to_label(0))
    assert str(to_label(1)) in run(ssal, "labelling.asked_of_two=0").err
    assert str(to_label(1)) in run(ssal, TWO).err and sorted(shared(1).values()) == [1, 1, 1, 2, 2]


def test_of_images_that_are_gone_nobody_answers_twice(ssal: CommandLine) -> None:
    run(ssal, TWO)
    before = shared()
    gone, other = (id for id, people in before.items() if people == 2)
    answer(to_label(0))
    run(ssal, TWO)
    (path,) = (Path("pictures") / row["path"] for row in rows(to_label(0)) if row["id"] == gone)
    path.unlink()
    assert run(ssal, TWO).err.startswith("1 image waits for a second person")
    assert shared() == {id: people for id, people in before.items() if id != gone}, "none joins in its place"
    ledger = Ledger(CELL / "ledger.sqlite")
    label = next(one.answer.label for one in ledger.said() if one.answer.id == other)
    ledger.say([Said(Answer(other, LABEL, label, "ben"), 0, "page")])
    assert str(to_label(1)) in run(ssal, TWO).err


def test_a_label_that_a_folder_gave_is_corrected(ssal: CommandLine) -> None:
    run(ssal)
    path = sorted(Path("pictures/train/nought").glob("*.png"))[0]
    ledger = Ledger(CELL / "ledger.sqlite")
    before = ledger.labels()
    said = ssal("ledger", "correct", "project.yaml", str(path.relative_to("pictures")), "two")
    assert said.code == 0 and "is 'two' from now on, which was 'nought' since round 0" in said.out, said
    said = run(ssal)
    assert said.code == 3 and "train supervised on 8 labels" in said.log and "the ledger says" in said.log
    changed = {id: label for id, label in ledger.labels().items() if before[id] != label}
    assert list(changed.values()) == ["two"] and len(ledger.labels()) == 8
