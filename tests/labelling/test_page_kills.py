"""kill -9 at any moment: whatever the page's server acknowledged is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from questions import cell_of, recipe_in, write_question

KILLS = 220


@pytest.mark.slow
def test_no_acknowledged_answer_is_lost_by_kills(tmp_path: Path) -> None:
    """Every server is `ssal label` itself, over HTTP; only its imports are those of the process it is forked from."""
    recipe_in(tmp_path)
    write_question(cell_of(tmp_path / "checkpoints"), images=30, suggests=False)
    script = Path(__file__).with_name("killed_server.py")
    ran = subprocess.run(
        [sys.executable, str(script), str(KILLS)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    acknowledged = json.loads(ran.stdout)
    assert acknowledged["said"] >= 3 * KILLS / 4 and acknowledged["undone"] >= KILLS / 10
