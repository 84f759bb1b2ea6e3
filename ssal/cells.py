"""Cells: one arm with one seed each, what an executor runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from ssal.data.images import Images
from ssal.data.load import load
from ssal.errors import BadInput, Waiting, listing, nearest
from ssal.project import run_project
from ssal.recipe import Arm, Recipe
from ssal.recipe import load as load_recipe

log = logging.getLogger("ssal")


@dataclass(frozen=True)
class Cell:
    """One arm with one seed, and its folder."""

    arm: Arm
    seed: int
    folder: Path


def cells_of(recipe: Recipe, checkpoints: Path) -> list[Cell]:
    """Return arms × seeds, arm by arm, so that cells that share an encoder seldom wait for each other."""
    return [
        Cell(arm, seed, checkpoints / recipe.name / arm.name / f"seed_{seed}")
        for arm in recipe.arms.values()
        for seed in arm.seeds
    ]


def cells_named(recipe: Recipe, checkpoints: Path, arm: str, seed: int | None) -> list[Cell]:
    """Return the cells of one arm ("": of all) and one seed (None: all). Raises BadInput where there is none."""
    if arm and arm not in recipe.arms:
        raise BadInput(
            f"{recipe.path}: there is no arm {arm!r}{nearest(arm, recipe.arms)} (arms: {', '.join(recipe.arms)})"
        )
    if seed is not None and seed not in recipe.seeds:
        raise BadInput(f"{recipe.path}: there is no seed {seed} (seeds: {', '.join(map(str, recipe.seeds))})")
    cells = cells_of(recipe, checkpoints)
    found = [cell for cell in cells if arm in ("", cell.arm.name) and seed in (None, cell.seed)]
    if not found:
        seeds = listing(map(str, recipe.arms[arm].seeds))
        raise BadInput(f"{recipe.path}: arm {arm!r} does not run with seed {seed} (its seeds: {seeds})")
    return found


@lru_cache(maxsize=2)
def _recipe(path: str, overrides: tuple[str, ...]) -> Recipe:
    return load_recipe(Path(path), overrides)


_images: dict[str, Images] = {}


def images_of(arm: Arm, checkpoints: Path) -> Images:
    """Return the arm's images, loaded once per process and moved to the device that will train."""
    key = repr([arm.trainer.get("accelerator"), sorted(arm.data.items(), key=str)])
    if key not in _images:
        _images.clear()
        images = load(checkpoints, **arm.data)
        if torch.cuda.is_available() and arm.trainer.get("accelerator", "auto") in ("auto", "gpu", "cuda"):
            images = images.to("cuda")
        for line in images.summary():
            log.info("%s", line)
        _images[key] = images
    return _images[key]


def run_cell(
    path: str,
    overrides: list[str],
    arm: str,
    seed: int,
    checkpoints: str,
    overwrite: bool = False,
    new_encoder: bool = False,
) -> str:
    """Run one cell to its end; what a worker process calls. Returns its folder.

    Raises Waiting, with what to type, where people are still to answer.
    """
    recipe = replace(_recipe(path, tuple(overrides)), checkpoints=Path(checkpoints))
    (cell,) = [c for c in cells_of(recipe, Path(checkpoints)) if c.arm.name == arm and c.seed == seed]
    images = images_of(cell.arm, Path(checkpoints))
    try:
        run_project(cell.arm, seed, images, Path(checkpoints), cell.folder, overwrite, new_encoder)
    except Waiting as waiting:
        raise Waiting(f"{waiting}, or type {_label(recipe, cell)}; then the same command again") from None
    return str(cell.folder)


def _label(recipe: Recipe, cell: Cell) -> str:
    """Return the command that opens the page of a cell that waits."""
    words = f"ssal label {recipe.typed}"
    if len(cells_of(recipe, recipe.checkpoints)) > 1:
        words += f" --arm {cell.arm.name} --seed {cell.seed}"
    return words
