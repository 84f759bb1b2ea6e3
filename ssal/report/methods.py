"""A text for the methods section of a paper: what the recipe did and the verdict used, with citations, no more."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from ssal import registry
from ssal.backbones import WideResNet
from ssal.evaluation.results import Row, arms_in
from ssal.fingerprints import fingerprint
from ssal.recipe import Arm, Recipe
from ssal.recipe.skeleton import NO_PRETEXT
from ssal.report.citing import Citing, apart, listed
from ssal.report.comparison import Comparison
from ssal.report.methods_of_comparing import HIDDEN, compared, measured, outside, ranked, seeds

EMBEDDINGS = "embeddings"
"""The data source whose images have no pixels, so that there is no network and no pretext."""
WARM_START = "warm_start"
"""The option of learners that has words of its own, and has them where all arms have it as well."""


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
        [*_data(arms, citing), *training(arms, citing), *_labels(arms, _given(arms, results), citing)],
        [*seeds(results), *compared(recipe, comparisons, citing), *ranked(ranking, citing), *outside(results)],
        [*measured(results, citing, any(arm.audit for arm in arms)), _software(recipe, environment)],
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


def _differing(own: Mapping[str, Any], alike: Sequence[Mapping[str, Any]]) -> str:
    """Return ` with` those options of a method that are not the same in all arms that have it, whose are `alike`."""
    keys = [key for key, value in own.items() if any(one[key] != value for one in alike)]
    told = [f"no {key}" if own[key] is None else f"{key} {_in_words(own[key])}" for key in keys]
    return f" with {listed(told)}" if told else ""


def _set(signal: str, arm: Arm, arms: Sequence[Arm]) -> str:
    """Return how a source of signals is set in an arm, where it is not in all that have it."""
    return _differing(arm.signals[signal], [one.signals[signal] for one in arms if signal in one.signals])


def _in_words(value: Any) -> str:
    """Return a value as a recipe has it; a file of one's own goes by its name, without its folders."""
    if isinstance(value, Mapping):
        pairs = [f"{_in_words(key)}: {_in_words(one)}" for key, one in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_in_words, value))}]"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return Path(text).name if os.path.isabs(text) else text


def _data(arms: Sequence[Arm], citing: Citing) -> list[str]:
    ends = _ends({arm.data_path for arm in arms})

    def source(arm: Arm) -> str:
        data, end = arm.data, ends[arm.data_path]
        found = registry.find("dataset", data["source"])
        kind = "tar" if end.endswith(".tar") else found.name
        what = citing.method(found) if found.source else f"images of the {kind} “{end}”"
        what += f" at {data['size']} × {data['size']} pixels" if data.get("size") else ""
        if found.name == EMBEDDINGS:
            what = f"embeddings “{end}” of images, computed beforehand"
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


def _ends(paths: Collection[str]) -> dict[str, str]:
    """Return what each path is called without the folders it lies in, but for as many as tell two paths apart."""
    # An absolute path has a last part where a relative one may be `.`; its root says nothing.
    parts = {path: Path(os.path.abspath(path)).parts[1:] if path else () for path in paths}
    tries = ({path: "/".join(every[-depth:]) for path, every in parts.items()} for depth in count(1))
    return next(ends for ends in tries if len(set(ends.values())) == len(set(parts.values())))


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
        pretext += _differing(arm.pretext, [one.pretext for one in arms if one.pretext_method == arm.pretext_method])
        return f"an encoder that {pretext} had trained on the pool without labels, from {weights}"

    def learner(arm: Arm) -> str:
        heads = [citing.method(registry.find("signal", name)) + _set(name, arm, arms) for name in arm.companions]
        told = citing.method(registry.find("learner", arm.learner_method))
        alike = [one.learner for one in arms if one.learner_method == arm.learner_method]
        told += _differing({key: value for key, value in arm.learner.items() if key != WARM_START}, alike)
        told += f" and a head for {listed(heads)}" if heads else ""
        return told + (", each from the weights of the round before" if arm.learner.get(WARM_START) else "")

    return [
        *_of_arms("The network was", {arm.name: network(arm) for arm in arms}),
        *_of_arms("Training began from", {arm.name: start(arm) for arm in arms}),
        *_of_arms("Classifiers were trained with", {arm.name: learner(arm) for arm in arms}),
    ]


