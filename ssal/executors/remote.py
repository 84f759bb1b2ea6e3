"""A cell in a process that another scheduler started: called where and as its asker would, so it gives the same."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ssal.errors import told


def answer(function: str, cell: dict[str, Any]) -> tuple[str, Any]:
    """Call `module:function` with a cell's keywords; return `done` and its value, or an error's name and its words."""
    module, _, name = function.partition(":")
    try:
        return "done", getattr(import_module(module), name)(**cell)
    except BaseException as error:  # a cell that calls sys.exit ends like any other
        logging.getLogger("ssal").debug("cell failed", exc_info=True)
        return type(error).__name__, told(error)


@dataclass(frozen=True)
class Asker:
    """What a cell's process takes over from the one that asks for it."""

    folder: str
    """Where relative paths lead from."""
    level: int
    """What is logged."""
    threads: int

    def ask(self, name: str, function: str, cell: dict[str, Any]) -> tuple[str, Any]:
        """Return the answer of a cell, which logs under its name."""
        os.chdir(self.folder)
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[variable] = str(self.threads)  # read when torch is imported, which is when the cell is called
        logging.basicConfig(format=f"{name}: %(message)s", stream=sys.stderr, level=logging.WARNING, force=True)
        logging.getLogger("ssal").setLevel(self.level)
        return answer(function, cell)


def first_line(error: BaseException) -> str:
    """Return the first line that an error says, or its name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def asker(threads: int) -> Asker:
    """Return this process as asker of cells that get so many threads."""
    return Asker(str(Path.cwd()), logging.getLogger("ssal").getEffectiveLevel(), threads)
