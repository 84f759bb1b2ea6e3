"""Exports as Label Studio writes them, made from the tasks it was given and what people chose."""

from __future__ import annotations

from typing import Any

from ssal.labelling.answers import SHOWN

Person = int | str | dict[str, Any] | None


def annotation(choices: list[str] | None, person: Person = 1, minute: int = 0, **more: Any) -> dict[str, Any]:
    """Return an annotation; without `choices` the task was skipped."""
    result = {"id": "Dx_aB91ISN", "type": "choices", "value": {"choices": choices}, "origin": "manual"}
    at = f"2026-03-09T22:{minute:02}:08.728353Z"
    return {
        "id": 1001,
        "completed_by": person,
        "result": [result | {"to_name": "image", "from_name": "choice"}] if choices else [],
        "was_cancelled": choices is None,
        "ground_truth": False,
        "created_at": "2026-03-09T21:00:00.000000Z",
        "updated_at": at,
        "draft_created_at": None,
        "lead_time": 4.5,
        "prediction": {},
        "result_count": 0,
        "unique_id": "3bc9da85-967f-47a1-bfa8-410206e54cf9",
        "import_id": None,
        "last_action": None,
        "task": 87,
        "project": 29,
        "updated_by": 1,
        "parent_prediction": None,
        "parent_annotation": None,
        "last_created_by": None,
    } | more


def exported(task: dict[str, Any], number: int, *annotations: dict[str, Any]) -> dict[str, Any]:
    """Return a task of the full JSON export."""
    return {
        "id": number,
        "annotations": list(annotations),
        "file_upload": "0a1b2c3d-tasks.json",
        "drafts": [],
        "predictions": task["predictions"],
        "data": task["data"],
        "meta": {},
        "created_at": "2026-03-09T20:00:00.000000Z",
        "updated_at": "2026-03-09T22:00:00.000000Z",
        "inner_id": number,
        "total_annotations": sum(not one["was_cancelled"] for one in annotations),
        "cancelled_annotations": sum(one["was_cancelled"] for one in annotations),
        "total_predictions": len(task["predictions"]),
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "project": 29,
        "updated_by": 1,
        "comment_authors": [],
    }


def minimal(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what JSON-MIN makes of a task of the full export: one record per annotation that was not skipped."""
    records = []
    for one in task["annotations"] or [{}]:
        if one.get("was_cancelled"):
            continue
        by = one.get("completed_by", {})
        found = [result["value"]["choices"] for result in one.get("result", ())]
        pretty = [choices[0] if len(choices) == 1 else {"choices": choices} for choices in found]
        answer = {"choice": pretty[0] if len(pretty) == 1 else pretty} if found else {}
        about = {key: one.get(key) for key in ("created_at", "updated_at", "lead_time")}
        annotator = {"annotator": by.get("email") if isinstance(by, dict) else by, "annotation_id": one.get("id")}
        records.append(task["data"] | {"id": task["id"]} | answer | annotator | about)
    return records


def chosen(meaning: tuple[str, str | None]) -> list[str] | None:
    """Return what a person chooses to say (kind, label); None for skipping."""
    kind, label = meaning
    return None if kind == "skipped" else [label or SHOWN[kind]]