def _given(arms: Sequence[Arm], results: Sequence[Row]) -> set[str]:
    """Return the arms whose data came with labels: only they have a learner before anything is bought."""
    began = {row["arm"] for row in results if row["round"] == 0}
    return {arm.name for arm in arms if arm.data["labels"] != HIDDEN and arm.name in began}


def _labels(arms: Sequence[Arm], given: Collection[str], citing: Citing) -> list[str]:
    def bought(arm: Arm) -> str:
        if arm.name in given:
            return f"{arm.query_size} labels a round, {arm.budget} in all, beside those that the data came with"
        if arm.first_size >= arm.budget:
            return f"{arm.budget} labels at once"
        return (
            f"{arm.first_size} labels in the first round and {arm.query_size} a round from then on, {arm.budget} in all"
        )

    def answers(arm: Arm) -> str:
        if arm.asks_people:
            return "given by people"
        wrong = arm.labelling.get("noise")
        noise = f", {100 * wrong:g} % of them replaced by a wrong one on average" if wrong else ""
        return f"the labels of the data, hidden until they were asked for{noise}"

    first: dict[str, str] = {}
    others: dict[str, str] = {}
    every: dict[str, str] = {}
    for arm in arms:
        # Given labels train a learner before any are bought: then first_round chooses for what compares two, or never.
        if begins := arm.name not in given or arm.compares_rounds:
            first[arm.name] = _strategy(arm, arms, True, citing)
        if arm.name in given or arm.first_size < arm.budget:
            (others if begins else every)[arm.name] = _strategy(arm, arms, False, citing)
    return [
        *_of_arms("Every run bought", {arm.name: bought(arm) for arm in arms}),
        *_of_arms("The images of the first round were chosen with", {arm.name: first.get(arm.name) for arm in arms}),
        *_of_arms("All others were chosen with", {arm.name: others.get(arm.name) for arm in arms}),
        *_of_arms("The images to label were chosen with", {arm.name: every.get(arm.name) for arm in arms}),
        *_of_arms("Answers were", {arm.name: answers(arm) for arm in arms}),
        *_of_arms(
            "To measure accuracy, and never to train on, there were drawn at random",
            {arm.name: f"{100 * arm.audit:g} % of the images of every round" if arm.audit else None for arm in arms},
        ),
        "No label was held out for validation: the label counts hold every label that a run had.",
    ]


def _strategy(arm: Arm, arms: Sequence[Arm], first: bool, citing: Citing) -> str:
    """Return what chooses images, what it builds on, and the sources of its signals that are not its own."""
    found = [(one.first_round, one.first_options) if first else (one.strategy, one.options) for one in (arm, *arms)]
    name, own = found[0]
    strategy = registry.find("strategy", name)
    told = citing.method(strategy)
    if ".py:" in name:
        told += f" of our own file {strategy.file.name}"
    if children := [citing.method(registry.find("strategy", child)) for child in strategy.children_in(own)]:
        told += f" over {listed(children)}"
    # A single child has just been told; several have weights.
    rest = {key: value for key, value in own.items() if key != strategy.children or not isinstance(value, str)}
    told += _differing(rest, [others for other, others in found if other == name])
    signals = []
    for signal, source in registry.sources_of(arm.needs(first)).items():
        options = _set(signal, arm, arms)
        if signal not in arm.companions and (options or any(part not in told for part in apart(source.source))):
            signals.append(citing.method(source) + options)
    told += f" on {listed(signals)}" if signals else ""
    return told + (" from the second learner on" if arm.compares_rounds and not first else "")


def _software(recipe: Recipe, environment: Mapping[str, str]) -> str:
    versions = [
        f"{name} {environment[name]}"
        for name in ("ssal", "python", "torch", "pytorch-lightning", "lightly", "scikit-learn")
        if environment.get(name)
    ]
    used = f"Software: {', '.join(versions)}; " if versions else ""
    return f"{used}recipe {recipe.name} with every option, fingerprint {fingerprint(recipe.resolved())}."
