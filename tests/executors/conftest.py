"""The runner that the tests of this folder share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from worker_processes import CELLS, Runner

from ssal.executors import local


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    (tmp_path / "cells_of_a_test.py").write_text(CELLS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)

    def run(function: str, keywords: list[dict[str, Any]], jobs: int = 2) -> list[tuple[int, str, Any]]:
        names = [f"cell {number}" for number in range(len(keywords))]
        return sorted(local.run(f"cells_of_a_test:{function}", keywords, names, jobs))

    return run
