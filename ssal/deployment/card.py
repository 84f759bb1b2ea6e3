"""The model card: what a classifier was made of and how good it is, in plain words, and what that does not say."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssal import registry
from ssal.artefacts import read_json
from ssal.conclude import environment
from ssal.deployment.classifier import CONFIG, ONNX, WEIGHTS
from ssal.deployment.graph import INPUT, OUTPUT, TOLERANCE
from ssal.errors import BadInput, counted
from ssal.evaluation.statistics import share_interval
from ssal.labelling.answers import SHOWN
from ssal.labelling.ledger import AUDIT, GIVEN, Entry
from ssal.labelling.settle import person
from ssal.recipe import Recipe
from ssal.report.citing import Citing, listed
from ssal.report.methods import training
from ssal.standing import Standing

FEW = 10
"""Labels of a class below which the card warns of it."""
_MARKDOWN = re.compile(r"[\\`*_\[\]|~#]")
TOLD_ELSEWHERE = ("labels:", "pixels:", "classes:")
"""Beginnings of the data's own lines that the card has no use for."""


def card(recipe: Recipe, stand: Standing, config: Mapping[str, Any], compared: int) -> str:
    """Return the card as Markdown; it follows from the run and from what is installed, not from when it is written.

    `compared` is on how many images the files were found to answer as the run's learner does.
    """
    citing = Citing()
    metrics = read_json(stand.cell.folder / f"round_{stand.number}" / "metrics.json")
    classes, entries = config["classes"], stand.ledger.entries()
    labels, pool = Counter(stand.ledger.labels().values()), len(stand.images.pool)
    height, width = config["image_size"]
    parts = {
        f"{recipe.name}: a classifier of {len(classes)} classes": [
            f"It says which of {len(classes)} classes an image shows, and how sure it is. It learned from "
            f"{counted(config['labels'], 'labelled image')} of {pool}; the last answer came on "
            f"{config['last_answer'][:10]}."
        ],
        "Use": _use(config, compared),
        "Data": _bullets(
            [
                *(shown(line) for line in stand.images.summary() if not line.startswith(TOLD_ELSEWHERE)),
                f"every image is seen as its centre square, resized to {height} × {width} pixels",
            ]
        ),
        "Labels": [*_bullets(_came(entries, pool, citing)), "", *_table(classes, labels, stand.images.test_labels)],
        "Training": [" ".join([*training([stand.cell.arm], citing), *_weights(stand)])],
        "Accuracy": _bullets(_accuracy(metrics, config, stand, citing)),
        "Limits": _bullets(_limits(metrics, config, stand, labels, entries)),
        "Versions": _versions(recipe, config),
    }
    parts["References"] = _bullets(citing.references())
    sections = (f"## {title}\n\n" + "\n".join(lines) for title, lines in parts.items())
    return "\n\n".join(sections).removeprefix("#") + "\n"  # the first one's title is the card's


