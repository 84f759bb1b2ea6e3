"""A recipe file and overrides in, a Recipe out, or every problem at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ssal import registry
from ssal.errors import listing, nearest
from ssal.loop import fastest_precision
from ssal.names import RECIPE_KEYS, SHARED_FOLDERS
from ssal.recipe.arm import Arm, Recipe
from ssal.recipe.coherence import check_arm
from ssal.recipe.filling import fill, fill_section, fill_signals, fill_strategy
from ssal.recipe.layers import ARM_KEYS, ONLY_ARM, layers, only, replaces, restart
from ssal.recipe.skeleton import SECTIONS, STRATEGIES, Compare, Data, Draws, Head
from ssal.recipe.yaml_tree import COMMAND_LINE, Node, Problems, overlay, read, read_override

log = logging.getLogger("ssal")


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, lay `key.path=value` overrides over it, and check everything that needs no data.

    Paths in `data` and `backbone.weights` are relative to the current directory, strategies in files of one's own to
    the recipe's folder, then to the current directory.
    Raises BadInput with every problem: `file:line:column: key.path: message`.
    """
    path, problems = Path(path), Problems()
    root = read(path, problems)
    typed = Node({}, COMMAND_LINE, COMMAND_LINE, "")
    for text in overrides:
        if override := read_override(text, problems):
            typed = overlay(typed, override)
    _check_names(root, typed, problems)
    for line in _left_behind(root, typed):
        log.warning(line)
    root = overlay(restart(root, typed), typed)
    head = fill(Head, only(root, Head.model_fields), "recipe", problems)
    seeds = root.get("seeds")
    if isinstance(head, Head) and seeds and len(set(head.seeds)) < len(head.seeds):
        problems.add(seeds.place, seeds.path, f"expected different seeds, got {list(head.seeds)}")
    if isinstance(head, Head) and head.name in SHARED_FOLDERS:
        at = root.value["name"]
        problems.add(at.place, at.path, f"{head.name!r} is a folder that all recipes share; choose another name")
    found, conditions = layers(root, RECIPE_KEYS, problems)
    alone = [*found] == [ONLY_ARM]
    if not alone:
        base = only(root, ARM_KEYS)
        for section in SECTIONS:
            fill_section(section, _section(base, section), problems, partial=True)
        for key in STRATEGIES:
            fill_strategy(key, _section(base, "acquisition"), path.parent, problems)
    arms = {
        name: _arm(name, layer, _seeds(layer, head, problems), path.parent, problems, alone)
        for name, layer in found.items()
    }
    compare = _compare(root.get("compare"), [*next(iter(conditions.values()))], problems)
    problems.tell()
    assert isinstance(head, Head)
    named = {name: arm for name, arm in arms.items() if arm}
    return Recipe(head.name, head.seeds, path, named, conditions, *compare, overrides=tuple(overrides))


def _section(layer: Node, name: str) -> Node:
    return layer.get(name) or replace(layer, value={}, path=name)


def _check_names(root: Node, typed: Node, problems: Problems) -> None:
    """Note keys that no recipe has, and arms that the command line names but the file lacks."""
    for node in [*root.value.items(), *typed.value.items()]:
        if node[0] not in RECIPE_KEYS:
            hint = nearest(node[0], RECIPE_KEYS) or f" (keys: {', '.join(RECIPE_KEYS)})"
            problems.add(node[1].key_place, node[1].path, f"no such key in a recipe{hint}")
    arms, named = root.get("arms"), typed.get("arms")
    known = list(arms.value) if arms and isinstance(arms.value, dict) else []
    for name, node in named.value.items() if named and isinstance(named.value, dict) else ():
        if name not in known:
            hint = nearest(name, known) or f" (arms: {', '.join(known) or 'none'})"
            problems.add(node.key_place, node.path, f"the recipe has no arm {name!r}{hint}")


def _left_behind(root: Node, typed: Node) -> list[str]:
    """Return a line for every method that the command line replaces in the recipe, naming the options that go."""
    lines = []
    for name, section in SECTIONS.items():
        old, new = root.get(name), typed.get(name)
        if old and new and isinstance(old.value, dict) and replaces(old, new, section.switch):
            gone = sorted(set(old.value) - set(section.model.model_fields) - set(new.value))
            what = f"{name}.{section.switch}={new.value[section.switch].plain()}"
            if gone:
                lines.append(
                    f"{what}: the recipe's {listing(gone)} do not come along, its own defaults hold; "
                    f"type what is to stay, as in {name}.{gone[0]}={old.value[gone[0]].plain()}"
                )
    return lines


