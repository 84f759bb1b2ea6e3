"""Embeddings: features that some encoder left in a .npy or .safetensors file, instead of images."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ssal.data.listing import Item, Listing
from ssal.data.manifest import part_of, rows
from ssal.errors import BadInput
from ssal.registry import dataset


@dataset
def embeddings(*, path: str = "", manifest: str | None = None) -> Listing:
    """Features of any encoder: rows of a .npy file, or the tensor `features` of a .safetensors file.

    Line i of the CSV `manifest` (default: the same name with .csv) says what row i is, in any of the columns id
    (16 hex digits), path, label and split. A .safetensors file may instead hold an integer tensor `labels`, -1 where
    there is none. Rows without an id get the hash of their values.
    """
    if not path:
        raise BadInput("data.path: say where the features are: data.path=FILE.npy or FILE.safetensors")
    file = Path(os.path.expanduser(path))
    if not file.is_file():
        raise BadInput(f"data.path: {file} does not exist (from {Path.cwd()})")
    features, numbers = _read(file)
    beside = Path(os.path.expanduser(manifest)) if manifest else file.with_suffix(".csv")
    if manifest or beside.is_file():
        return _with_manifest(features, beside)
    labels = [None if number < 0 else str(number) for number in numbers] if numbers else [None] * len(features)
    items = [Item(f"{file.name}/{row}", label) for row, label in enumerate(labels)]
    return Listing(items, _no_images, "", features=features)


def _with_manifest(features: NDArray[np.float32], manifest: Path) -> Listing:
    lines = rows(manifest, ())
    if len(lines) != len(features):
        raise BadInput(f"{manifest}: expected one line for each of {len(features)} rows of features, got {len(lines)}")
    items, problems, ids = [], [], dict[str, int]()
    for number, (line, row) in enumerate(lines):
        part, problem = part_of(row)
        if problem:
            problems.append((line, problem))
        id = row.get("id", "")
        if "id" in row and not re.fullmatch(r"[0-9a-f]{16}", id):
            problems.append((line, f"id {id!r} is not 16 hex digits; use the column path for other names"))
        elif "id" in row and (first := ids.setdefault(id, line)) != line:
            problems.append((line, f"id {id} stands in line {first} already"))
        items.append(Item(row.get("path") or id or f"row {number}", row.get("label") or None, part, line))
    own = tuple(row["id"] for _, row in lines) if "id" in lines[0][1] else None
    return Listing(items, _no_images, "", problems=tuple(problems), manifest=str(manifest), features=features, ids=own)


def _no_images(number: int) -> bytes:
    raise BadInput("data: embeddings have no pixels")


def _read(file: Path) -> tuple[NDArray[np.float32], list[int] | None]:
    """Return features (n, D) and the labels that came with them. Raises BadInput."""
    numbers = None
    try:
        if file.suffix == ".safetensors":
            tensors = load_file(file)
            if "features" not in tensors:
                raise BadInput(f"{file}: expected a tensor named features, got {sorted(tensors)}")
            features = tensors["features"]
            numbers = tensors["labels"].tolist() if "labels" in tensors else None
        else:
            features = np.load(file, mmap_mode="c", allow_pickle=False)
    except (ValueError, EOFError, SafetensorError) as error:
        raise BadInput(f"{file}: expected a .npy or .safetensors file: {error}") from error
    if features.ndim != 2 or features.dtype.kind != "f" or not len(features):
        raise BadInput(f"{file}: expected floats in rows of one length, got {features.dtype} of shape {features.shape}")
    if numbers is not None and len(numbers) != len(features):
        raise BadInput(f"{file}: expected {len(features)} labels, one per row of features, got {len(numbers)}")
    rows = np.asarray(features).astype(np.float32, copy=False)
    if bad := int((~np.isfinite(rows).all(1)).sum()):
        raise BadInput(f"{file}: {bad} of {len(rows)} rows hold values that are not finite")
    return rows, numbers
