"""Label Studio: tasks out, annotations in, in both shapes that it exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from answer_files import ASKED, CLASSES, IDS, QUESTIONS, SAID, meant, said, written
from label_studio_exports import annotation, chosen, exported, minimal

from ssal.errors import BadInput
from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE, SKIPPED, Answer
from ssal.labelling.files.label_studio_answers import read_label_studio
from ssal.labelling.files.label_studio_tasks import interface_xml, tasks_json
from ssal.labelling.files.questions import Question
from ssal.labelling.files.reading import Read

A, B, C = IDS[:3]
TASKS = json.loads(tasks_json(QUESTIONS, lambda id: f"/data/local-files/?d={ASKED[id]}"))
BY_ID = {task["data"]["image_id"]: task for task in TASKS}


def read(folder: Path, value: Any, from_name: str | None = None, asked: dict[str, str] = ASKED) -> Read:
    text = value if isinstance(value, str | bytes) else json.dumps(value, indent=2, ensure_ascii=False)
    return read_label_studio(written(folder / "a.json", text), asked, CLASSES, from_name)


def one(*annotations: dict[str, Any], id: str = A) -> dict[str, Any]:
    return exported(BY_ID[id], 87, *annotations)


def problems(read: Read) -> list[str]:
    """Return the problems of a file, from which nothing can be taken, without its name."""
    assert read.answers == {}
    return [text.partition("a.json:")[2] for text in read.problems]


def test_tasks_carry_the_model_s_suggestion_and_the_id() -> None:
    (first, second) = json.loads(
        tasks_json([Question(A, "ä/1.png", "cats", 0.25), QUESTIONS[1]], "http://x/{}".format, model_version="round 3")
    )
    assert first["data"] == {"image": f"http://x/{A}", "image_id": A, "path": "ä/1.png"}
    (prediction,) = first["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("round 3", 0.25)
    (result,) = prediction["result"]
    assert result["value"] == {"choices": ["cats"]} and result["type"] == "choices"
    view = ElementTree.fromstring(interface_xml(CLASSES))
    (control,), (image,) = view.iter("Choices"), view.iter("Image")
    assert (result["from_name"], result["to_name"]) == (control.get("name"), image.get("name"))
    assert control.get("toName") == image.get("name") and image.get("value") == "$image"
    assert [choice.get("value") for choice in control] == [*CLASSES, "none of the classes", "cannot tell"]
    assert second["predictions"] == []


def test_the_interface_shows_a_class_once_and_no_class_that_xml_cannot_hold() -> None:
    view = ElementTree.fromstring(interface_xml(["Cannot tell", "a\n<b>"]))
    assert [choice.get("value") for choice in view.iter("Choice")] == ["Cannot tell", "a\n<b>", "none of the classes"]
    with pytest.raises(BadInput, match=r"data.classes: Label Studio cannot show the control characters in 'a\\x01'"):
        interface_xml(["a\1"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_was_written_and_answered_comes_back(tmp_path: Path, encoding: str) -> None:
    tasks = [
        exported(task, number, *([annotation(chosen(SAID[id]))] if id in SAID else []))
        for number, (id, task) in enumerate(BY_ID.items())
    ]
    for indent in (None, 2):
        assert said(read(tmp_path, json.dumps(tasks, indent=indent).encode(encoding))) == SAID
    records = [record for task in tasks for record in minimal(task)]
    shown = {id: meaning for id, meaning in SAID.items() if meaning != (SKIPPED, None)}
    assert said(read(tmp_path, json.dumps(records, ensure_ascii=False).encode(encoding))) == shown
    assert said(read(tmp_path, TASKS)) == said(read(tmp_path, [])) == said(read(tmp_path, " [ ] \n")) == {}
    assert said(read(tmp_path, one(annotation(["cats"])))) == {A: (LABEL, "cats")}, (
        "one task is a file in cloud storage"
    )


def test_who_when_and_how_long(tmp_path: Path) -> None:
    user = {"id": 7, "email": "ann@example.org", "first_name": "", "last_name": ""}
    at = "2026-03-09T22:05:08+00:00"
    for person, who in ((user, "ann@example.org"), (12, "12"), ("bob", "bob"), (None, ""), ({"id": 7}, "7")):
        task = one(annotation(["cats"], person, 5))
        assert read(tmp_path, [task]).answers == {A: Answer(A, LABEL, "cats", who, 4.5, at)}
        who = "" if person == {"id": 7} else who  # JSON-MIN gives a user by e-mail address alone
        assert read(tmp_path, minimal(task)).answers == {A: Answer(A, LABEL, "cats", who, 4.5, at)}
    skipped = one(annotation(None, 3, lead_time=None, updated_at="2026-03-09T22:05:08+02:00"))
    assert read(tmp_path, [skipped]).answers == {A: Answer(A, SKIPPED, None, "3", None, "2026-03-09T20:05:08+00:00")}
    bare = one(annotation(["cats"], updated_at=None, created_at=None))
    assert read(tmp_path, [bare]).answers == {A: Answer(A, LABEL, "cats", "1", 4.5)}
    old = {"id": 1, "data": BY_ID[A]["data"], "completions": [{"skipped": True, "created_at": 1_600_000_000}]}
    assert read(tmp_path, [old]).answers == {A: Answer(A, SKIPPED, at="2020-09-13T12:26:40+00:00")}


def test_the_last_answer_of_one_person_counts(tmp_path: Path) -> None:
    answers = [annotation(["Dogs"], 1, 9), annotation(["cats"], 1, 3), annotation(None, 1, 5)]
    for order in (answers, answers[::-1]):
        assert said(read(tmp_path, [one(*order)])) == {A: (LABEL, "Dogs")}
        assert said(read(tmp_path, [one(answer) for answer in order])) == {A: (LABEL, "Dogs")}, "imported several times"
        assert said(read(tmp_path, minimal(one(*order)))) == {A: (LABEL, "Dogs")}
    assert said(read(tmp_path, [one(*answers, annotation([], 1, 20))])) == {}, "the choice was taken back"


def test_people_who_differ_are_a_problem_unless_they_agree(tmp_path: Path) -> None:
    for shape in (lambda task: [task], minimal):
        agree = shape(one(annotation(["cats"], 1), annotation(["cats"], "bob")))
        assert said(read(tmp_path, agree)) == {A: (LABEL, "cats")}
        differ = shape(one(annotation(["cats"], 1), annotation(["Dogs"], "bob")))
        (problem,) = problems(read(tmp_path, differ))
        assert problem.endswith(f"image {A} has two labels, 'cats' by 1 and 'Dogs' by bob; leave the right one alone")
        strangers = shape(one(annotation(["cats"], None), annotation(["none of the classes"], None, 5)))
        assert len(problems(read(tmp_path, strangers))) == 1, "without names they may be two people"
        found = read_label_studio(written(tmp_path / "b.json", json.dumps(differ)), ASKED, CLASSES, two={A})
        assert not found.problems and (found.answers[A].who, found.answers[A].label) == ("1", "cats")
        assert [(other.who, other.label) for other in found.seconded] == [("bob", "Dogs")], "the image is asked of two"
        found = read_label_studio(written(tmp_path / "b.json", json.dumps(strangers)), ASKED, CLASSES, two={A})
        assert len(found.problems) == 1 and not found.seconded
    skips = [annotation(None, 1, 9), annotation(["cats"], 2, 3)]
    assert said(read(tmp_path, [one(*skips)])) == said(read(tmp_path, [one(*skips[::-1])])) == {A: (LABEL, "cats")}


@pytest.mark.parametrize(
    "image",
    [
        ASKED[A],
        f"/data/local-files/?d=pictures/{ASKED[A].replace(' ', '%20')}",
        "/data/upload/29/0a1b2c3d-picture_0.png",
        "https://example.org/bucket/picture%200.png?X-Amz-Signature=ab/12",
        "C:\\photographs\\train\\unlabelled\\picture 0.png",
        f"s3://bucket/{A}.jpg",
        f"/data/upload/29/0a1b2c3d-cats_0.97_{A}.png",
    ],
)
def test_a_task_without_an_id_is_known_by_its_file(tmp_path: Path, image: str) -> None:
    for data in (
        {"image": image},
        {"photograph": image, "image": "data:image/png;base64,AA=="},
        {"image_id": None, "x": image},
    ):
        task = one(annotation(["cats"])) | {"data": data, "file_upload": None}
        assert said(read(tmp_path, [task])) == {A: (LABEL, "cats")}
        assert said(read(tmp_path, minimal(task))) == {A: (LABEL, "cats")}
    task = one(annotation(["cats"])) | {"data": {"image": "x"}, "file_upload": "0a1b2c3d-picture_0.png"}
    assert said(read(tmp_path, [task])) == {A: (LABEL, "cats")}
    task = one(annotation(["cats"])) | {"data": {"id": A}}
    assert said(read(tmp_path, [task])) == {A: (LABEL, "cats")}
    asked = ASKED | {"f" * 16: "other/picture 0.png"}
    task = one(annotation(["cats"])) | {"data": {"image": "picture 0.png"}}
    (problem,) = problems(read(tmp_path, [task], asked=asked))
    assert "2: task 87: expected the image's id as 'image_id' in the task's data, or the name of one file" in problem


def test_every_problem_is_told_with_its_line_and_task(tmp_path: Path) -> None:
    stranger = one(annotation(["cats"])) | {"data": {"image_id": "0" * 16}, "id": 5}
    tasks = [
        one(annotation(["cats"], id=1), id=C),
        one(annotation(["catz"])),
        stranger,
        one(annotation(["cats", "Dogs"]), id=B) | {"id": 6},
    ]
    text = "[\n" + ",\n\n".join(json.dumps(task) for task in tasks) + "]"
    found = read(tmp_path, text)
    assert meant(found.answers) == {C: (LABEL, "cats")}
    assert [problem.partition("a.json:")[2].partition(";")[0] for problem in found.problems] == [
        "4: task 87: no class is called 'catz'",
        f"6: task 5: image {'0' * 16!r} was not asked for",
        "8: task 6: 2 choices (cats, Dogs)",
    ]
    assert found.problems == read(tmp_path, text.replace("'", "'")).problems
    two = minimal(one(annotation(["cats", "Dogs"])))
    assert problems(read(tmp_path, two)) == ["2: task 87: 2 choices (cats, Dogs); an image is of one class: leave one"]


def test_several_controls(tmp_path: Path) -> None:
    answer = annotation(["cats"])
    answer["result"].append(answer["result"][0] | {"from_name": "quality", "value": {"choices": ["good"]}})
    answer["result"].append({"type": "rectanglelabels", "from_name": "box", "value": {"rectanglelabels": ["Dogs"]}})
    assert "answers under several controls (choice, quality); name one" in problems(read(tmp_path, [one(answer)]))[0]
    assert said(read(tmp_path, [one(answer)], "choice")) == {A: (LABEL, "cats")}
    assert problems(read(tmp_path, [one(answer)], "tag")) == [
        "1: no answer stands under 'tag'; name as from_name one of: choice, quality"
    ]
    record = minimal(one(annotation(["cats"])))[0]
    record["tag"] = record.pop("choice")
    assert problems(read(tmp_path, [record])) == ["1: no answer stands under 'choice'; name as from_name one of: tag"]
    assert said(read(tmp_path, [record], "tag")) == {A: (LABEL, "cats")}


@pytest.mark.parametrize(
    "content,message",
    [
        ("", "1: expected a JSON export of Label Studio; it is damaged (Expecting value: line 1 column 1 (char 0))"),
        ('[\n{"id": 1},\n', "3: expected a JSON export of Label Studio; it is damaged"),
        ('[{"id": 1}', "1: expected a whole JSON export of Label Studio, got a damaged end"),
        ('[{"id": 1}]\n]', "1: expected a whole JSON export of Label Studio, got a damaged end"),
        ('{"id": 1}{}', "1: expected a whole JSON export of Label Studio, got a damaged end"),
        ("{}", "1: expected an object of a JSON or JSON-MIN export of Label Studio, got one without any key; export"),
        (
            '[{"a": {"id": 1}}]',
            "1: expected an object of a JSON or JSON-MIN export of Label Studio, got one with the keys 'a'",
        ),
        ("[3]", "1: expected a task of a JSON export of Label Studio to be an object, got 3"),
        ("[" * 100_000, "1: expected a JSON export of Label Studio; it is damaged"),
        (b"[\xff]", "1: expected JSON in UTF-8, as Label Studio exports it; export it again"),
        ("[" + "9" * 5000 + "]", "1: expected a JSON export of Label Studio; it is damaged"),
        ('[{"annotations": [{}]}]', "1: expected data of a JSON export of Label Studio to be an object, got None"),
        (
            '[{"annotations": {"a": 1}}]',
            "1: expected annotations of a JSON export of Label Studio to be a list, got an obj",
        ),
    ],
)
def test_files_that_are_no_export(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert problems(read(tmp_path, content))[0].startswith(message)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"lead_time": -1}, "expected lead_time in seconds, got -1"),
        ({"lead_time": True}, "expected lead_time in seconds, got True"),
        ({"lead_time": 10**400}, "expected lead_time in seconds, got 1000"),
        ({"lead_time": [[]]}, "expected lead_time in seconds, got a list"),
        ({"updated_at": "yesterday"}, "expected a time such as 2026-01-31T12:00:00Z, got 'yesterday'"),
        ({"updated_at": {"a": 1}}, "expected a time such as 2026-01-31T12:00:00Z, got an object"),
        ({"updated_at": 1e300}, "expected a time such as 2026-01-31T12:00:00Z, got 1e+300"),
        ({"result": 5}, "expected result of a JSON export of Label Studio to be a list, got 5"),
        ({"result": [{"type": "choices", "value": 5}]}, "expected a choice to be text, got 5"),
    ],
)
def test_annotations_that_cannot_be(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (problem,) = problems(read(tmp_path, [one(annotation(["cats"], **change))]))
    assert problem.startswith(f"2: task 87: {message}")


def test_what_says_nothing_is_no_answer(tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [{"result": {}}, {"result": None}, {"result": [3, {"type": "choices"}]}, {"result": []}]
    for change in odd:
        assert said(read(tmp_path, [one(annotation(["cats"], **change))])) == {}
    words = [
        one(annotation([word]), id=id) for id, word in zip(IDS, ("CANNOT tell", " none of the classes"), strict=False)
    ]
    assert said(read(tmp_path, words)) == {A: (CANNOT_TELL, None), B: (NONE, None)}
