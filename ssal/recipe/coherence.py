"""Whether the sections of an arm fit together; nothing here needs data or trains."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ssal import backbones, registry
from ssal.errors import BadInput, listing, nearest
from ssal.evaluation.references import REFERENCES
from ssal.labelling.naming import no_name
from ssal.learner.companion import check_stages
from ssal.recipe.filling import Strategy
from ssal.recipe.skeleton import NO_PRETEXT
from ssal.recipe.yaml_tree import Node, Problems
from ssal.signals.vocabulary import PARTS
from ssal.tracking import missing

OF_ENCODER = {f"{part}ssl_features" for part in ("", *PARTS)}
OF_FIRST_ROUND = {f"{part}features" for part in ("", *PARTS)}
"""Signals that are the encoder's while there is no learner; labelled rows are then none."""
OF_HEADS = {"contrast_loss"}
"""Signals that need a pretext, and one that tells the loss of a single image."""
EMBEDDINGS = "embeddings"
OF_LAST_ROUND = "previous_probabilities"
WANTS: dict[str, tuple[str, Callable[[registry.Method], bool]]] = {
    "images": ("sees the encoder's features, not images", lambda learner: not learner.traits.get("frozen")),
    "dropout": ("has no dropout", lambda learner: "dropout" in learner.options),
    "moments": (
        "takes too long to learn anew for each candidate",
        lambda learner: bool(learner.traits.get("moments")),
    ),
}
"""What sources want of a learner -> what others are like, and which methods have it."""


def check_arm(
    layer: Node,
    models: Mapping[str, BaseModel | None],
    strategies: Mapping[str, Strategy | None],
    signals: Mapping[str, BaseModel],
    arm: str,
    problems: Problems,
) -> None:
    """Note what types do not tell; what depends on several sections of the arm begins with `arm`."""

    def note(path: str, message: str, *inside: int) -> None:
        node, rest = layer.follow([*path.split("."), *inside])
        problems.add(node.place, path if rest else node.path, message)

    values = {name: dict(model) if model else {} for name, model in models.items()}
    data, backbone, pretext, learner, acquisition = (
        values[name] for name in ("data", "backbone", "pretext", "learner", "acquisition")
    )
    for key in ("query_size", "first_size"):
        if acquisition and (acquisition[key] or 0) > acquisition["budget"]:
            most = f"the budget of {acquisition['budget']}"
            note(f"acquisition.{key}", f"expected at most {most}, got {acquisition[key]}")
    for number, name in enumerate(values["evaluation"].get("references", ())):
        if name not in REFERENCES:
            hint = f"{nearest(name, REFERENCES)} (one of: {', '.join(REFERENCES)})"
            note("evaluation.references", f"no reference is called {name!r}{hint}", number)
    for number, name in enumerate(networks := values["evaluation"].get("networks", ())):
        try:
            backbones.check(name)
        except BadInput as error:
            note("evaluation.networks", str(error), number)
        if name in networks[:number]:
            note("evaluation.networks", f"{name} is named twice; type it once", number)
    if networks and learner and registry.find("learner", learner["method"]).traits.get("frozen"):
        why = f"{arm}{learner['method']!r} reads features and trains no network"
        note("evaluation.networks", f"{why}; type networks: [], or a learner that trains one, as supervised does")
    trackers = values["trainer"].get("trackers", ())
    for number, name in enumerate(trackers):
        if name in trackers[:number]:
            note("trainer.trackers", f"{name} is named twice; type it once", number)
    for name in missing(trackers):
        number = trackers.index(name)
        note("trainer.trackers", f"{name} is not installed; type pip install 'ssal[{name}]'", number)
    limit = registry.find("learner", learner["method"]).traits.get("most_labels") if learner else None
    if limit and acquisition and acquisition["budget"] > limit:
        why = f"{arm}{learner['method']!r} takes at most {limit} labels, as its cost grows with their cube"
        note(
            "acquisition.budget", f"{why}, got {acquisition['budget']}; type {limit} or less, or another learner.method"
        )
    embeddings = data.get("source") == EMBEDDINGS
    if backbone and not embeddings:
        try:
            backbones.check(backbone["name"])
        except (BadInput, ValueError) as error:
            note("backbone.name", str(error))
        if backbone["weights"] and not os.path.isfile(backbone["weights"]):
            note("backbone.weights", f"there is no file {backbone['weights']} (from {Path.cwd()})")
    on_images = f"trains on images, but data.source is {EMBEDDINGS}"
    if embeddings and learner and not registry.find("learner", learner["method"]).traits.get("frozen"):
        fit = registry.with_trait("learner", "frozen")
        note("learner.method", f"{arm}{learner['method']!r} {on_images}; use {' or '.join(fit)}")
    if embeddings and pretext and pretext["method"] != NO_PRETEXT:
        note("pretext.method", f"{arm}{pretext['method']!r} {on_images}; use {NO_PRETEXT}")
    if data.get("labels") == "given" and values["labelling"].get("answered_by") == "oracle":
        note(
            "labelling.answered_by",
            f"{arm}the oracle answers from hidden labels, but data.labels is given; "
            "use data.labels=hidden for a benchmark, labelling.answered_by=inbox for a project",
        )
    if registry.find("answerer", values["labelling"].get("answered_by", "oracle")).traits["asks_people"]:
        for number, name in enumerate(data.get("classes") or ()):
            if unfit := no_name(name):
                note("data.classes", f"{arm}{name!r} {unfit}", number)
    later = strategies["strategy"]
    for need, node in later.needs.items() if later else ():
        for source in registry.sources_of([need]).values() if learner else ():
            if wrong := _unseen(source.traits["wants"], learner, embeddings):
                note(f"learner.{wrong[0]}", f"{arm}{node.value!r} needs {need}, but {wrong[1]}")
        if acquisition and need == OF_LAST_ROUND:
            first = 0 if data.get("labels") == "given" else acquisition["first_size"] or acquisition["query_size"]
            if acquisition["budget"] <= first + acquisition["query_size"]:
                what = f"{node.value!r} compares two learners, and with these sizes first_round chooses everything"
                more = f"expected more than {first + acquisition['query_size']}, got {acquisition['budget']}"
                note("acquisition.budget", f"{arm}{what}; {more}")
    if backbone and pretext:
        encoder = pretext["method"] != NO_PRETEXT or bool(backbone["weights"]) or embeddings
        on_features = [name for name, model in signals.items() if getattr(model, "on", "") == "features"]
        of_encoder = {signal for name in on_features for signal in registry.find("signal", name).provides}
        for key, strategy in strategies.items():
            needs = strategy.needs if strategy else {}
            _check_needs(key, needs, encoder, of_encoder, pretext["method"], problems, arm)
        for name in filter(registry.companion_of, signals):
            if learner and (why := without_maps(learner["method"], backbone["name"])):
                at = layer.follow(["signals", name])[0]
                for need, node in (
                    (need, node) for one in strategies.values() if one for need, node in one.needs.items()
                ):
                    at = node if name in registry.sources_of([need]) else at
                problems.add(at.place, at.path, f"{arm}{name} {why}")


