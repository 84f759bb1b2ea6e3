"""kill -9 at any moment: whatever the page was told is on disk is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from questions import cell_of, write_question

from ssal.labelling.ledger import Ledger

KILLS = 220


def test_no_acknowledged_answer_is_lost_by_kills(tmp_path: Path) -> None:
    """The desk is killed, which is all of the server that writes: starting uvicorn as often would take minutes."""
    cell = cell_of(tmp_path)
    write_question(cell, images=30, suggests=False)
    script = Path(__file__).with_name("killed_desk.py")
    subprocess.run([sys.executable, str(script), str(cell), str(KILLS)], check=True)
    ledger = Ledger(cell / "ledger.sqlite")
    assert ledger.chain.damages() == []
    rows = {row["position"]: row for row in ledger.chain.rows()}
    undone = {int(row["about"]) for row in rows.values() if row["event"] == "undone"}
    acknowledged = [json.loads(line) for line in (cell / "acknowledged").read_text().splitlines()]
    assert len(acknowledged) >= KILLS and {what for what, *_ in acknowledged} == {"said", "undone"}
    for what, positions, answers in acknowledged:
        assert [[rows[at]["id"], rows[at]["kind"], rows[at]["label"]] for at in positions] == answers
        assert what != "undone" or undone.issuperset(positions)
    assert len(ledger.said()) == sum(row["event"] == "said" for row in rows.values()) - len(undone)
