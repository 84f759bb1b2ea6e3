"""What a comparison has come to: verdict.json and report.html beside results.csv."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ssal.artefacts import write_json
from ssal.asked import Asked, asked, picture
from ssal.audit import read_audit
from ssal.cells import images_of
from ssal.compare import Ended
from ssal.evaluation.data_sets import over_data_sets
from ssal.evaluation.measure import device_name
from ssal.evaluation.overlaps import overlaps
from ssal.evaluation.results import MACHINE, Row, remarks, renamed
from ssal.evaluation.verdict import verdict
from ssal.outlook import outlooks
from ssal.query import read_query
from ssal.recipe import Recipe
from ssal.report.comparison import Comparison
from ssal.report.methods import methods_text
from ssal.report.report import SHOWN, write_report

DOUBTFUL = 48
"""Labels of an audit that the report shows."""


class Concluded(NamedTuple):
    """The comparison under every condition, and the arms' ranks over data sets where there are enough of those."""

    comparisons: list[Comparison]
    ranking: dict[str, Any] | None

    def words(self) -> list[str]:
        """Return all of it in sentences."""
        ranked = [self.ranking["sentence"], *self.ranking["details"]] if self.ranking else []
        return [sentence for one in self.comparisons for sentence in one.words()] + ranked


def conclude(recipe: Recipe, ended: Ended, checkpoints: Path, command: str) -> Concluded:
    """Write verdict.json and report.html beside results.csv; return what they hold.

    `command` is what was typed.
    """
    folder = checkpoints / recipe.name
    found = asked(recipe, checkpoints)
    comparisons = [_comparison(recipe, name, ended, found) for name in recipe.conditions]
    rows_under = {one.condition: one.results for one in comparisons}
    ranking = over_data_sets(
        {data: {name: rows_under[name] for name in conditions} for data, conditions in recipe.data_sets.items()}
    )
    verdicts = [{"condition": one.condition, **one.verdict} for one in comparisons]
    write_json(folder / "verdict.json", {"comparisons": verdicts, "ranking": ranking})
    made_on = environment(ended.rows)
    notes = [f"{name} did not finish: {reason}" for name, reason in ended.failed.items()]
    notes += [*ended.waiting, *remarks(ended.rows), *found.notes]
    write_report(
        folder,
        ended.rows,
        comparisons,
        recipe_resolved=recipe.resolved(),
        gallery=found.gallery,
        class_mix=found.mix,
        notes=notes,
        environment={"command": command, **made_on},
        doubtful=_doubtful(recipe, checkpoints),
        queried=_queried(recipe, checkpoints),
        methods_text=methods_text(recipe, ended.rows, comparisons, made_on, ranking),
        ranking=ranking,
        audits=outlooks(recipe, checkpoints),
    )
    return Concluded(comparisons, ranking)


def _comparison(recipe: Recipe, condition: str, ended: Ended, found: Asked) -> Comparison:
    """Return what the arms came to under one condition, what they bought, and how sure they are."""
    arms = recipe.conditions[condition]
    rows = renamed(ended.rows, arms)
    encoders = {recipe.arms[whole].encoders for whole in arms.values()}
    said = verdict(rows, recipe.baseline, recipe.treatment, min(filter(None, encoders), default=None))
    bought = {name: found.bought[arm] for name, arm in arms.items() if arm in found.bought}
    shared = overlaps(bought, {name: found.askable[arms[name]] for name in bought})
    sure = {name: found.sureness[arm] for name, arm in arms.items() if arm in found.sureness}
    return Comparison(condition, arms, rows, said, shared, sure)


def _doubtful(recipe: Recipe, checkpoints: Path) -> list[dict[str, Any]]:
    """Return the first labels of audit.csv that differ from what similar images say, with their pictures."""
    rows = read_audit(checkpoints / recipe.name)
    if not rows:
        return []
    images = images_of(next(iter(recipe.arms.values())), checkpoints)
    if len(images.pool.shape) != 3:
        return []
    known = [row for row in rows if row["id"] in images.pool]
    return [{**row, "data_uri": picture(images, row["id"])} for row in known[:DOUBTFUL]]


def _queried(recipe: Recipe, checkpoints: Path) -> dict[str, Any]:
    """Return query.json with the pictures of every strategy's first picks; empty where nothing was asked."""
    found, rows = read_query(checkpoints / recipe.name)
    if not found or found["arm"] not in recipe.arms:
        return {}
    images = images_of(recipe.arms[found["arm"]], checkpoints)
    pictures: dict[str, list[dict[str, Any]]] = {}
    for row in rows if len(images.pool.shape) == 3 else ():
        if int(row["rank"]) <= SHOWN and row["id"] in images.pool:
            truth = row["oracle_label"] if row.get("oracle_wrong") == "1" else ""
            item = {**row, "label": row["predicted"], "truth": truth, "data_uri": picture(images, row["id"])}
            pictures.setdefault(row["strategy"], []).append(item)
    return {**found, "pictures": {name: [(found["round"], items, len(items))] for name, items in pictures.items()}}


def environment(rows: Sequence[Row] = ()) -> dict[str, str]:
    """Return the versions and the machine of this process, and the devices and threads that `rows` were computed on."""
    packages = ("ssal", "torch", "pytorch-lightning", "lightly", "kornia", "timm", "numpy", "scikit-learn")
    device, threads = (sorted({str(row[name]) for row in rows if row.get(name)}) for name in MACHINE)
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": ", ".join(device) or device_name("auto"),
        "threads": " or ".join(threads) or str(torch.get_num_threads()),
        **{package: version(package) for package in packages},
    }
