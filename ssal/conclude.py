"""What a comparison has come to: verdict.json and report.html beside results.csv."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ssal.artefacts import write_json
from ssal.audit import read_audit
from ssal.cells import cells_of, images_of
from ssal.compare import Ended
from ssal.data.images import Images
from ssal.evaluation.results import remarks, renamed
from ssal.evaluation.verdict import verdict
from ssal.labelling.ledger import NO_CLASS, Ledger
from ssal.query import read_query
from ssal.recipe import Recipe
from ssal.report.comparison import Comparison
from ssal.report.report import data_uri, write_report

DOUBTFUL = 48
"""Labels of an audit that the report shows."""
PICKED = 12
"""Pictures of each strategy's picks, and of each round's questions, that it shows."""


def conclude(recipe: Recipe, ended: Ended, checkpoints: Path, command: str) -> list[Comparison]:
    """Write verdict.json and report.html beside results.csv; return the comparison under every condition.

    `command` is what was typed.
    """
    folder = checkpoints / recipe.name
    comparisons = [_comparison(recipe, name, ended) for name in recipe.conditions]
    write_json(
        folder / "verdict.json",
        {"comparisons": [{"condition": one.condition, **one.verdict} for one in comparisons]},
    )
    gallery, mix, data = _asked(recipe, checkpoints)
    notes = [f"{name} did not finish: {reason}" for name, reason in ended.failed.items()]
    notes += [*ended.waiting, *remarks(ended.rows), *data]
    write_report(
        folder,
        ended.rows,
        comparisons,
        recipe_resolved=recipe.resolved(),
        gallery=gallery,
        class_mix=mix,
        notes=notes,
        environment={"command": command, **environment()},
        doubtful=_doubtful(recipe, checkpoints),
        queried=_queried(recipe, checkpoints),
    )
    return comparisons


def _comparison(recipe: Recipe, condition: str, ended: Ended) -> Comparison:
    """Return what the arms came to under one condition."""
    arms = recipe.conditions[condition]
    rows = renamed(ended.rows, arms)
    compared = (recipe.baseline, recipe.treatment)
    shared = {recipe.arms[arms[name]].encoders for name in compared if name}
    said = verdict(rows, *compared, min(filter(None, shared), default=None))
    return Comparison(condition, arms, rows, said)


Gallery = dict[str, list[tuple[int, list[dict[str, Any]]]]]
"""Arm -> (round, pictures) of its first seed."""
Mix = dict[str, list[dict[str, Any]]]
"""Arm -> labels per class and round, summed over seeds."""


def _asked(recipe: Recipe, checkpoints: Path) -> tuple[Gallery, Mix, list[str]]:
    """Return what every arm asked for, as pictures and as counts, and what the runs say of their data."""
    gallery: Gallery = {}
    mix: Mix = {}
    notes: list[str] = []
    for cell in cells_of(recipe, checkpoints):
        if not (cell.folder / "ledger.sqlite").exists():
            continue
        images = images_of(cell.arm, checkpoints)
        entries = Ledger(cell.folder / "ledger.sqlite").entries()
        for number in sorted({entry.round for entry in entries}):
            asked = [entry for entry in entries if entry.round == number]
            shares = mix.setdefault(cell.arm.name, [])
            if number >= len(shares):
                shares.append({"round": number, "counts": dict.fromkeys(images.classes, 0)})
            for entry in asked:
                counts, label = shares[number]["counts"], entry.label or NO_CLASS
                counts[label] = counts.get(label, 0) + 1
            if cell.seed == recipe.seeds[0] and len(images.pool.shape) == 3:
                shown = [
                    {
                        "id": entry.id,
                        "label": entry.label or NO_CLASS,
                        "score": entry.score,
                        "data_uri": _picture(images, entry.id),
                    }
                    for entry in asked[:PICKED]
                ]
                gallery.setdefault(cell.arm.name, []).append((number, shown))
        notes += [line for line in images.summary() if line not in notes]
    return gallery, mix, notes


def _doubtful(recipe: Recipe, checkpoints: Path) -> list[dict[str, Any]]:
    """Return the first labels of audit.csv that differ from what similar images say, with their pictures."""
    rows = read_audit(checkpoints / recipe.name)
    if not rows:
        return []
    images = images_of(next(iter(recipe.arms.values())), checkpoints)
    if len(images.pool.shape) != 3:
        return []
    known = [row for row in rows if row["id"] in images.pool]
    return [{**row, "data_uri": _picture(images, row["id"])} for row in known[:DOUBTFUL]]


def _queried(recipe: Recipe, checkpoints: Path) -> dict[str, Any]:
    """Return query.json with the pictures of every strategy's first picks; empty where nothing was asked."""
    found, rows = read_query(checkpoints / recipe.name)
    if not found or found["arm"] not in recipe.arms:
        return {}
    images = images_of(recipe.arms[found["arm"]], checkpoints)
    pictures: dict[str, list[dict[str, Any]]] = {}
    for row in rows if len(images.pool.shape) == 3 else ():
        if int(row["rank"]) <= PICKED and row["id"] in images.pool:
            truth = row["oracle_label"] if row.get("oracle_wrong") == "1" else ""
            item = {**row, "label": row["predicted"], "truth": truth, "data_uri": _picture(images, row["id"])}
            pictures.setdefault(row["strategy"], []).append(item)
    return {**found, "pictures": {name: [(found["round"], items)] for name, items in pictures.items()}}


def _picture(images: Images, id: str) -> str:
    return data_uri(images.pool.fetch(torch.tensor([images.pool.row(id)]))[0].cpu())


def environment() -> dict[str, str]:
    """Return the versions and the machine that results belong to."""
    packages = ("ssal", "torch", "pytorch-lightning", "lightly", "kornia", "timm", "numpy", "scikit-learn")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "threads": str(torch.get_num_threads()),
        **{package: version(package) for package in packages},
    }
