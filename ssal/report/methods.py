"""A text for the methods section of a paper: what the recipe did and the verdict used, with citations, no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ssal import registry
from ssal.artefacts import fingerprint
from ssal.backbones import WideResNet
from ssal.evaluation.results import Row, arms_in
from ssal.recipe import Arm, Recipe
from ssal.recipe.skeleton import NO_PRETEXT
from ssal.report.citing import Citing, apart, listed
from ssal.report.comparison import Comparison
from ssal.report.methods_of_comparing import HIDDEN, compared, measured, outside, ranked, seeds

EMBEDDINGS = "embeddings"
"""The data source whose images have no pixels, so that there is no network and no pretext."""


class MethodsText(NamedTuple):
    """Paragraphs to paste, and the references that they cite."""

    paragraphs: list[str]
    references: list[str]


def methods_text(
    recipe: Recipe,
    results: Sequence[Row],
    comparisons: Sequence[Comparison],
    environment: Mapping[str, str],
    ranking: Mapping[str, Any] | None = None,
) -> MethodsText | None:
    """Return the text, in words that follow the number of seeds; None where no round has finished."""
    arms = [recipe.arms[name] for name in arms_in(results) if name in recipe.arms]
    if not arms:
        return None
    citing = Citing()
    paragraphs = [
        [*_data(arms, citing), *training(arms, citing), *_labels(arms, citing)],
        [*seeds(results), *compared(recipe, comparisons, citing), *ranked(ranking, citing), *outside(results)],
        [*measured(results, citing), _software(recipe, environment)],
    ]
    return MethodsText([" ".join(lines) for lines in paragraphs], citing.references())


def _of_arms(subject: str, phrases: Mapping[str, str | None]) -> list[str]:
    """Return one sentence on what all arms have, or on which arms have what; arms with None have nothing to say."""
    arms: dict[str, list[str]] = {}
    for arm, phrase in phrases.items():
        if phrase:
            arms.setdefault(phrase, []).append(arm)
    if len(arms) == 1 and len(arms[next(iter(arms))]) == len(phrases):
        return [f"{subject} {next(iter(arms))}."]
    told = "; ".join(f"{phrase} in {listed([f'“{name}”' for name in names])}" for phrase, names in arms.items())
    return [f"{subject} {told}."] if told else []


def _data(arms: Sequence[Arm], citing: Citing) -> list[str]:
    def source(arm: Arm) -> str:
        data = arm.data
        found = registry.find("dataset", data["source"])
        size = f" at {data['size']} × {data['size']} pixels" if data.get("size") else ""
        what = citing.method(found) + size if found.source else f"images of our own{size}"
        if found.name == EMBEDDINGS:
            what = "embeddings of images, computed beforehand"
        changes = []
        if isinstance(data.get("imbalance"), dict):
            kept = [f"{100 * share:g} % of {name}" for name, share in data["imbalance"].items()]
            changes.append(f"of whose pool {listed(kept)} stayed")
        elif data.get("imbalance"):
            changes.append(f"with {data['imbalance']:g} pool images of the most frequent class per one of the rarest")
        if data.get("out_of_class"):
            changes.append(f"with images of {listed(data['out_of_class'])} in the pool as images of no class")
        if data.get("redundancy"):
            changes.append(f"with {data['redundancy']} near-duplicates beside each pool image")
        return ", ".join([what, *changes])

    return _of_arms("The data were", {arm.name: source(arm) for arm in arms})


def training(arms: Sequence[Arm], citing: Citing) -> list[str]:
    """Say what the network was, where its training began, and what trained the classifiers."""

    def network(arm: Arm) -> str | None:
        if arm.data["source"] == EMBEDDINGS:
            return None
        name = arm.backbone["name"]
        return name + (citing.function(WideResNet) if name.startswith("wrn_") else "")

    def start(arm: Arm) -> str | None:
        if arm.data["source"] == EMBEDDINGS:
            return None
        weights = "weights from a file" if arm.backbone["weights"] else "random weights"
        if arm.pretext_method == NO_PRETEXT:
            return weights
        pretext = citing.method(registry.find("pretext", arm.pretext_method))
        return f"an encoder that {pretext} had trained on the pool without labels, from {weights}"

    def learner(arm: Arm) -> str:
        heads = [citing.method(registry.find("signal", name)) for name in arm.companions]
        beside = f" and a head for {listed(heads)}" if heads else ""
        warm = ", each from the weights of the round before" if arm.learner.get("warm_start") else ""
        return citing.method(registry.find("learner", arm.learner_method)) + beside + warm

    return [
        *_of_arms("The network was", {arm.name: network(arm) for arm in arms}),
        *_of_arms("Training began from", {arm.name: start(arm) for arm in arms}),
        *_of_arms("Classifiers were trained with", {arm.name: learner(arm) for arm in arms}),
    ]


def _labels(arms: Sequence[Arm], citing: Citing) -> list[str]:
    def bought(arm: Arm) -> str:
        if arm.data["labels"] != HIDDEN:
            return f"{arm.query_size} labels a round, {arm.budget} in all, beside those that the data came with"
        if arm.first_size >= arm.budget:
            return f"{arm.budget} labels at once"
        return (
            f"{arm.first_size} labels in the first round and {arm.query_size} a round from then on, {arm.budget} in all"
        )

    def answers(arm: Arm) -> str:
        if arm.answered_by != "oracle":
            return "given by people"
        wrong = arm.labelling.get("noise")
        noise = f", {100 * wrong:g} % of them replaced by a wrong one on average" if wrong else ""
        return f"the labels of the data, hidden until they were asked for{noise}"

    later = {arm.name: _strategy(arm, False, citing) for arm in arms if arm.first_size < arm.budget}
    first = {arm.name: _strategy(arm, True, citing) for arm in arms if arm.data["labels"] == HIDDEN}
    return [
        *_of_arms("Every run bought", {arm.name: bought(arm) for arm in arms}),
        *_of_arms("The images of the first round were chosen with", {arm.name: first.get(arm.name) for arm in arms}),
        *_of_arms("All others were chosen with", {arm.name: later.get(arm.name) for arm in arms}),
        *_of_arms("Answers were", {arm.name: answers(arm) for arm in arms}),
        "No label was held out for validation: the label counts hold every label that a run had.",
    ]


def _strategy(arm: Arm, first: bool, citing: Citing) -> str:
    """Return what chooses images, what it builds on, and the sources of its signals that are not its own."""
    name, options = (arm.first_round, arm.first_options) if first else (arm.strategy, arm.options)
    strategy = registry.find("strategy", name)
    told = citing.method(strategy)
    if ".py:" in name:
        told += f" of our own file {strategy.file.name}"
    if children := [citing.method(registry.find("strategy", child)) for child in strategy.children_in(options)]:
        told += f" over {listed(children)}"
    sources = [one for name, one in registry.sources_of(arm.needs(first)).items() if name not in arm.companions]
    if signals := [citing.method(one) for one in sources if any(part not in told for part in apart(one.source))]:
        told += f" on {listed(signals)}"
    return told + (" from the second learner on" if arm.compares_rounds and not first else "")


def _software(recipe: Recipe, environment: Mapping[str, str]) -> str:
    versions = [
        f"{name} {environment[name]}"
        for name in ("ssal", "python", "torch", "pytorch-lightning", "lightly", "scikit-learn")
        if environment.get(name)
    ]
    used = f"Software: {', '.join(versions)}; " if versions else ""
    return f"{used}recipe {recipe.name} with every option, fingerprint {fingerprint(recipe.resolved())}."
