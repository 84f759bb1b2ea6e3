"""From nodes to models: each section with the options of the method it names, every problem told with its place."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails

from ssal import registry
from ssal.errors import BadInput, nearest
from ssal.recipe.skeleton import NO_PRETEXT, SECTIONS, STRATEGIES, section_model
from ssal.recipe.yaml_tree import Node, Problems, show
from ssal.registry import Method

EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "a smaller integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "none_required": "null",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} in the list",
    "too_long": "at most {max_length} in the list",
    "string_pattern_mismatch": "letters, digits, '.', '_' and '-' that can name a folder",
}
"""pydantic's kind of error -> what was expected, in a recipe's words."""


def filled(node: Node) -> Node:
    """Return `node`, or an empty mapping where only the key was written."""
    return replace(node, value={}) if node.value is None else node


def fill(model: type[BaseModel], node: Node, what: str, problems: Problems, partial: bool = False) -> BaseModel | None:
    """Return `node` as a model, or None after noting every problem in it; `partial`: keys may be missing.

    With nothing worse than misspelt keys, the rest is returned so that later checks can look at it too.
    """
    plain = filled(node).plain()
    try:
        return model.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        errors = error.errors(include_url=False)
    by_place: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for one in errors:
        by_place.setdefault(_inside(node, one), []).append(one)
    for place, group in by_place.items():
        if node.follow(place)[0].place in problems.unusable:
            continue
        if group[0]["type"] != "missing":
            _note(node.follow(place)[0], group, model, what, problems)
        elif not partial:
            about = model.model_fields[str(group[0]["loc"][-1])].description if len(group[0]["loc"]) == 1 else ""
            key = str(group[0]["loc"][-1])
            text = f"this key is missing ({about.rstrip('.')})" if about else "this key is missing"
            if isinstance(group[0]["loc"][-1], int):
                text = f"the list is too short: its value number {int(key) + 1} is missing"
            problems.add(node.key_place, node.follow(place)[0].named(key), text)
    if all(one["type"] == "extra_forbidden" and len(one["loc"]) == 1 for one in errors):
        known = {key: value for key, value in plain.items() if key in model.model_fields}
        return model.model_validate_json(json.dumps(known))
    return None


def _inside(node: Node, error: ErrorDetails) -> tuple[int | str, ...]:
    """Return the keys to the value an error is about, without the names pydantic gives to parts of unions."""
    loc, found = error["loc"], list[int | str]()
    for part in loc:
        found += [] if node.follow([*found, part])[1] else [part]
    return loc if error["type"] == "missing" else tuple(found)


def _note(node: Node, group: list[ErrorDetails], model: type[BaseModel], what: str, problems: Problems) -> None:
    first = group[0]
    if first["type"] == "extra_forbidden":
        key, keys = str(first["loc"][-1]), list(model.model_fields)
        hint = nearest(key, keys) or (f" (keys: {', '.join(keys)})" if keys else " (it has none)")
        problems.add(node.key_place, node.path, f"no such key for {what}{hint}")
        return
    wanted = [EXPECTED[one["type"]].format(**one.get("ctx", {})) for one in group if one["type"] in EXPECTED]
    choices = re.findall(r"'([^']*)'", str(first.get("ctx", {}).get("expected", "")))
    hint = nearest(node.value, choices) if isinstance(node.value, str) else ""
    if wanted:
        text = f"expected {' or '.join(dict.fromkeys(wanted))}, got {show(node.plain())}{hint}"
    else:
        text = f"{first['msg']}, got {show(node.plain())}"
    problems.add(node.place, node.path, text)


def fill_section(name: str, node: Node, problems: Problems, partial: bool = False) -> BaseModel | None:
    """Return a section with the options of the method it names, or None after noting what is wrong."""
    shape, node = SECTIONS[name], filled(node)
    if not shape.kind:
        return fill(shape.model, node, name, problems, partial)
    fixed = shape.model.model_fields
    named = node.get(shape.switch) or replace(node, value=fixed[shape.switch].default)
    if named.value == NO_PRETEXT and name == "pretext":
        return fill(shape.model, node, "pretext 'none'", problems, partial)
    if isinstance(named.value, str) and (method := find(shape.kind, named, problems)):
        return fill(section_model(name, method), node, f"{shape.kind} {method.name!r}", problems, partial)
    if isinstance(node.value, dict):  # whose options the other keys are is not known
        node = replace(node, value={key: value for key, value in node.value.items() if key in fixed})
    fill(shape.model, node, name, problems, partial)
    return None


def find(kind: str, node: Node, problems: Problems, folder: Path | None = None) -> Method | None:
    """Return the method a value names, or None after noting that there is none."""
    try:
        if kind != "strategy" and ".py:" in node.value:
            raise BadInput(f"a file of your own may hold a strategy, not a {kind}; put it into the package's folder")
        method = registry.find(kind, located(node.value, folder) if folder else node.value)
        if ".py:" in node.value:  # the package's own methods are tested
            method.model.model_json_schema()
        return method
    except BadInput as error:
        also = f"; or {NO_PRETEXT}, which trains no encoder" if kind == "pretext" else ""
        problems.add(node.place, node.path, f"{error}{also}")
    except (PydanticUserError, NameError, TypeError) as error:
        problems.add(node.place, node.path, f"its options cannot stand in a recipe: {str(error).splitlines()[0]}")
    return None


def located(name: str, folder: Path) -> str:
    """Return `file.py:function` with the file beside the recipe or in the current directory made absolute."""
    file, colon, function = name.rpartition(".py:")
    if not colon:
        return name
    places = [(base / f"{file}.py").absolute() for base in (folder, Path.cwd())]
    for place in places:
        if os.path.isfile(place):  # where Path.is_file raises for what cannot be a path at all, this is false
            return f"{place}:{function}"
    raise BadInput(f"there is no file {' or '.join(dict.fromkeys(map(str, places)))}")


@dataclass(frozen=True)
class Strategy:
    """What a key of acquisition names: as registry.find takes it, its options, and these as JSON and as written."""

    name: str
    options: dict[str, Any]
    record: dict[str, Any]
    needs: dict[str, Node]
    """Signal -> the value in the recipe that brings the need for it: the strategy, or a wrapper's child."""


