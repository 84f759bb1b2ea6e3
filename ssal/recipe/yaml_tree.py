"""YAML with positions: every value knows the file, line and column it was written at, also after it was merged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from ssal.errors import BadInput

SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")}
TEXTS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "timestamp", "merge", "value")}
"""Recipes have no dates and no includes: what would be one in older YAML is the text that was written."""


@dataclass(frozen=True, order=True)
class Place:
    """Where something was written; line 0 is the command line."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return `file:line:column`, which editors and terminals make clickable."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


COMMAND_LINE = Place("command line")


@dataclass(frozen=True)
class Node:
    """One value: a scalar, a list of nodes, or nodes by key."""

    value: Any
    place: Place
    key_place: Place
    path: str

    def plain(self) -> Any:
        """Return the value without positions."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        return [child.plain() for child in self.value] if isinstance(self.value, list) else self.value

    def get(self, key: str) -> Node | None:
        """Return the node under `key`, if this is a mapping that has it."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def follow(self, keys: Sequence[int | str]) -> tuple[Node, tuple[int | str, ...]]:
        """Walk down as far as `keys` leads; return the node there and the keys that led nowhere."""
        node = self
        for done, key in enumerate(keys):
            inside = dict(enumerate(node.value)) if isinstance(node.value, list) else node.value
            if not isinstance(inside, dict) or key not in inside:
                return node, tuple(keys[done:])
            node = inside[key]
        return node, ()

    def named(self, key: str) -> str:
        """Return the dotted path of `key` in this mapping."""
        return f"{self.path}.{key}" if self.path else key


class Problems:
    """Collects everything that is wrong, to be told at once."""

    def __init__(self) -> None:
        """Start with none."""
        self.found: dict[str, Place] = {}
        self.unusable: set[Place] = set()
        """Where a value stood that could not be read; its absence is no second problem."""

    def add(self, place: Place, path: str, message: str) -> None:
        """Note one problem; the same one met again (every arm lies over the same base) counts once."""
        text = ": ".join(part for part in (str(place), path, message) if part)
        one_line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
        self.found.setdefault(one_line, place)

    def tell(self) -> None:
        """Raise BadInput with all problems in the order they were written, if there are any."""
        if self.found:
            raise BadInput("\n".join(sorted(self.found, key=lambda text: self.found[text])))


def overlay(base: Node, top: Node) -> Node:
    """Lay `top` over `base`: mappings merge key by key, anything else is replaced."""
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    merged = {key: overlay(base.value[key], node) if key in base.value else node for key, node in top.value.items()}
    return replace(base, value={**base.value, **merged})


def read(path: Path, problems: Problems) -> Node:
    """Read a YAML 1.2 mapping; duplicate keys become problems.

    Raises BadInput at once where the file cannot be read or is no YAML, since nothing after that can be told.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        byte = error.object[error.start]
        raise BadInput(f"{path}:{line}:{column}: expected UTF-8 text, got byte {byte:#04x}") from error
    except OSError as error:
        others = ", ".join(sorted(other.name for other in path.parent.glob("*.y*ml")))
        reason = error.strerror or type(error).__name__
        reason += "; type the recipe that made this folder" if path.is_dir() else ""
        raise BadInput(f"{path}: cannot be read: {reason}" + (f" (beside it: {others})" if others else "")) from error
    root = parse(text, Place(str(path), 1, 1), "", problems)
    if not isinstance(root.value, dict):
        raise BadInput(f"{root.place}: expected keys and values (name: …, seeds: …), got {show(root.plain())}")
    return root


def read_override(text: str, problems: Problems) -> Node | None:
    """Read `key.path=value`, the value as YAML; return it as a mapping, or None after noting a problem."""
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        problems.add(COMMAND_LINE, "", f"{text!r}: expected key.path=value, as in learner.steps=600")
        return None
    try:
        node = parse(value, COMMAND_LINE, ".".join(keys), problems)
    except BadInput as error:
        problems.add(COMMAND_LINE, path, str(error).removeprefix(f"{COMMAND_LINE}: "))
        return None
    for depth in range(len(keys) - 1, -1, -1):
        node = Node({keys[depth]: node}, COMMAND_LINE, COMMAND_LINE, ".".join(keys[:depth]))
    return node


def parse(text: str, start: Place, path: str, problems: Problems) -> Node:
    """Turn YAML text into a Node; raises BadInput with the position of a syntax error."""

    def place(mark: Any) -> Place:
        return Place(start.file, mark.line + 1, mark.column + 1) if start.line else start

    try:
        yaml = YAML(typ="safe", pure=True)
        root = yaml.compose(text)
        return Node(None, start, start, path) if root is None else _convert(yaml, root, place, path, problems)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise BadInput(f"{place(mark) if mark else start}: no valid YAML: {what}") from error
    except ReaderError as error:
        before = text[: error.position]
        at = Place(start.file, before.count("\n") + 1, error.position - before.rfind("\n")) if start.line else start
        raise BadInput(f"{at}: no valid YAML: the character {text[error.position]!r} is not allowed") from error
    except (YAMLError, RecursionError) as error:
        raise BadInput(f"{start}: no valid YAML: {str(error).splitlines()[0]}") from error


def _convert(
    yaml: YAML, node: Any, place: Callable[[Any], Place], path: str, problems: Problems, above: tuple[int, ...] = ()
) -> Node:
    """Return the Node of a composed YAML node; what cannot be converted is noted and stands as null."""
    at = place(node.start_mark)
    value: Any = None
    if id(node) in above:
        problems.add(at, path, "this alias stands inside what it stands for; write the value out")
        problems.unusable.add(at)
    elif isinstance(node, MappingNode):
        value = {}
        for key_node, child in node.value:
            key, key_at = key_node.value, place(key_node.start_mark)
            here = f"{path}.{key}" if path else str(key)
            if not isinstance(key_node, ScalarNode) or key_node.tag not in TEXTS:
                got = show(_scalar(yaml, key_node)) if isinstance(key_node, ScalarNode) else "a list or keys and values"
                problems.add(key_at, path, f"expected a word as key, got {got}")
            elif key in value:
                problems.add(key_at, here, f"this key stands twice (first at {value[key].key_place}); remove one")
            else:
                inner = _convert(yaml, child, place, here, problems, (*above, id(node)))
                empty = child.start_mark.index == child.end_mark.index  # YAML places these at what comes next
                value[key] = replace(inner, key_place=key_at, place=key_at if empty else inner.place)
    elif isinstance(node, SequenceNode):
        inside = (*above, id(node))
        value = [_convert(yaml, part, place, f"{path}[{i}]", problems, inside) for i, part in enumerate(node.value)]
    elif node.tag in SCALARS | TEXTS:
        value = _scalar(yaml, node)
        if isinstance(value, float) and not math.isfinite(value):
            problems.add(at, path, f"expected a finite number, got {node.value}")
            problems.unusable.add(at)
            value = None
    else:
        problems.add(at, path, f"the tag {node.tag} is not allowed in a recipe; write plain values")
        problems.unusable.add(at)
    return Node(value, at, at, path)


def _scalar(yaml: YAML, node: Any) -> Any:
    if node.tag not in SCALARS:
        return node.value
    try:
        return yaml.constructor.construct_object(node)
    except ValueError:
        return node.value


def show(value: Any) -> str:
    """Return a value the way a recipe writes it, cut to one line."""
    if isinstance(value, dict | list):
        return ("a mapping" if isinstance(value, dict) else "a list") if value else ("{}" if value == {} else "[]")
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