def _unseen(wants: str | None, learner: dict[str, Any], embeddings: bool) -> tuple[str, str] | None:
    """Return the key of the learner that a source cannot look at, and why and what to type; None where it can."""
    if wants is None:
        return None
    lack, serves = WANTS[wants]
    able = [name for name, method in registry.methods("learner").items() if serves(method)]
    if learner["method"] not in able:
        instead = "use another strategy" if embeddings else f"use one of: {', '.join(able)}"
        return "method", f"{learner['method']!r} {lack}; {instead}"
    if wants == "dropout" and not learner["dropout"]:
        return "dropout", "this is 0; type learner.dropout=0.5"
    return None


def without_maps(learner: str, backbone: str) -> str:
    """Return why no companion can be fitted to a learner on a backbone, or an empty string.

    A frozen learner's features take the place of maps.
    """
    if not registry.find("learner", learner).traits.get("frozen"):
        try:
            check_stages(backbone)
        except BadInput as error:
            return f"is a head on a network's feature maps, but {error}"
    return ""


def behind(need: str) -> set[str]:
    """Return a signal and all those that its source is called with."""
    return {need, *(name for source in registry.sources_of([need]).values() for name in source.needs)}


def _check_needs(
    key: str, needs: dict[str, Node], encoder: bool, also: set[str], pretext: str, problems: Problems, arm: str
) -> None:
    """Note signals that the encoder, its pretext or the round cannot give; `also` are the encoder's by an option."""
    first = key == "first_round"
    heads = pretext != NO_PRETEXT and pretext in registry.with_trait("pretext", "image_losses")
    of_encoder = OF_ENCODER | also | (OF_FIRST_ROUND if first else set())
    at_first = OF_ENCODER | OF_FIRST_ROUND | (OF_HEADS if heads else set())
    missing: dict[tuple[str, str], tuple[Node, list[str]]] = {}
    for need, node in needs.items():
        if not heads and behind(need) & OF_HEADS:
            why = f"but pretext {pretext!r} has no loss of single images; set pretext.method to one of: "
            why += ", ".join(registry.with_trait("pretext", "image_losses"))
        elif first and need not in at_first:
            can = [
                name
                for name, method in registry.methods("strategy").items()
                if not method.children and set(method.needs) <= at_first
            ]
            why = f"but before the first labels there is no learner; use one of: {', '.join(can)}"
        elif not encoder and behind(need) & of_encoder:
            why = "but nothing gives an encoder; set pretext.method or backbone.weights"
            why += ", or first_round: random" if first else ""
        else:
            continue
        missing.setdefault((node.path, why), (node, []))[1].append(need)
    for (path, why), (node, names) in missing.items():
        problems.add(node.place, path, f"{arm}{node.value!r} needs {listing(names)}, {why}")