def _bullets(lines: Sequence[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _use(config: Mapping[str, Any], compared: int) -> list[str]:
    lines = [
        "    ssal predict FOLDER_OF_THIS_FILE IMAGES --to predictions.csv",
        "",
        f"- `{WEIGHTS}`: the weights; `{CONFIG}`: classes in order, image size, mean and standard deviation",
    ]
    if ONNX in config["files"]:
        lines.append(
            f"- `{ONNX}` (opset {config['opset']}): input `{INPUT}`, uint8 (N, 3, height, width), RGB from 0 to 255; "
            f"output `{OUTPUT}`, float32 (N, classes); the normalisation is inside. Its probabilities are within "
            f"{TOLERANCE:g} of those of torch on {compared} images of the run, found with onnxruntime when it was "
            "written"
        )
    return lines


def _came(entries: Sequence[Entry], pool: int, citing: Citing) -> list[str]:
    """Say how many answers there were, who asked for them and who gave them."""
    without = sum(entry.label is None for entry in entries)
    told = f"{counted(len(entries), 'answer')} on {counted(pool, 'image')}"
    lines = [f"{told}: {len(entries) - without} with a class, {without} without one"]
    for strategy, count in Counter(entry.strategy for entry in entries).items():
        who = _answered_by({entry.who for entry in entries if entry.strategy == strategy})
        if strategy == GIVEN:
            lines.append(f"{count} came with the data")
            continue
        if strategy == AUDIT:
            lines.append(
                f"{counted(count, 'was', 'were')} drawn at random, answered by {who}, to measure accuracy alone"
            )
            continue
        try:
            asked = citing.method(registry.find("strategy", strategy))
        except BadInput:  # a file of one's own that is gone by now
            asked = shown(Path(strategy).name)
        lines.append(f"{counted(count, 'was', 'were')} asked for by {asked} and answered by {who}")
    return lines


def _answered_by(names: Collection[str]) -> str:
    """Say who answered without naming anybody: a card is published."""
    people = {person(name) for name in names} - {"oracle", "ssal"}
    if not people:
        return "the labels that the data came with (a benchmark)" if "oracle" in names else "nobody"
    return f"{len(people)} people" if len(people) > 1 else "one person"


def shown(text: str) -> str:
    """Return text of users so that Markdown and HTML show it as it is, on one line."""
    return _MARKDOWN.sub(r"\\\g<0>", html.escape(" ".join(text.split()), quote=False))


def _table(classes: Sequence[str], labels: Mapping[str, int], test: Sequence[str]) -> list[str]:
    tested, cells = Counter(test), []
    for name in classes:
        cells.append([shown(name), str(labels[name]), *([str(tested[name])] if test else [])])
    head = ["class", "labels", *(["test images"] if test else [])]
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *cells]
    return [f"| {' | '.join(row)} |" for row in rows]


def _weights(stand: Standing) -> list[str]:
    learner = stand.learner.learner
    if learner.frozen:
        return ["The encoder stayed as it was; its features were classified."]
    return ["The weights are the averaged ones, which were evaluated."]


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _accuracy(metrics: Mapping[str, Any], config: Mapping[str, Any], stand: Standing, citing: Citing) -> list[str]:
    lines = []
    if audit := config.get("audit"):
        seen = "" if stand.cell.arm.pretext_method == "none" else " (the encoder, which takes no labels, has seen them)"
        lines.append(
            f"audit: {_share(audit['accuracy'])} of {counted(audit['images'], 'image')} drawn at random, answered like "
            f"the others, and kept out of training{seen}, 95 % interval from "
            f"{_share(audit['low'])} to {_share(audit['high'])}"
        )
    if "accuracy" in metrics:
        images = len(stand.images.test)
        low, high = share_interval(round(metrics["accuracy"] * images), images)
        lines += [
            f"test: {_share(metrics['accuracy'])} of {images} images right, 95 % interval from {_share(low)} "
            f"to {_share(high)}{citing.function(share_interval)}",
            f"balanced over classes: {_share(metrics['balanced_accuracy'])}; expected calibration error "
            f"{metrics['expected_calibration_error']:.3f}",
        ]
    return lines or ["not measured: there were neither test images nor an audit"]


def _limits(
    metrics: Mapping[str, Any],
    config: Mapping[str, Any],
    stand: Standing,
    labels: Mapping[str, int],
    entries: Sequence[Entry],
) -> list[str]:
    lines = [
        "An image of anything else gets one of these classes as well, and may get it with high confidence: it was "
        "never shown what lies outside of them",
        "Images from another camera, place or time may be harder than those it was measured on",
    ]
    if "accuracy" not in metrics and not config.get("audit"):
        lines.append("Nobody has measured how often it is right: look at its answers before relying on them")
    else:
        lines.append(
            "The interval says how far chance in drawing the measured images may move the accuracy, not what another "
            "training or other images would give; a class with few measured images may be far worse than the mean"
        )
    if rare := [f"{shown(name)} ({labels[name]})" for name in config["classes"] if labels[name] < FEW]:
        lines.append(f"It learned from fewer than {FEW} labels of {listed(rare)}; a class without any is never right")
    if without := Counter(SHOWN[entry.kind] for entry in entries if entry.label is None):
        kinds = listed([f"{word} ({count})" for word, count in without.items()])
        lines.append(f"Answers without a class were not learned from: {kinds}")
    if any(entry.strategy not in (AUDIT, GIVEN, "random") for entry in entries):
        lines.append("The labelled images were chosen, not drawn: their shares of classes are not those of the images")
    if {entry.who for entry in entries} - {"oracle"}:
        lines.append("Labels are as they were answered; how many are wrong was not measured")
    else:
        lines.append("Known labels answered in place of people, who err more and differently")
    if config["precision"] != "32-true":
        lines.append(
            f"The run computed in {config['precision']}, this model in float32: its probabilities are not rounded like "
            "the run's, and single images near the border of two classes may fall to the other side"
        )
    return lines


def _versions(recipe: Recipe, config: Mapping[str, Any]) -> list[str]:
    known = environment()
    names = ("python", "torch", "timm", "pytorch-lightning", "lightly", "scikit-learn")
    lines = [
        f"ssal {config['ssal']}, {', '.join(f'{name} {known[name]}' for name in names)}",
        f"recipe {recipe.name}, fingerprint {config['recipe_fingerprint']}; "
        f"arm {config['arm']}, seed {config['seed']}, round {config['round']}",
        f"last answer {config['last_answer']}",
    ]
    return _bullets(lines)
