"""A process that starts many others, one at a time, which answer through the page's desk until they are killed.

It imports no torch and starts them by a fork, so that hundreds of kills take seconds. Prints what was acknowledged.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from ssal.labelling.answers import LABEL, SKIPPED, Answer
from ssal.labelling.server.desk import Desk
from ssal.labelling.server.question import Cell, read_question

PATIENCE = 60.0
"""Seconds to wait for a first answer: a machine may be busy."""


def answer_on(cell: Cell, told: int, seed: int) -> None:
    """Answer what the desk asks, singly and several at once, and take some back; tell what it acknowledged."""
    draw = random.Random(seed)
    folder = cell.question()
    assert folder is not None
    question, _ = read_question(folder)
    desk = Desk(question, folder, cell.ledger)
    while True:
        number = draw.randrange(len(question.images))
        several = {(number + step) % len(question.images): None for step in range(draw.choice((1, 1, 5)))}
        kind, label = (LABEL, draw.choice(question.classes)) if draw.random() < 0.9 else (SKIPPED, None)
        answers = {at: Answer(question.images[at].id, kind, label, "ann", draw.random()) for at in several}
        desk.look("ann", "queue")
        back = draw.random() < 0.3
        positions = desk.answer("ann", answers)
        if back:
            desk.undo("ann", positions)
        given = [[a.id, a.kind, a.label] for a in answers.values()]
        os.write(told, json.dumps(["undone" if back else "said", positions, given]).encode() + b"\n")


def main(folder: str, kills: int) -> None:
    cell = Cell(Path(folder), "margin", 0)
    told = os.open(cell.folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    draw = random.Random(0)
    for seed in range(kills):
        child = os.fork()
        if not child:
            try:
                answer_on(cell, told, seed)
            finally:
                os._exit(1)
        before, patience = os.fstat(told).st_size, time.monotonic() + PATIENCE
        while os.fstat(told).st_size == before and time.monotonic() < patience:  # until it has answered something
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, f"it ended by itself: {status}"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
