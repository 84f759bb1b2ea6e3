"""Label Studio, in: people's annotations from its JSON and JSON-MIN exports."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ssal.errors import listing
from ssal.labelling.answers import SKIPPED, Answer
from ssal.labelling.files.json_list import elements
from ssal.labelling.files.label_studio_images import Images
from ssal.labelling.files.label_studio_tasks import FROM_NAME, ID
from ssal.labelling.files.questions import shown_path
from ssal.labelling.files.reading import Read, Reading
from ssal.labelling.files.words import Unclear, Words

_NEVER = datetime.min.replace(tzinfo=UTC)
_LONGEST = 1e9
"""Seconds beyond which a lead_time is none."""
_SHAPES: dict[type, str] = {dict: "an object", list: "a list"}
_OWN = {"image", "path", ID, "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}
"""Keys of a JSON-MIN record that hold no answer."""


def read_label_studio(
    path: Path,
    asked: Mapping[str, str],
    classes: Iterable[str],
    from_name: str | None = None,
    renamed: Mapping[str, str] | None = None,
    two: Container[str] = (),
    counts: Callable[[Answer], bool] | None = None,
) -> Read:
    """Return the answers in a JSON or JSON-MIN export about the images `asked` for, path by id.

    `from_name` is the control that people answered with; None stands for any for choices, and for `choice` in JSON-MIN.
    Who annotated twice meant the last by updated_at; people who differ are a problem, but for the images `two`, which
    two people are asked about. A cancelled annotation is skipped; one without a choice, or none, is no answer.
    Predictions, drafts and what `counts` is false of are left aside, and contradict nothing. `renamed` gives the name
    that a class has now by those that it had.
    """
    reading = Reading(path, asked, classes, renamed)
    export = Export(reading.words, Images(reading.asked), from_name)
    latest: dict[tuple[str, object], tuple[datetime, Answer | None, int, str]] = {}
    with reading.at(1):
        for line, task in elements(reading):
            number = task.get("id") if isinstance(task, dict) else None
            where = f"{path}:{line}" + (f": task {number}" if isinstance(number, int) else "")
            with reading.at(line, where):
                for id, person, at, answer in export.said(task):
                    if (before := latest.get((id, person))) is None or at >= before[0]:
                        latest[id, person] = at, answer, line, where
        export.check_control()
    for _, answer, line, where in latest.values():
        if answer is not None and (counts is None or counts(answer)):
            reading.heard(answer, line, where)
    return reading.read(two)


class Export:
    """Understands tasks of either shape."""

    def __init__(self, words: Words, images: Images, from_name: str | None) -> None:
        self._words, self._images, self._from_name = words, images, from_name
        self._controls: set[str] = set()
        """Names under which answers were found."""
        self._others: set[str] = set()
        """Names under which there might be some, where the control is missing."""

    def said(self, task: Any) -> list[tuple[str, object, datetime, Answer | None]]:
        """Return (image, person, when, answer) of every annotation of a task. Raises Unclear."""
        task = _of(dict, task, "a task")
        if "data" not in task and "annotations" not in task and "completions" not in task:
            return self._minimal(task)
        annotations = _of(list, task.get("annotations") or task.get("completions") or [], "annotations")
        if not annotations:
            return []
        data = _of(dict, task.get("data"), "data")
        id = self._images.find(data, task.get("file_upload"))
        return [self._annotation(id, _of(dict, annotation, "an annotation")) for annotation in annotations]

    def _annotation(self, id: str, annotation: dict[str, Any]) -> tuple[str, object, datetime, Answer | None]:
        """Understand one annotation of the full shape."""
        found: dict[str, list[str]] = {}
        for result in _of(list, annotation.get("result") or [], "result"):
            if isinstance(result, dict) and result.get("type") == "choices":
                name = result.get("from_name")
                found.setdefault(name if isinstance(name, str) else "", []).extend(_choices(result.get("value")))
        self._others |= found.keys()
        if self._from_name is not None:
            found = {name: choices for name, choices in found.items() if name == self._from_name}
        self._controls |= found.keys()
        if len(found) > 1:
            raise Unclear(f"answers under several controls ({listing(found)}); name one of them as from_name")
        skipped = annotation.get("was_cancelled") is True or annotation.get("skipped") is True
        return self._one(id, annotation, next(iter(found.values()), []), annotation.get("completed_by"), skipped)

    def _minimal(self, record: dict[str, Any]) -> list[tuple[str, object, datetime, Answer | None]]:
        """Understand a record of JSON-MIN, which is one annotation or, of a task without, none."""
        control = self._from_name or FROM_NAME
        if not record.keys() & {*_OWN, control}:
            got = f"one with the keys {listing(map(repr, record))}" if record else "one without any key"
            raise Unclear(
                f"expected an object of a JSON or JSON-MIN export of Label Studio, got {got}; export it again"
            )
        if control not in record:
            if record.get("annotation_id") is None:
                return []
            self._others |= record.keys() - _OWN
        else:
            self._controls.add(control)
        id = self._images.find(record, None)
        return [self._one(id, record, _choices(record.get(control)), record.get("annotator"), False)]

    def _one(
        self, id: str, annotation: dict[str, Any], choices: list[str], by: Any, skipped: bool
    ) -> tuple[str, object, datetime, Answer | None]:
        """Return what somebody said of an image; whoever is not named is a person of their own."""
        who, at = _who(by), _at(annotation.get("updated_at") or annotation.get("created_at"))
        if len(choices) > 1 and not skipped:
            raise Unclear(f"{len(choices)} choices ({listing(choices)}); an image is of one class: leave one")
        seconds = _seconds(annotation.get("lead_time"))
        when = "" if at == _NEVER else at.isoformat(timespec="seconds")
        answer = None
        if skipped:
            answer = Answer(id, SKIPPED, None, who, seconds, when)
        elif choices:
            answer = Answer(id, *self._words.meaning(choices[0].strip()), who, seconds, when)
        return id, who or object(), at, answer

    def check_control(self) -> None:
        """Raise Unclear where there are annotations, but none under the control that was looked for."""
        if self._others and not self._controls:
            others = listing(sorted(self._others), 20)
            raise Unclear(
                f"no answer stands under {self._from_name or FROM_NAME!r}; name as from_name one of: {others}"
            )


def _of(kind: type[dict] | type[list], value: Any, what: str) -> Any:
    if not isinstance(value, kind):
        raise Unclear(f"expected {what} of a JSON export of Label Studio to be {_SHAPES[kind]}, got {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    """Return a value as a message shows it; printing what is deeply nested may fail."""
    return _SHAPES.get(type(value)) or repr(value)


def _choices(value: Any) -> list[str]:
    """Return all choices that a value of either shape holds, each once."""
    found: list[Any] = []
    for one in value if isinstance(value, list) else [value]:
        choices = one.get("choices") if isinstance(one, dict) else one
        found += choices if isinstance(choices, list) else [choices]
    if odd := [choice for choice in found if not isinstance(choice, str | None)]:
        raise Unclear(f"expected a choice to be text, got {_shown(odd[0])}")
    return list(dict.fromkeys(choice for choice in found if choice and choice.strip()))


def _who(by: Any) -> str:
    """Return the person's e-mail address or number; the empty text where the export tells neither."""
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    return shown_path(str(by)) if isinstance(by, int | str) else ""


def _seconds(lead_time: Any) -> float | None:
    if lead_time is None:
        return None
    if isinstance(lead_time, bool) or not isinstance(lead_time, int | float) or not 0 <= lead_time < _LONGEST:
        raise Unclear(f"expected lead_time in seconds, got {_shown(lead_time)}")
    return float(lead_time)


def _at(time: Any) -> datetime:
    """Return a time in UTC; what has none comes before all others. Numbers are of Label Studio before 1.0."""
    if time is None:
        return _NEVER
    try:
        if isinstance(time, int | float):
            return datetime.fromtimestamp(time, UTC)
        at = datetime.fromisoformat(time)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise Unclear(f"expected a time such as 2026-01-31T12:00:00Z, got {_shown(time)}") from error
