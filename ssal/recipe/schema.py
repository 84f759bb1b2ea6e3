"""JSON schema of recipes, for editors: completion, types and help at every key."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ssal import registry
from ssal.recipe.grid import KINDS
from ssal.recipe.skeleton import (
    FOLDER_NAME,
    NO_PRETEXT,
    SECTIONS,
    STRATEGIES,
    Acquisition,
    Compare,
    Draws,
    Head,
    section_model,
)


def schema() -> dict[str, Any]:
    """Return the JSON schema of a recipe, for editors: completion, types and help at every key."""
    sections: dict[str, Any] = {name: _section_schema(name) for name in SECTIONS}
    sections["signals"] = _closed(
        {name: _of(method.model, method.summary) for name, method in registry.methods("signal").items()}
    )
    parts = {name: _partial(part) for name, part in sections.items()}
    head = _of(Head, "")["properties"]
    arm = {"anyOf": [_closed({**parts, **_of(Draws, "")["properties"]}), {"type": "null"}]}
    arms = {"type": "object", "propertyNames": {"pattern": FOLDER_NAME}, "additionalProperties": arm}
    whole = {name: {"anyOf": [part, {"type": "null"}]} for name, part in parts.items()}
    compare = {"anyOf": [_of(Compare, Compare.__doc__ or ""), {"type": "null"}]}
    varied = {
        kind: {"description": help, "anyOf": [_closed(dict.fromkeys(parts, {"type": "object"})), {"type": "null"}]}
        for kind, help in KINDS.items()
    }
    root = _closed({**head, **whole, "compare": compare, "arms": {"anyOf": [arms, {"type": "null"}]}, **varied})
    shared: dict[str, Any] = {}
    _lift(root, shared)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ssal recipe",
        "required": ["name"],
        **root,
        "$defs": shared,
    }


def _lift(part: Any, shared: dict[str, Any]) -> None:
    """Move the definitions that pydantic leaves inside a part to the top, where their references point."""
    if isinstance(part, dict):
        shared |= part.pop("$defs", {})
        for value in [*part.values()]:
            _lift(value, shared)
    elif isinstance(part, list):
        for value in part:
            _lift(value, shared)


def _section_schema(section: str) -> dict[str, Any]:
    shape, help = SECTIONS[section], SECTIONS[section].model.__doc__ or ""
    if section == "acquisition":
        return _acquisition_schema(help)
    if not shape.kind:
        return _of(shape.model, help)
    variants = [_of(section_model(section, method), method.summary) for method in registry.methods(shape.kind).values()]
    if section == "pretext":
        variants.append(_of(section_model(section, None), help))
        variants[-1]["properties"]["method"] = {"const": NO_PRETEXT, "default": NO_PRETEXT}
    return {"description": help, "anyOf": variants}


def _acquisition_schema(help: str) -> dict[str, Any]:
    whole = _of(Acquisition, help)
    names = registry.methods("strategy")
    own_file = {"type": "string", "pattern": r"\.py:\w+$"}
    for key in STRATEGIES:
        whole["properties"][key]["anyOf"] = [{"enum": list(names)}, own_file]
    whole["allOf"] = [
        {
            "if": {"properties": {key: {"const": name}}, "required": [key]},
            "then": {"properties": {options: _of(method.model, method.summary)}},
        }
        for key, options in STRATEGIES.items()
        for name, method in names.items()
    ]
    return whole


def _of(model: type[BaseModel], help: str) -> dict[str, Any]:
    return {**model.model_json_schema(), "description": help}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _partial(section: dict[str, Any]) -> dict[str, Any]:
    """Return a section as the base or an arm may leave it: nothing is required, the other layer may hold it."""
    variants = {"anyOf": [_partial(variant) for variant in section["anyOf"]]} if "anyOf" in section else {}
    return {**{key: value for key, value in section.items() if key != "required"}, **variants}
