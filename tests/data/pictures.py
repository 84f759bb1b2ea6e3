"""Small pictures that differ from each other, written in any format, for the tests of this folder."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ssal.data.images import Images
from ssal.data.load import load

COLOURS = {"blue": (40, 70, 200), "green": (30, 180, 60), "red": (220, 40, 50)}


def picture(number: int, colour: Sequence[int] = (120, 120, 120), size: tuple[int, int] = (12, 12)) -> Image.Image:
    """Return a picture (width, height) of noise around `colour`; each number has its own."""
    width, height = size
    noise = np.random.default_rng(number).integers(-30, 30, (height, width, 3))
    return Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))


def save(image: Image.Image, path: Path, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)
    return path


def class_folders(root: Path, each: int = 10, size: tuple[int, int] = (12, 12)) -> Path:
    """Fill root/<class>/NN.png with `each` pictures per colour."""
    for index, (name, colour) in enumerate(COLOURS.items()):
        for number in range(each):
            save(picture(100 * index + number, colour, size), root / name / f"{number:02d}.png")
    return root


def parted(root: Path, train: int = 6, test: int = 2) -> Path:
    """Fill root/train/<class>/ and root/test/<class>/."""
    for index, (name, colour) in enumerate(COLOURS.items()):
        for number in range(train + test):
            part = "train" if number < train else "test"
            save(picture(100 * index + number, colour), root / part / name / f"{number:02d}.png")
    return root


def pack(folder: Path, tar: Path, prefix: str = "") -> Path:
    with tarfile.open(tar, "w") as file:
        file.add(folder, arcname=prefix or ".")
    return tar


def folder_images(checkpoints: Path, path: Path, **keys: Any) -> Images:
    """Load `path` with the source `folder`."""
    return load(checkpoints, source="folder", options={"path": str(path)}, **keys)