def _seeds(layer: Node, head: object, problems: Problems) -> tuple[int, ...]:
    """Return the seeds that an arm runs with: all of the recipe's, or the first ones."""
    draws = fill(Draws, only(layer, Draws.model_fields), "arm", problems)
    return head.seeds[: draws.first_seeds] if isinstance(head, Head) and isinstance(draws, Draws) else ()


def _arm(name: str, layer: Node, seeds: tuple[int, ...], folder: Path, problems: Problems, alone: bool) -> Arm | None:
    """Return the arm that `layer` describes, or None after noting what is wrong with it."""
    models = {section: fill_section(section, _section(layer, section), problems) for section in SECTIONS}
    strategies = {key: fill_strategy(key, _section(layer, "acquisition"), folder, problems) for key in STRATEGIES}
    signals = fill_signals(_section(layer, "signals"), strategies.values(), problems)
    check_arm(layer, models, strategies, signals or {}, "" if alone else f"arm {name!r}: ", problems)
    filled_in = {section: model for section, model in models.items() if model is not None}
    later, first = strategies.values()
    if len(filled_in) < len(models) or later is None or first is None or signals is None:
        return None
    values = {section: dict(model) for section, model in filled_in.items()}
    acquisition = values["acquisition"]
    first_size = acquisition["first_size"] or acquisition["query_size"]
    if values["trainer"]["precision"] == "auto":
        values["trainer"]["precision"] = fastest_precision(values["trainer"]["accelerator"])
    record = {section: model.model_dump(mode="json") for section, model in filled_in.items()}
    record["acquisition"] |= {"first_size": first_size, "options": later.record, "first_options": first.record}
    record["trainer"]["precision"] = values["trainer"]["precision"]
    audit = values["labelling"].pop("audit")
    answered_by = values["labelling"].pop("answered_by")
    record["labelling"]["audit"] = audit = _audit_share(answered_by) if audit is None else audit
    record["signals"] = {source: model.model_dump(mode="json") for source, model in signals.items()}
    fixed = Data.model_fields
    return Arm(
        name=name,
        seeds=seeds,
        data={
            **{key: value for key, value in values["data"].items() if key in fixed},
            "options": {key: value for key, value in values["data"].items() if key not in fixed},
        },
        backbone=values["backbone"],
        pretext_method=values["pretext"].pop("method"),
        encoders=values["pretext"].pop("encoders"),
        pretext=values["pretext"],
        learner_method=values["learner"].pop("method"),
        learner=values["learner"],
        signals={source: dict(model) for source, model in signals.items()},
        strategy=later.name,
        options=later.options,
        first_round=first.name,
        first_options=first.options,
        first_size=first_size,
        query_size=acquisition["query_size"],
        budget=acquisition["budget"],
        answered_by=answered_by,
        labelling=values["labelling"],
        audit=audit,
        references=values["evaluation"]["references"],
        networks=values["evaluation"]["networks"],
        trainer=values["trainer"],
        record=record,
    )


def _audit_share(answered_by: str) -> float:
    """Return the usual share of the audit: none where the answers are known, and with them a test set."""
    return 0.1 if registry.find("answerer", answered_by).traits["asks_people"] else 0.0


def _compare(node: Node | None, arms: list[str], problems: Problems) -> tuple[str | None, str | None]:
    """Return baseline and treatment, which must be two of the arms."""
    if node is None or node.value is None:
        return None, None
    compare = fill(Compare, node, "compare", problems)
    if not isinstance(compare, Compare):
        return None, None
    for key, name in dict(compare).items():
        if name not in arms:
            at = node.value[key]
            problems.add(at.place, at.path, f"no arm is called {name!r}{nearest(name, arms)} (arms: {', '.join(arms)})")
    if compare.baseline == compare.treatment:
        problems.add(node.place, node.path, f"expected two different arms, got {compare.baseline!r} twice")
    return compare.baseline, compare.treatment
