"""Arms × seeds: every cell run, resumed or skipped, then one table, one verdict, one report."""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ssal.artefacts import write_json
from ssal.audit import read_audit
from ssal.cells import Cell, cells_of, images_of, run_cell
from ssal.claim import finished, unchanged
from ssal.data.images import Images
from ssal.errors import BadInput, Waiting, told
from ssal.evaluation.results import remarks, write_results
from ssal.evaluation.verdict import verdict
from ssal.executors import local
from ssal.labelling.ledger import NO_CLASS, Ledger
from ssal.project import results
from ssal.query import read_query
from ssal.recipe import Recipe
from ssal.report.report import data_uri, write_report

log = logging.getLogger("ssal")
ENDS = {"done": "done", "Waiting": "waits for people", "BadInput": "refused"}
"""State of a cell -> what the progress line says."""
DOUBTFUL = 48
"""Labels of an audit that the report shows."""
PICKED = 12
"""Pictures of each strategy's picks, and of each round's questions, that it shows."""


@dataclass(frozen=True)
class Ended:
    """What a recipe's cells have come to."""

    rows: list[dict[str, Any]]
    """Of results.csv: one per arm, seed and round."""
    failed: dict[str, str] = field(default_factory=dict)
    """Cell -> why it did not finish."""
    waiting: list[str] = field(default_factory=list)
    """Where people are still to answer."""


def run_all(recipe: Recipe, overrides: list[str], checkpoints: Path, jobs: int = 0, overwrite: bool = False) -> Ended:
    """Run every cell that is not finished, and write results.csv.

    Raises BadInput, after the other cells have run, where a cell refuses its recipe; results.csv then stays as it was.
    """
    cells = cells_of(recipe, checkpoints)
    todo = [cell for cell in cells if not _finished(cell, checkpoints)]
    if len(todo) < len(cells):
        log.info("%d of %d cells are finished already", len(cells) - len(todo), len(cells))
    failed: dict[str, str] = {}
    waiting: list[str] = []
    refused: list[str] = []
    keywords = [
        {
            "path": str(recipe.path),
            "overrides": overrides,
            "arm": cell.arm.name,
            "seed": cell.seed,
            "checkpoints": str(checkpoints),
            "overwrite": overwrite,
        }
        for cell in todo
    ]
    names = [f"{cell.arm.name} seed {cell.seed}" for cell in todo]
    jobs = min(jobs or default_jobs(), len(todo))
    ended = local.run("ssal.cells:run_cell", keywords, names, jobs) if jobs > 1 else _here(keywords)
    with closing(ended):
        for done, (index, state, value) in enumerate(tracked(ended, len(todo)), start=1):
            name = names[index]
            log.info("%s: %s (%d of %d cells)", name, ENDS.get(state, "failed"), done, len(todo))
            if state == "BadInput":
                refused.append(value)
            elif state == "Waiting":
                waiting.append(value)
            elif state != "done":
                failed[name] = f"{state}: {value}"
                log.error("%s failed%s: %s", name, " and the others go on" if len(todo) > 1 else "", failed[name])
    if refused:
        for text in waiting:
            log.warning("%s", text)
        raise BadInput("\n".join(dict.fromkeys(refused)))
    rows = so_far(recipe, checkpoints).rows
    write_results(checkpoints / recipe.name / "results.csv", rows)
    return Ended(rows, failed, waiting)


def so_far(recipe: Recipe, checkpoints: Path) -> Ended:
    """Return the rows of every round that stands, without running anything."""
    return Ended([row for cell in cells_of(recipe, checkpoints) for row in results(cell.arm, cell.seed, cell.folder)])


def _finished(cell: Cell, checkpoints: Path) -> bool:
    """Say whether a cell is done under this very recipe; its images are loaded only where the rest says yes."""
    record = finished(cell.arm, cell.folder)
    return record is not None and unchanged(record, cell.arm, images_of(cell.arm, checkpoints), cell.folder)


def default_jobs() -> int:
    """Return how many cells run side by side: one per core on a CPU, one on a GPU."""
    return 1 if torch.cuda.is_available() else local.cores()


def tracked(ended: Iterable[Any], total: int) -> Iterator[Any]:
    """Pass cells through as they end; on a terminal, under a bar with the time that is left."""
    if not sys.stderr.isatty() or total < 2 or not log.isEnabledFor(logging.INFO):
        yield from ended
        return
    console = Console(stderr=True)
    columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("cells", total=total)
        for cell in ended:
            yield cell
            bar.advance(task)


def _here(keywords: list[dict[str, Any]]) -> Generator[tuple[int, str, Any]]:
    """Run cells one after another in this process; a failed one does not stop the others."""
    for index, cell in enumerate(keywords):
        log.info("%s seed %d", cell["arm"], cell["seed"])
        try:
            yield index, "done", run_cell(**cell)
        except Exception as error:
            if not isinstance(error, BadInput | Waiting):
                log.debug("cell failed", exc_info=True)
            yield index, type(error).__name__, told(error)


def conclude(recipe: Recipe, ended: Ended, checkpoints: Path, command: str) -> dict[str, Any]:
    """Write verdict.json and report.html beside results.csv; return the verdict. `command` is what was typed."""
    folder = checkpoints / recipe.name
    shared = {arm.encoders for name, arm in recipe.arms.items() if name in (recipe.baseline, recipe.treatment)}
    said = verdict(ended.rows, recipe.baseline, recipe.treatment, min(filter(None, shared), default=None))
    write_json(folder / "verdict.json", said)
    gallery: dict[str, list[tuple[int, list[dict[str, Any]]]]] = {}
    mix: dict[str, list[dict[str, Any]]] = {}
    notes = [f"{name} did not finish: {reason}" for name, reason in ended.failed.items()]
    notes += [*ended.waiting, *remarks(ended.rows)]
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
                gallery.setdefault(cell.arm.name, []).append(
                    (
                        number,
                        [
                            {
                                "id": entry.id,
                                "label": entry.label or NO_CLASS,
                                "score": entry.score,
                                "data_uri": _picture(images, entry.id),
                            }
                            for entry in asked[:PICKED]
                        ],
                    )
                )
        notes += [line for line in images.summary() if line not in notes]
    write_report(
        folder,
        ended.rows,
        recipe_resolved=recipe.resolved(),
        gallery=gallery,
        class_mix=mix,
        verdict=said,
        notes=notes,
        environment={"command": command, **environment()},
        doubtful=_doubtful(recipe, checkpoints),
        queried=_queried(recipe, checkpoints),
    )
    return said


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
