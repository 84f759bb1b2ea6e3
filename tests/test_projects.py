"""A project whose labels people give, from the command line: files out and in, a folder that changes, the ledger."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine, refused
from tiny_project import CELL, RECIPE, answer_csv, name_of, question
from tiny_runs import write_pictures

from ssal.artefacts import read_facts, read_json, read_tensors
from ssal.cells import cells_of
from ssal.exchange import FORMS
from ssal.labelling.ledger import AUDIT, Ledger
from ssal.outlook import outlook
from ssal.recipe import load


def report() -> str:
    return Path("checkpoints/project/report.html").read_text(encoding="utf-8")


def answer_folders(ssal: CommandLine, number: int) -> None:
    out = Path(f"sort_{number}")
    assert "to_sort" in ssal("questions", "project.yaml", "--as", "folders", "--to", str(out)).out
    for file in sorted((out / "to_sort").iterdir()):
        (id,) = (id for id in question(number) if id in file.name)
        file.rename(out / name_of(str(question(number)[id]["path"])) / file.name)
    assert ssal("answers", "project.yaml", str(out), "--who", "ann").code == 0


def answer_label_studio(ssal: CommandLine, number: int) -> None:
    said = ssal("questions", "project.yaml", "--as", "label-studio", "--to", "tasks.json")
    assert "tasks.xml" in said.out and Path("tasks.xml").exists()
    tasks = json.loads(Path("tasks.json").read_text())
    assert all(task["data"]["image"].startswith("data:image/webp;base64,") for task in tasks)
    for at, task in enumerate(tasks):
        choice = {"type": "choices", "from_name": "choice", "to_name": "image"}
        value = {"choices": [name_of(task["data"]["path"])]}
        result = [{**choice, "value": value}]
        task |= {
            "id": at,
            "annotations": [{"completed_by": 7, "was_cancelled": False, "lead_time": 4.0, "result": result}],
        }
    Path("export.json").write_text(json.dumps(tasks))
    assert ssal("answers", "project.yaml", "export.json").code == 0


def test_a_project_from_no_label_to_its_end_answered_in_three_ways(ssal: CommandLine) -> None:
    ways: list[tuple[Callable[[CommandLine, int], None], str]] = [
        (answer_csv, "csv"), (answer_folders, "folders"), (answer_label_studio, "label_studio"),
    ]  # fmt: skip
    for number, (answers, via) in enumerate(ways):
        said = ssal("run", "project.yaml", "--jobs", "1")
        assert said.code == 3 and "10 images wait for labels" in said.err, said
        assert ("accuracy:" in said.out) == (number > 0)
        shown = question(number)
        assert all((CELL / f"round_{number}/question" / str(image["file"])).is_file() for image in shown.values())
        assert [bool(image["suggestions"]) for image in shown.values()] == [number > 0] * 10
        assert [len(image["neighbours"]) for image in shown.values()] == [3 * (number > 0)] * 10  # type: ignore[arg-type]
        answers(ssal, number)
        ledger = Ledger(CELL / "ledger.sqlite")
        assert {one.via for one in ledger.said() if one.round == number} == {via}
    refused(ssal("answers", "project.yaml", "nowhere.csv"), "there is no such file or folder")
    said = ssal("run", "project.yaml", "--jobs", "1")
    assert said.code == 0 and said.out.strip().splitlines()[-1] == (
        "finished: 30 answers; ssal export project.yaml writes the labels, ssal model project.yaml --to model the "
        "classifier; a larger acquisition.budget asks for more"
    ), said
    refused(
        ssal("answers", "project.yaml", "answers.csv"), "no image waits for an answer", "type ssal run project.yaml"
    )
    ledger = Ledger(CELL / "ledger.sqlite")
    paths = {id: str(image["path"]) for number in range(3) for id, image in question(number).items()}
    assert {entry.id: entry.label for entry in ledger.entries()} == {id: name_of(path) for id, path in paths.items()}
    assert {entry.who for entry in ledger.asked_in(1)} == {"ann"}
    assert [entry.seconds for entry in ledger.asked_in(2)] == [4.0] * 10
    assert [entry.strategy for entry in ledger.entries()].count(AUDIT) == 6, "a fifth of thirty"
    said, page = ssal("compare", "project.yaml", "--jobs", "1"), report()
    assert said.code == 0 and "30 labels" in page.split("</header>")[0], said
    (cell,) = cells_of(load(Path("project.yaml")), Path("checkpoints"))
    found = outlook(cell)
    assert [learned.minutes for learned in found.curve] == [None, None, pytest.approx(40 / 60)] and found.untimed == 20
    assert found.words() and all(f"{line[0].upper()}{line[1:]}" in page for line in found.words())
    for _, labels, now, _ in found.curve:
        cells = f"<td>{100 * now.mean:.1f}</td><td>{100 * now.low:.1f} to {100 * now.high:.1f}</td><td>6</td>"
        assert f'<th scope="row">{labels}</th> {cells}' in " ".join(page.split())
    told = " ".join(page.split("For your methods section")[1].split())
    assert "10 labels in the first round and 10 a round from then on, 30 in all." in told
    assert (
        "The images of the first round were chosen with typiclust" in told and "others were chosen with margin" in told
    )
    assert "<td>0.7</td>" in page and "20 answers came without a time" in page and "No verdict" not in page
    assert len(ledger.labels()) == 24


def test_the_report_of_a_project_that_has_just_begun(ssal: CommandLine) -> None:
    """No learner, no label and no test image: it says what waits, and that nothing can be told yet."""
    said = ssal("compare", "project.yaml", "--jobs", "1")
    assert said.code == 3 and "10 images wait for labels" in said.err, said
    page = report()
    assert "Next 10 images: what they will add cannot be told yet" in page and "10 images wait for labels" in page
    assert "No verdict" not in page and "Accuracy on images drawn at random" not in page


def test_what_is_said_of_accuracy_follows_from_the_audited_images_alone(ssal: CommandLine) -> None:
    oracle = (
        "labelling.answered_by=oracle",
        "labelling.audit=0.4",
        "name=known",
        "data.labels=hidden",
        "data.path=again",
    )
    for path in Path("pictures").iterdir():
        (Path("again") / name_of(str(path))).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, Path("again") / name_of(str(path)) / path.name)
    said = ssal("run", "project.yaml", *oracle, "--jobs", "1")
    assert said.code == 0, said
    cell = Path("checkpoints/known/main/seed_0")
    audited = Ledger(cell / "ledger.sqlite").audited()
    kept = cell / "round_3/audit.safetensors"
    facts, best = read_facts(kept), read_tensors(kept)["probabilities"].argmax(dim=1).tolist()
    says = {id: facts["classes"][column] for id, column in zip(facts["ids"], best, strict=True)}
    right = sum(says[id] == label for id, label in audited.items())
    assert len(audited) == 12 and f"accuracy: {100 * right / 12:.0f} % (95 % interval" in said.out
    assert "on 12 images drawn at random and never trained on" in said.out
    assert not set(audited) & set(Ledger(cell / "ledger.sqlite").labels())


def test_images_join_and_go_while_the_encoder_stays(ssal: CommandLine) -> None:
    ssal("run", "project.yaml", "--jobs", "1")
    answer_csv(ssal, 0)
    assert ssal("run", "project.yaml", "--jobs", "1").code == 3
    encoders = sorted(Path("checkpoints/encoders").iterdir())
    ledger = Ledger(CELL / "ledger.sqlite")
    paths = {id: Path("pictures") / str(image["path"]) for id, image in question(0).items()}
    labelled, asked = sorted(ledger.labels())[:2], sorted(question(1))[0]
    for id in labelled:
        paths[id].unlink()
    old = {path.name.split("_")[-1] for path in [*paths.values(), *Path("pictures").iterdir()]}
    (Path("pictures") / str(question(1)[asked]["path"])).unlink()
    write_pictures(Path("more"), train=25, test=0)
    for path in sorted(Path("more").rglob("*.png")):
        if path.name not in old:
            path.rename(Path("pictures") / f"{path.parent.name}_new_{path.name}")
    said = ssal("run", "project.yaml", "--jobs", "1")
    assert said.code == 3 and "9 images wait for labels" in said.err, said
    assert "16 joined, 3 are gone" in said.log and sorted(Path("checkpoints/encoders").iterdir()) == encoders
    lines = [f"{id},{name_of(str(image['path']))}" for id, image in question(1).items() if id != asked]
    Path("answers.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    assert ssal("answers", "project.yaml", "answers.csv").code == 0
    assert ssal("run", "project.yaml", "--jobs", "1").code == 3
    assert set(labelled) <= set(ledger.labels()), "what is gone keeps its label"
    assert {entry.id: entry.kind for entry in ledger.asked_in(1)}[asked] == "skipped"
    assert ssal("run", "project.yaml", "--jobs", "1", "--new-encoder").code == 3
    assert len(list(Path("checkpoints/encoders").iterdir())) == len(encoders) + 1


def test_a_class_is_added_and_another_renamed_on_the_way(ssal: CommandLine) -> None:
    ssal("run", "project.yaml", "--jobs", "1")
    answer_csv(ssal, 0)
    assert ssal("run", "project.yaml", "--jobs", "1").code == 3
    other = "data.classes=[zero, one, two, three, four]"
    refused(ssal("run", "project.yaml", other, "--jobs", "1"), "without 'nought'", "ssal ledger rename")
    (learner,) = Path("checkpoints/learners").iterdir()
    assert read_json(learner / "record.json")["not_trained_on"] == 17, "a fifth of 84 images is the audit's"
    filled = CELL / "round_1/to_label.csv"
    lines = [f"{id},{name_of(str(image['path']))}" for id, image in question(1).items()]
    assert any(line.endswith(",nought") for line in lines)
    filled.write_text("\n".join(["id,label", *lines]) + "\n")
    said = ssal("ledger", "rename", "project.yaml", "nought", "zero").out
    taken = sum(name_of(str(image["path"])) == "nought" for image in question(0).values())
    assert said.startswith(f"{taken} image"), "what a round has taken is of the same images"
    assert "'zero' from now on; write 'zero' for 'nought' in data.classes, too; then ssal run project.yaml" in said
    forgotten = ssal("run", "project.yaml", "--jobs", "1")
    refused(forgotten, "without 'zero'", "write 'zero' for 'nought' in data.classes")
    said = ssal("run", "project.yaml", other, "--jobs", "1")
    assert said.code == 3 and f"{filled}: 'nought' is called 'zero' by now" in said.log, said
    labels = Ledger(CELL / "ledger.sqlite").labels()
    assert "nought" not in labels.values() and set(labels.values()) <= {"zero", "one", "two", "three"}
    wrong = next(id for id, label in sorted(labels.items()) if label != "zero")
    said = ssal("ledger", "correct", "project.yaml", wrong, "Nought", other)
    assert said.code == 0 and f"is 'zero' from now on, which was {labels[wrong]!r}" in said.out, said
    for form in FORMS:
        assert ssal("questions", "project.yaml", other, "--as", form, "--to", form).code == 0
    assert ssal("ledger", "rename", "project.yaml", "one", "single", other).code == 0
    other = other.replace("one", "single")
    tasks = json.loads(Path("label-studio").read_text())
    for task, name in zip(tasks, ("one", "two"), strict=False):
        choice = {"type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": [name]}}
        task["annotations"] = [{"result": [choice]}]
    Path("tasks.json").write_text(json.dumps(tasks))
    said = ssal("answers", "project.yaml", "tasks.json", other)
    assert "2 new answers" in said.out and "'one' is called 'single' by now" in said.log, said
    for file in sorted(Path("folders/to_sort").iterdir())[:2]:
        file.rename(Path("folders/one") / file.name)
    said = ssal("answers", "project.yaml", "folders", other, "--who", "eve")
    assert "2 new answers" in said.out and "'one' is called 'single' by now" in said.log, said
    assert {one.answer.label for one in Ledger(CELL / "ledger.sqlite").said() if one.round == 2} == {"single", "two"}


def test_the_ledger_is_read_checked_and_taken_back(ssal: CommandLine) -> None:
    refused(ssal("ledger", "log", "project.yaml"), "nothing was answered yet")
    ssal("run", "project.yaml", "--jobs", "1")
    answer_csv(ssal, 0)
    said = ssal("ledger", "verify", "project.yaml")
    assert said.code == 0 and "10 rows, as they were written; last digest " in said.out
    lines = ssal("ledger", "log", "project.yaml").out.splitlines()
    assert lines[0].startswith("position\tevent\tid\tkind\tlabel\twho\tat") and len(lines) == 11
    assert "taken back: " in ssal("ledger", "undo", "project.yaml", "1").out
    refused(ssal("ledger", "undo", "project.yaml", "1"), "no answer stands at position 1")
    assert "1 image waits" in ssal("run", "project.yaml", "--jobs", "1").err
    said = ssal("ledger", "backup", "project.yaml", "kept/copy.sqlite")
    assert said.code == 0 and "kept/copy.sqlite: 11 rows, as they were written" in said.out, said
    assert Ledger(Path("kept/copy.sqlite")).said() == Ledger(CELL / "ledger.sqlite").said(), (
        "one file is a whole backup"
    )
    refused(ssal("ledger", "backup", "project.yaml", "kept/copy.sqlite"), "something is there already")
    with closing(sqlite3.connect(CELL / "ledger.sqlite", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE ledger SET label = 'zebra' WHERE position = 3")
    said = ssal("ledger", "verify", "project.yaml")
    assert said.code == 1 and "position 3 was changed, or a row before it" in said.out
    refused(ssal("ledger", "backup", "project.yaml", "damaged.sqlite"), "position 3 was changed", "nothing was written")
    assert not Path("damaged.sqlite").exists()


def test_nothing_is_handed_out_among_the_images(ssal: CommandLine) -> None:
    ssal("run", "project.yaml", "--jobs", "1")
    before = sorted(Path("pictures").rglob("*"))
    for form in ("csv", "folders", "label-studio"):
        told = refused(
            ssal("questions", "project.yaml", "--as", form, "--to", "pictures/new/out"), "where the images come from"
        )
        assert told.startswith("--to: pictures/new/out lies in pictures")
    told = refused(ssal("ledger", "backup", "project.yaml", "pictures/new/copy.sqlite"), "where the images come from")
    assert told.startswith("pictures/new/copy.sqlite lies in pictures")
    assert sorted(Path("pictures").rglob("*")) == before


@pytest.mark.parametrize("to", [f"{'x' * 300}.sqlite", "/proc/ssal", "/proc/ssal/deep/x", "recipe.yaml/x"])
def test_a_place_where_nothing_can_be_written_is_refused(ssal: CommandLine, to: str) -> None:
    Path("recipe.yaml").write_text("mine")
    ssal("run", "project.yaml", "--jobs", "1")
    answer_csv(ssal, 0)
    wanted = "it cannot be written", "ame another place"
    refused(ssal("ledger", "backup", "project.yaml", to), *wanted)
    ssal("run", "project.yaml", "--jobs", "1")
    for form in FORMS:
        refused(ssal("questions", "project.yaml", "--as", form, "--to", to), *wanted)
    refused(ssal("export", "project.yaml", "--to", to), *wanted)
    assert not list(Path().glob("*.unfinished")) and not list(Path().glob(".*.unfinished"))


def test_only_what_waits_for_an_answer_is_handed_out(ssal: CommandLine) -> None:
    typed = ("project.yaml", "labelling.asked_of_two=0.2", "--checkpoints", "elsewhere")
    ssal("run", *typed, "--jobs", "1")
    cell = Path("elsewhere/project/main/seed_0")
    images = {image["id"]: image for image in read_json(cell / "round_0/question/question.json")["images"]}
    true = {id: name_of(image["path"]) for id, image in images.items()}
    two, alone = ([id for id, image in images.items() if image["people"] == people] for people in (2, 1))

    def answer(who: str, said: dict[str, str], *words: str) -> str:
        Path("answers.csv").write_text("\n".join(["id,label", *(f"{id},{name}" for id, name in said.items())]) + "\n")
        taken = ssal("answers", typed[0], "answers.csv", *typed[1:], "--who", who, *words)
        assert taken.code == 0, taken
        return taken.out

    def handed_out(name: str) -> tuple[str, set[str]]:
        said = {form: ssal("questions", *typed, "--as", form, "--to", f"{name}_{form}").out for form in FORMS}
        with Path(f"{name}_csv").open(newline="") as file:
            ids = {row["id"] for row in csv.DictReader(file)}
        assert {file.stem.split()[-1] for file in Path(f"{name}_folders/to_sort").iterdir()} == ids
        assert {task["data"]["image_id"] for task in json.loads(Path(f"{name}_label-studio").read_text())} == ids
        counted = "1 image is" if len(ids) == 1 else f"{len(ids)} images are"
        assert all(told.startswith(f"{counted} in {name}_{form}: ") for form, told in said.items())
        return said["csv"], ids

    assert handed_out("all")[1] == set(true) and len(two) == 2 and len(alone) == 8
    wrong = next(name for name in ("nought", "one") if name != true[alone[0]])
    answer("ann", {id: true[id] for id in (*alone[:5], two[0])})
    answer("ben", {alone[0]: wrong})
    told, ids = handed_out("rest")
    assert ids == {alone[0], *alone[5:], *two}
    assert "ssal answers --decides" in told and "ssal answers --who NAME" in told
    assert answer("ann", {alone[1]: "cannot tell"}).startswith("1 new answer"), "she may change what she said"
    answer("ann", {id: true[id] for id in (*alone[5:], two[1])})
    answer("ben", {id: true[id] for id in two})
    assert handed_out("one")[1] == {alone[0]}
    answer("eve", {alone[0]: true[alone[0]]}, "--decides")
    for form in FORMS:
        told = refused(ssal("questions", *typed, "--as", form, "--to", f"none_{form}"), "no image waits for an answer")
        assert told.endswith("type ssal run project.yaml labelling.asked_of_two=0.2 --checkpoints elsewhere")
        assert not Path(f"none_{form}").exists()
    assert answer("ann", {alone[1]: true[alone[1]]}).startswith("1 new answer")
    assert ssal("run", *typed, "--jobs", "1").code == 3
    taken = {entry.id: (entry.label, entry.who) for entry in Ledger(cell / "ledger.sqlite").asked_in(0)}
    assert {id: label for id, (label, _) in taken.items()} == true and taken[alone[0]][1] == "eve"


def test_a_run_under_another_name_is_answered_by_repeating_what_was_typed(ssal: CommandLine) -> None:
    other, cell = ("project.yaml", "name=other", "acquisition.budget=20"), Path("checkpoints/other/main/seed_0")
    typed = " ".join(other)
    refused(ssal("questions", *other, "--to", "out.csv"), "no image waits for an answer", f"type ssal run {typed}")
    refused(ssal("ledger", "log", *other), f"type ssal run {typed}")
    refused(ssal("label", *other, "--no-open"), f"type `ssal run {typed}`")
    said = ssal("run", *other, "--jobs", "1")
    assert said.code == 3 and f"ssal label {typed}" in said.err, said
    assert "10 images are in out.csv" in ssal("questions", *other, "--to", "out.csv").out
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [f"{row['id']},{name_of(row['path'])}" for row in rows]
    Path("answers.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    said = ssal("answers", "project.yaml", "answers.csv", *other[1:])
    assert said.out == f"10 new answers from answers.csv; none waits any more: type ssal run {typed}\n", said
    assert "10 rows" in ssal("ledger", "backup", "project.yaml", "copy.sqlite", *other[1:]).out
    assert ssal("run", *other, "--jobs", "1").code == 3
    said = ssal("ledger", "correct", "project.yaml", rows[0]["id"], "cannot tell", *other[1:])
    assert f"ssal run {typed} goes on" in said.out, said
    assert ssal("ledger", "undo", "project.yaml", "21", *other[1:]).code == 0
    old = Ledger(cell / "ledger.sqlite").entries()[-1].label
    assert old and ssal("ledger", "rename", "project.yaml", old, "renamed", *other[1:]).code == 0
    assert not Path("checkpoints/project").exists()


def test_an_answer_of_a_finished_round_is_corrected_and_nothing_is_asked_again(ssal: CommandLine) -> None:
    run = ("run", "project.yaml", "--jobs", "1", "acquisition.budget=20")
    ssal(*run)
    answer_csv(ssal, 0)
    assert ssal(*run).code == 3
    ledger = Ledger(CELL / "ledger.sqlite")
    asked = question(1)
    first, second = sorted(ledger.labels())[:2]
    path, true = str(question(0)[first]["path"]), ledger.labels()[first]
    wrong = "one" if true != "one" else "two"
    position = next(one.position for one in ledger.said() if one.answer.id == first)
    refused(
        ssal("ledger", "undo", "project.yaml", str(position)), "round 0 has taken the answer", "ssal ledger correct"
    )
    for image, said, told in (
        (first, "on", "no class is called 'on'; did you mean 'one'?"),
        (first, "lynx", "without a class: none of the classes, cannot tell\n"),
        (first, "skipped", "'cannot tell' takes its label out of training"),
        (sorted(asked)[0], "one", "no image that a finished round has an answer for"),
        ("nowhere.png", "one", "ssal ledger log"),
    ):
        assert told in refused(ssal("ledger", "correct", "project.yaml", image, said)) + "\n"
    assert len(ledger.said()) == 10
    said = ssal("ledger", "correct", "project.yaml", path, wrong, "--who", "eve")
    assert f"{path} is {wrong!r} from now on, which was {true!r} since round 0" in said.out, said
    assert "nothing was written" in ssal("ledger", "correct", "project.yaml", first, wrong.upper()).out
    assert ssal("ledger", "correct", "project.yaml", second, "cannot tell").code == 0
    said = ssal(*run)
    assert said.code == 3 and "10 images wait for labels" in said.err and "train supervised on 7 labels" in said.log
    assert question(1).keys() == asked.keys() and ledger.bought() == 10
    assert ledger.labels()[first] == wrong and second not in ledger.labels() and second in ledger.answered()
    assert {entry.id: entry.who for entry in ledger.asked_in(0)}[first] == "eve"
    answer_csv(ssal, 1)
    assert ssal(*run).code == 0
    assert "train" not in ssal(*run).log
    rows = len(ledger.chain.rows())
    assert ssal("ledger", "correct", "project.yaml", path, true).code == 0
    said = ssal(*run)
    assert said.code == 0 and "train supervised on 15 labels" in said.log and len(ledger.chain.rows()) == rows + 1
    assert "train" not in ssal(*run).log, "it is finished again"
    ssal("ledger", "undo", "project.yaml", str(ledger.said()[-1].position))
    assert ledger.labels()[first] == wrong, "a correction that is taken back leaves what stood before"


def test_accuracy_is_the_last_learner_s_also_where_audited_images_are_gone_or_sorted(ssal: CommandLine) -> None:
    Path("project.yaml").write_text(RECIPE.replace("flip: false", "flip: false, test_fraction: 0.001"))
    for number in range(3):
        ssal("run", "project.yaml", "--jobs", "1")
        answer_csv(ssal, number)
    paths = {id: Path("pictures") / str(image["path"]) for n in range(3) for id, image in question(n).items()}
    gone, moved, *_ = sorted(Ledger(CELL / "ledger.sqlite").audited())
    paths[gone].unlink()
    folder = Path("pictures") / name_of(str(paths[moved]))
    folder.mkdir()
    paths[moved].rename(folder / paths[moved].name)
    said = ssal("run", "project.yaml", "--jobs", "1")
    assert said.code == 0, said
    assert "on 5 images drawn at random and never trained on, after 30 answers" in said.out
    (cell,) = cells_of(load(Path("project.yaml")), Path("checkpoints"))
    assert [(learned.round, learned.accuracy.n) for learned in outlook(cell).curve] == [(1, 5), (2, 5), (3, 5)]


def test_a_class_renamed_while_its_answers_wait_is_missed_at_once(ssal: CommandLine) -> None:
    """No round has taken an answer yet: without a look at those that wait, both names would be trained as classes."""
    ssal("run", "project.yaml", "--jobs", "1")
    answer_csv(ssal, 0)
    assert ssal("ledger", "rename", "project.yaml", "one", "uno").code == 0
    refused(ssal("run", "project.yaml", "--jobs", "1"), "without 'uno'", "write 'uno' for 'one' in data.classes")
    assert not Path("checkpoints/learners").exists()


def test_what_to_type_next_names_another_place_of_runs(ssal: CommandLine) -> None:
    elsewhere = ("--checkpoints", "else where")
    said = ssal("run", "project.yaml", "--jobs", "1", *elsewhere)
    assert said.code == 3 and "type ssal label project.yaml --checkpoints 'else where'; then" in said.err
    refused(ssal("ledger", "log", "project.yaml"), "type ssal run project.yaml")
    to_label = Path("else where/project/main/seed_0/round_0/to_label.csv")
    lines = [line + name_of(line.split(",")[1]) + "," for line in to_label.read_text().splitlines()[1:]]
    Path("answers.csv").write_text(
        "\n".join(["id,path,label,comment", *(line.replace(",,", ",", 1) for line in lines)])
    )
    said = ssal("answers", "project.yaml", "answers.csv", *elsewhere)
    assert said.code == 0 and "type ssal run project.yaml --checkpoints 'else where'" in said.out, said
