"""What each arm sees of a recipe: the base, under it the condition's values, over both what the arm says itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ssal.errors import nearest
from ssal.recipe.filling import filled
from ssal.recipe.grid import KINDS, conditions
from ssal.recipe.skeleton import BESIDE_ARMS, FOLDER_NAME, SECTIONS, STRATEGIES, Draws
from ssal.recipe.yaml_tree import Node, Problems, overlay

ARM_KEYS = (*SECTIONS, "signals")
OWN_KEYS = (*ARM_KEYS, *Draws.model_fields)
"""What an arm may say."""
ONLY_ARM = "main"
"""Name of the arm of a recipe without arms."""


def only(node: Node, keys: Iterable[str]) -> Node:
    """Return a mapping with those of `keys` that it has."""
    return replace(node, value={key: child for key, child in node.value.items() if key in keys})


Conditions = dict[str, dict[str, str]]
"""Condition -> {name of an arm in it: its whole name}."""


def layers(root: Node, top_keys: Iterable[str], problems: Problems) -> tuple[dict[str, Node], Conditions]:
    """Return every arm with the recipe as it sees it, by its whole name, and which arms each condition has.

    Where the recipe names no arms, every combination of varied values is one, and there is one condition, called ''.
    """
    base, written = only(root, ARM_KEYS), root.get("arms")
    varied = conditions(root, ARM_KEYS, problems)
    bases = {name: overlay(restart(base, layer), layer) for name, layer in varied.items()}
    found: dict[str, Node] = {}
    members: Conditions = {}
    if written is None or written.value is None:
        found = {name or ONLY_ARM: layer for name, layer in bases.items()}
        at = next((node for kind in KINDS if (node := root.get(kind)) and node.value), root)
        for name in found:
            _check_folder(name, at, problems)
        return found, {"": {name: name for name in found}}
    for condition, layer in bases.items():
        members[condition] = {}
        for name, seen in _arms(layer, written, top_keys, problems).items():
            whole = f"{name}-{condition}" if condition else name
            if condition or name in BESIDE_ARMS:
                _check_folder(whole, written.value[name], problems)
            found[whole] = seen
            members[condition][name] = whole
    return found, members


def _check_folder(name: str, at: Node, problems: Problems) -> None:
    """Note where an arm's whole name, which may be put together from others, cannot be that of its folder."""
    if name in BESIDE_ARMS:
        what = f"no arm can be called {name!r}, which {BESIDE_ARMS[name]}; choose another name"
        problems.add(at.key_place, at.path, what)
    elif not re.fullmatch(FOLDER_NAME, name):
        problems.add(at.key_place, at.path, f"the name {name!r} is too long for a folder; shorten it")


def _arms(base: Node, arms: Node, top_keys: Iterable[str], problems: Problems) -> dict[str, Node]:
    """Return the recipe as each arm sees it."""
    if not isinstance(arms.value, dict) or not arms.value:
        problems.add(arms.place, arms.path, "expected a name and what differs for each arm, as in ssl_only: {…}")
        return {}
    found = {}
    for name, node in arms.value.items():
        own = filled(node)
        if not re.fullmatch(FOLDER_NAME, name):
            problems.add(own.key_place, own.path, "an arm's name is a folder's: letters, digits, '.', '_' and '-'")
        if not isinstance(own.value, dict):
            problems.add(own.place, own.path, "expected what differs from the recipe, as in {learner: {…}}")
            continue
        for key, child in own.value.items():
            if key not in OWN_KEYS:
                what = "belongs to the whole recipe, not to one arm" if key in top_keys else "no such key in an arm"
                problems.add(child.key_place, child.path, what + ("" if key in top_keys else nearest(key, OWN_KEYS)))
        differs = {key: child for key, child in own.value.items() if key in OWN_KEYS and child.value is not None}
        own = replace(own, value=differs)
        found[name] = overlay(restart(base, own), own)
    return found


def restart(base: Node, top: Node) -> Node:
    """Return `base` without the options of methods that `top` replaces by others, in the recipe and in its arms."""
    kept = dict(base.value) if isinstance(base.value, dict) else {}
    for name, old in kept.items():
        new = top.get(name)
        if new is None or not isinstance(old.value, dict):
            continue
        dropped: set[str] = set()
        if name == "arms":
            arms = {arm: restart(node, new.get(arm) or node) for arm, node in old.value.items()}
            kept[name] = replace(old, value=arms)
        elif name == "acquisition":
            dropped = {options for key, options in STRATEGIES.items() if replaces(old, new, key)}
        elif name in SECTIONS and replaces(old, new, SECTIONS[name].switch):
            dropped = set(old.value) - set(SECTIONS[name].model.model_fields)
        if dropped:
            kept[name] = replace(old, value={key: node for key, node in old.value.items() if key not in dropped})
    return replace(base, value=kept) if isinstance(base.value, dict) else base


def replaces(old: Node, new: Node, key: str) -> bool:
    """Say whether `new` names another method under `key` than `old`."""
    before, after = old.get(key), new.get(key)
    return before is not None and after is not None and before.plain() != after.plain()
