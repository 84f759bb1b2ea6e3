"""Grids and zips: lists of values in place of one, and the condition that each combination of them makes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from ssal.errors import nearest
from ssal.recipe.yaml_tree import Node, Problems, overlay, show

KINDS = {
    "grid": "every combination of these lists is a condition",
    "zip": "the first values of these lists are one condition, the second ones the next",
}
"""Key of a recipe -> what it means."""
EXAMPLE = "as in grid: {acquisition: {query_size: [5, 20]}}"


def conditions(root: Node, sections: tuple[str, ...], problems: Problems) -> dict[str, Node]:
    """Return the name of every condition and what it lays over the recipe; where nothing is varied, one called ''."""
    axes: list[list[tuple[str, Node]]] = []
    for kind in KINDS:
        node = root.get(kind)
        if node is None or node.value is None:
            continue
        lists = list(_lists(node, sections, problems))
        if kind == "grid":
            axes += [list(zip(_names(key, values), _layers(keys, values), strict=True)) for key, keys, values in lists]
        elif lists:
            axes.append(_zipped(node, lists, problems))
    found: dict[str, Node] = {}
    for levels in product(*axes):
        name = "-".join(level for level, _ in levels)
        layer = Node({}, root.place, root.place, "")
        for _, node in levels:
            layer = overlay(layer, node)
        if name in found:
            where = next(root.value[kind] for kind in KINDS if root.get(kind))
            problems.add(where.place, where.path, f"two conditions are called {name!r}; give each value once")
        found[name] = layer
    return found


def _lists(
    node: Node, sections: tuple[str, ...], problems: Problems, keys: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...], Node]]:
    """Yield the last key of every list below `node`, all keys that lead to it, and the list."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            if not keys and key not in sections:
                hint = nearest(key, sections) or f" (sections: {', '.join(sections)})"
                problems.add(child.key_place, child.path, f"expected a section of the recipe{hint}")
                continue
            yield from _lists(child, sections, problems, (*keys, key))
        if node.value or not keys:
            return
    if isinstance(node.value, list) and node.value and len(keys) > 1:
        yield keys[-1], keys, node
    else:
        problems.add(node.place, node.path, f"expected a list of values, {EXAMPLE}, got {show(node.plain())}")


def _names(key: str, values: Node) -> list[str]:
    """Return what each value's level is called: a name as it is, anything else after its key.

    Mappings and lists go by their place, in words that no number's name has.
    """
    names = []
    for number, node in enumerate(values.value):
        value: Any = node.plain()
        placed = f"{key}_value_{number}"
        if isinstance(value, dict | list):
            text = placed
        elif isinstance(value, str):
            text = value
        else:
            text = f"{key}_{show(value)}"
        names.append(re.sub(r"[^A-Za-z0-9._]+", "_", text).strip("._") or placed)
    return names


def _layers(keys: tuple[str, ...], values: Node) -> list[Node]:
    """Return a layer of the recipe for each value of the list that stands under `keys`."""
    layers = []
    for node in values.value:
        for key in reversed(keys):
            node = replace(node, value={key: node}, path=values.path)
        layers.append(node)
    return layers


def _zipped(node: Node, lists: list[tuple[str, tuple[str, ...], Node]], problems: Problems) -> list[tuple[str, Node]]:
    """Return the levels of lists that go hand in hand, named after the first of them."""
    lengths = {len(values.value) for _, _, values in lists}
    if len(lengths) > 1:
        got = ", ".join(f"{len(values.value)} in {values.path}" for _, _, values in lists)
        problems.add(node.place, node.path, f"expected lists of one length, got {got}")
        return [("", replace(node, value={}))]
    merged = [_layers(keys, values) for _, keys, values in lists]
    levels = []
    for name, *layers in zip(_names(lists[0][0], lists[0][2]), *merged, strict=True):
        whole = layers[0]
        for layer in layers[1:]:
            whole = overlay(whole, layer)
        levels.append((name, whole))
    return levels