def fill_strategy(key: str, section: Node, folder: Path, problems: Problems) -> Strategy | None:
    """Return the strategy that `key` of acquisition names, or None after noting what is wrong with it."""
    named = section.get(key) or replace(section, value=SECTIONS["acquisition"].model.model_fields[key].default)
    if not isinstance(named.value, str) or (method := find("strategy", named, problems, folder)) is None:
        return None
    node = section.get(STRATEGIES[key]) or replace(section, value={}, path=section.named(STRATEGIES[key]))
    model = fill(method.model, node, f"strategy {method.name!r}", problems)
    if model is None:
        return None
    options, needs = dict(model), dict.fromkeys(method.needs, named)
    if method.children:
        chosen, written = options[method.children], node.get(method.children) or named
        weighed = isinstance(chosen, dict)
        at = written.value if isinstance(written.value, dict) else dict.fromkeys(method.children_in(options), written)
        known = registry.methods("strategy").values()
        can = ", ".join(one.name for one in known if one.returns == "scores" and not one.children)
        for name in at:
            child = replace(at[name], value=name, place=at[name].key_place if weighed else at[name].place)
            found = find("strategy", child, problems, folder)
            if found and (found.returns != "scores" or found.children):
                what = f"{name!r} gives no scores of its own, so it cannot be combined (those that can: {can})"
                problems.add(child.place, child.path, what)
            if not found:
                return None
            needs = {**dict.fromkeys(found.needs, child), **needs}
            if weighed and chosen[name] < 0:
                problems.add(at[name].place, at[name].path, f"expected at least 0, got {show(at[name].plain())}")
        if weighed and not any(chosen.values()):
            path = f"{node.path}.{method.children}"
            problems.add(node.place, path, "expected a strategy with a weight above 0, as in {margin: 1}")
        places = {name: located(name, folder) for name in at}
        options[method.children] = (
            {places[name]: weight for name, weight in chosen.items()} if weighed else places[chosen]
        )
    needs.pop("child_scores", None)
    return Strategy(located(named.value, folder), options, model.model_dump(mode="json"), needs)


def fill_signals(node: Node, strategies: Iterable[Strategy | None], problems: Problems) -> dict[str, BaseModel] | None:
    """Return the options of every signal source that is named or needed, or None after noting what is wrong.

    Options that the recipe does not write are the source's defaults, or what a source that needs it brings for it.
    """
    node = filled(node)
    if not isinstance(node.value, dict):
        problems.add(node.place, node.path, f"expected signal sources and their options, got {show(node.plain())}")
        return None
    found: dict[str, BaseModel | None] = {}
    for name, child in node.value.items():
        method = find("signal", replace(child, value=name, place=child.key_place), problems)
        found[name] = fill(method.model, child, f"signal {name!r}", problems) if method else None
    for strategy in strategies:
        for need, at in (strategy.needs if strategy else {}).items():
            try:
                sources = registry.sources_of([need])
                for name, source in sources.items():
                    found.setdefault(name, source.model())
                for source in sources.values():
                    for name, brought in source.traits["brings"].items():
                        if model := found[name]:
                            new = {key: value for key, value in brought.items() if key not in model.model_fields_set}
                            found[name] = model.model_copy(update=new)
            except BadInput:
                problems.add(at.place, at.path, f"{at.value!r} needs {need}, which no signal source provides")
    complete = {name: model for name, model in found.items() if model is not None}
    return complete if len(complete) == len(found) else None
