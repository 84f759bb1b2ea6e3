"""Label Studio, out: tasks with the model's suggestions as predictions, and the interface to answer them with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

from ssal.errors import BadInput, listing
from ssal.labelling.answers import CANNOT_TELL, NONE
from ssal.labelling.files.questions import Question, shown_path
from ssal.labelling.files.words import Words

FROM_NAME, TO_NAME = "choice", "image"
"""Names of the control that people answer with and of what it is about, in the labelling interface."""
ID = "image_id"
"""Where a task's data keep the image's id: JSON-MIN writes the task's own number over a key `id`."""
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def tasks_json(questions: Sequence[Question], image: Callable[[str], str], *, model_version: str = "ssal") -> str:
    """Return the tasks to import into Label Studio, the model's suggestion as each one's prediction.

    `image` gives by id what Label Studio shows: an address it can reach, or a data URI.
    """
    tasks = []
    for question in questions:
        data = {"image": image(question.id), ID: question.id, "path": shown_path(question.path)}
        task: dict[str, Any] = {"data": data, "predictions": []}
        if question.suggested is not None:
            result = {"id": f"{question.id}-suggested", "from_name": FROM_NAME, "to_name": TO_NAME, "type": "choices"}
            prediction: dict[str, Any] = {"model_version": model_version}
            if question.confidence is not None:
                prediction["score"] = round(question.confidence, 6)
            task["predictions"] = [prediction | {"result": [result | {"value": {"choices": [question.suggested]}}]}]
        tasks.append(task)
    return json.dumps(tasks, indent=1, ensure_ascii=False) + "\n"


def interface_xml(classes: Sequence[str]) -> str:
    """Return the labelling interface for these tasks: the image, a choice per class and the ones without a class.

    Raises BadInput for a class name that XML cannot hold.
    """
    words = Words(classes).without_label
    choices = [*classes, *(words[kind] for kind in (NONE, CANNOT_TELL) if kind in words)]
    if bad := [name for name in choices if _NO_XML.search(name)]:
        raise BadInput(f"data.classes: Label Studio cannot show the control characters in {listing(map(repr, bad))}")
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=TO_NAME, value="$image", zoom="true")
    control = {"name": FROM_NAME, "toName": TO_NAME, "choice": "single", "showInline": "true", "required": "true"}
    control_tag = ElementTree.SubElement(view, "Choices", control)
    for name in choices:
        ElementTree.SubElement(control_tag, "Choice", value=name)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
