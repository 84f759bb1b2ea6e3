"""Names: of a folder of runs, and of a recipe on the command line. Imports nothing heavy: quick commands need them."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ssal.errors import BadInput, nearest

FOLDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SHARED_FOLDERS = ("data", "encoders", "learners")
"""Folders under checkpoints/ that all recipes share, so none can be called like that."""

RECIPE_KEYS = (
    "name", "seeds", "data", "backbone", "pretext", "learner", "acquisition", "labelling", "evaluation", "trainer",
    "signals", "compare", "arms", "grid", "zip",
)  # fmt: skip
"""The keys at the top of a recipe, as its skeleton has them, which takes torch to import; a test holds both equal."""


CHECKPOINTS = Path("checkpoints")
"""Where runs are written, unless --checkpoints says another place."""


def typed(recipe: Path, overrides: Sequence[str] = (), checkpoints: Path = CHECKPOINTS) -> str:
    """Return what to type for a recipe behind a command: its path, what is laid over it, and where its runs are."""
    elsewhere = [] if checkpoints == CHECKPOINTS else ["--checkpoints", str(checkpoints)]
    return shlex.join([str(recipe), *overrides, *elsewhere])


def run_name(images: Path) -> str:
    """Return a name for a project's runs that follows from the name of its folder, or .tar, of images."""
    plain = unicodedata.normalize("NFKD", images.resolve().name.removesuffix(".tar")).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._-")[:80]
    return name if re.match(FOLDER_NAME, name) and name not in SHARED_FOLDERS else f"project_{name}".rstrip("_")


def recipe_name(recipe: Path, overrides: Sequence[str] = ()) -> str:
    """Return the name that a recipe writes under. Raises BadInput where it is no recipe or has none."""
    try:
        loaded = YAML(typ="safe", pure=True).load(recipe.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"{recipe}: {told}; type the path of a recipe, e.g. recipe.yaml") from error
    except YAMLError as error:
        raise BadInput(f"{recipe}: {error}; `ssal check {recipe}` says what is wrong with it") from error
    name, where = loaded.get("name") if isinstance(loaded, dict) else None, str(recipe)
    for word in overrides:
        path, equals, value = word.partition("=")  # as `ssal run` takes it: the value is YAML
        key = path.strip().partition(".")[0]
        if not equals or key not in RECIPE_KEYS:
            raise BadInput(f"{word!r}: expected key.path=value, as in name=other{nearest(key, RECIPE_KEYS)}")
        if path.strip() == "name":
            name, where = _value(value), word
    if not isinstance(name, str) or not re.match(FOLDER_NAME, name):
        raise BadInput(f"{where}: expected `name:`, the folder that the run writes to, got {name!r}")
    return name


def _value(text: str) -> object:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return text.strip()
