"""Arms × seeds: every cell run, resumed or skipped, then one table."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ssal.artefacts import held, write_json
from ssal.cells import Cell, cells_of, images_of, run_cell
from ssal.claim import finished, stands, unchanged
from ssal.errors import BadInput, Terminated, Waiting, told
from ssal.evaluation.results import write_results
from ssal.executors import local, named
from ssal.project import FAILED, results
from ssal.recipe import Recipe

log = logging.getLogger("ssal")
LOCAL = "local"
ENDS = {"done": "done", "Waiting": "waits for people", "BadInput": "refused"}
"""State of a cell -> what the progress line says."""


@dataclass(frozen=True)
class Ended:
    """What a recipe's cells have come to."""

    rows: list[dict[str, Any]]
    """Of results.csv: one per arm, seed and round."""
    failed: dict[str, str] = field(default_factory=dict)
    """Cell -> why it did not finish."""
    waiting: list[str] = field(default_factory=list)
    """Where people are still to answer."""
    refused: list[str] = field(default_factory=list)
    """What cells that are among the failed ones had to refuse on their way."""


def run_all(
    recipe: Recipe,
    overrides: list[str],
    checkpoints: Path,
    jobs: int = 0,
    overwrite: bool = False,
    executor: str = LOCAL,
    cells_per_gpu: int = 1,
    new_encoder: bool = False,
) -> Ended:
    """Run every cell that is not finished, `jobs` side by side (0: see `default_jobs`), and write results.csv.

    `executor` is a word that executors.named knows. Where cells use a GPU, each has one, or shares it with others.
    A cell that fails on its way is told in its folder, and the others' results are written. Raises BadInput, after the
    other cells have run, where a cell refuses to begin: results.csv then stays as it was.
    """
    cells = cells_of(recipe, checkpoints)
    todo = []
    for cell in cells:
        if _finished(cell, checkpoints):  # another recipe may have died here before it began
            (cell.folder / FAILED).unlink(missing_ok=True)
        else:
            todo.append(cell)
    if len(todo) < len(cells):
        log.info("%d of %d cells are finished already", len(cells) - len(todo), len(cells))
        if overwrite:
            log.warning("finished cells: this recipe made what stands there, so nothing is overwritten")
    failed: dict[str, str] = {}
    waiting: list[str] = []
    refused: list[str] = []
    never = False
    keywords = [
        {
            "path": str(recipe.path),
            "overrides": overrides,
            "arm": cell.arm.name,
            "seed": cell.seed,
            "checkpoints": str(checkpoints),
            "overwrite": overwrite,
            "new_encoder": new_encoder,
        }
        for cell in todo
    ]
    names = [f"{cell.arm.name} seed {cell.seed}" for cell in todo]
    accelerators = {arm.trainer.get("accelerator", named.AUTO) for arm in recipe.arms.values()}
    gpus = _gpus(accelerators)
    run = named.executor(executor, checkpoints / recipe.name, accelerators, gpus, cells_per_gpu)
    jobs = min(jobs or default_jobs(gpus, cells_per_gpu), len(todo)) or 1
    here = not todo or executor == LOCAL and jobs == 1
    ended = _here(keywords) if here else run("ssal.cells:run_cell", keywords, names, jobs)
    with closing(ended):
        for done, (index, state, value) in enumerate(tracked(ended, len(todo)), start=1):
            name = names[index]
            log.info("%s: %s (%d of %d cells)", name, ENDS.get(state, "failed"), done, len(todo))
            if state == "Waiting":
                waiting.append(value)
                continue
            if state == "done":
                continue
            begun = _begun(todo[index], checkpoints)
            if state == "BadInput":
                refused.append(value)
                never = never or not begun
            if state != "BadInput" or begun:
                failed[name] = f"{state}: {value}"
                write_json(todo[index].folder / FAILED, {"state": state, "reason": value, "begun": begun})
                log.error("%s failed%s: %s", name, " and the others go on" if len(todo) > 1 else "", failed[name])
    refused = list(dict.fromkeys(refused))
    if never:
        for text in waiting:
            log.warning("%s", text)
        raise BadInput("\n".join(refused))
    rows = so_far(recipe, checkpoints).rows
    write_results(checkpoints / recipe.name / "results.csv", rows)
    return Ended(rows, failed, waiting, refused)


def so_far(recipe: Recipe, checkpoints: Path) -> Ended:
    """Return the rows of every round that stands, without running anything."""
    return Ended([row for cell in cells_of(recipe, checkpoints) for row in results(cell.arm, cell.seed, cell.folder)])


def _begun(cell: Cell, checkpoints: Path) -> bool:
    """Say whether a cell that ended stands as this recipe began it, and nobody else is at it: then its rounds count."""
    try:
        return stands(cell.arm, images_of(cell.arm, checkpoints), cell.folder) and not held(cell.folder)
    except BadInput:
        return False


def _finished(cell: Cell, checkpoints: Path) -> bool:
    """Say whether a cell is done under this very recipe; its images are loaded only where the rest says yes.

    A project in which people answer goes on where images joined or went.
    """
    record = finished(cell.arm, cell.folder)
    if record is None:
        return False
    images = images_of(cell.arm, checkpoints)
    same = not cell.arm.asks_people or record["images"] == images.fingerprint
    return same and unchanged(record, cell.arm, images, cell.folder)


def _gpus(accelerators: Collection[str]) -> list[str]:
    """Return this machine's GPUs by number, where a cell may use one."""
    wanted = any(name in (named.AUTO, *named.GPU) for name in accelerators)
    return [str(number) for number in range(torch.cuda.device_count())] if wanted else []


def default_jobs(gpus: Sequence[str] = (), cells_per_gpu: int = 1) -> int:
    """Return how many cells run side by side: one per core on CPUs, `cells_per_gpu` per GPU."""
    return len(gpus) * cells_per_gpu or local.cores()


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
    torch.set_num_threads(local.threads_per_cell(1))
    for index, cell in enumerate(keywords):
        log.info("%s seed %d", cell["arm"], cell["seed"])
        try:
            yield index, "done", run_cell(**cell)
        except Terminated:
            raise
        except (Exception, SystemExit) as error:
            if not isinstance(error, BadInput | Waiting):
                log.debug("cell failed", exc_info=True)
            yield index, type(error).__name__, told(error)
