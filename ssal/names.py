"""What a folder of runs under checkpoints/ may be called; imports nothing heavy, as commands that only look need it."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

FOLDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SHARED_FOLDERS = ("data", "encoders", "learners")
"""Folders under checkpoints/ that all recipes share, so none can be called like that."""

RECIPE_KEYS = (
    "name", "seeds", "data", "backbone", "pretext", "learner", "acquisition", "labelling", "evaluation", "trainer",
    "signals", "compare", "arms", "grid", "zip",
)  # fmt: skip
"""The keys at the top of a recipe."""


def run_name(images: Path) -> str:
    """Return a name for a project's runs that follows from the name of its folder, or .tar, of images."""
    plain = unicodedata.normalize("NFKD", images.resolve().name.removesuffix(".tar")).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._-")[:80]
    return name if re.match(FOLDER_NAME, name) and name not in SHARED_FOLDERS else f"project_{name}".rstrip("_")
