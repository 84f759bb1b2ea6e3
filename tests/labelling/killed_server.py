"""A process that starts `ssal label` many times, one at a time, answers over HTTP, and kills it at any moment.

It imports no torch and starts servers by a fork, so that hundreds of kills take seconds, and holds the ledger, as every
kill has left it, against what was acknowledged. Prints how much that was.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from ssal import cli
from ssal.labelling.answers import LABEL, SKIPPED
from ssal.labelling.ledger import Ledger
from ssal.labelling.server import serve
from ssal.labelling.server.question import find_cell

assert serve, "imported before the forks, which cost less so"
PATIENCE = 60.0
"""Seconds to wait for an answer: a machine may be busy."""
LATEST = 0.05
"""Seconds, at most, from an answer's being acknowledged, or every fourth time from before the first, to the kill."""
COMMAND = ["ssal", "label", "recipe.yaml", "--port", "0", "--no-open"]


def start() -> tuple[int, int]:
    """Return process and port of a server that listens."""
    told, telling = os.pipe()
    child = os.fork()
    if not child:
        sys.stdout, sys.argv = os.fdopen(telling, "w"), COMMAND
        try:
            cli.main()
        finally:
            os._exit(1)
    os.close(telling)
    said = ""
    with os.fdopen(told) as lines:
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", said)):
            line = lines.readline()
            assert line, f"the server ended: {said}"
            said += line
    return child, int(found[1])


Acknowledged = list[tuple[str, list[int], list[dict[str, Any]]]]
"""What was said or undone, at which positions, and the answers themselves."""


def answer_on(port: int, draw: random.Random, after: int, begun: Callable[[], None]) -> Acknowledged:
    """Answer singly and several at once, and take some back, until the server is gone; return what it acknowledged.

    `begun` is called `after` so many answers.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    acknowledged: Acknowledged = []

    def post(path: str, **body: Any) -> Any:
        headers = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"}
        connection.request("POST", f"/api/{path}", json.dumps({"key": asked["key"], "who": "ann", **body}), headers)
        answer = connection.getresponse()
        found = answer.read()
        assert answer.status == 200, found
        return json.loads(found)

    connection.request("GET", "/api/question")
    asked = json.loads(connection.getresponse().read())
    images = post("look", look="queue")["progress"]["images"]
    try:
        for turn in count():
            if turn == after:
                begun()
            first, several = draw.randrange(images), draw.choice((1, 1, 5))
            kind, label = (LABEL, draw.choice(asked["classes"])) if draw.random() < 0.9 else (SKIPPED, None)
            given = [
                {"number": (first + step) % images, "kind": kind, "label": label, "seconds": draw.random()}
                for step in range(several)
            ]
            positions = post("answers", answers=given)["positions"]
            acknowledged.append(("said", positions, given))
            if draw.random() < 0.3:
                post("undo", positions=positions)
                acknowledged.append(("undone", positions, []))
    except (OSError, http.client.HTTPException, ValueError):  # a reply that was cut off acknowledges nothing
        pass
    return acknowledged


def check(cell: Path, copy: Path, ids: list[str], acknowledged: Acknowledged) -> None:
    """Hold the ledger against what was acknowledged; a copy of it, so that the next server repairs what is torn."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in cell.glob("ledger.sqlite*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, copy)
    ledger = Ledger(copy / "ledger.sqlite")
    assert ledger.chain.damages() == []
    rows = {row["position"]: row for row in ledger.chain.rows()}
    undone = {int(row["about"]) for row in rows.values() if row["event"] == "undone"}
    for what, positions, given in acknowledged:
        assert what == "said" or undone.issuperset(positions)
        for position, one in zip(positions, given, strict=what == "said"):
            row = rows[position]
            assert [row["id"], row["kind"], row["label"]] == [ids[one["number"]], one["kind"], one["label"]]


def main(kills: int) -> None:
    draw, acknowledged = random.Random(0), Acknowledged()
    cell = find_cell(Path("recipe.yaml"), Path("checkpoints"))
    folder = cell.question()
    assert folder is not None
    ids = [image["id"] for image in json.loads((folder / "question.json").read_text())["images"]]
    for number in range(kills):
        child, port = start()
        signal.signal(signal.SIGALRM, lambda *_, child=child: os.kill(child, signal.SIGKILL))
        begun = lambda: signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.0001, LATEST))  # noqa: E731
        acknowledged += answer_on(port, draw, min(number % 4, 1), begun)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, f"it ended by itself: {status}"
        check(cell.folder, Path("copy"), ids, acknowledged)
    print(json.dumps(Counter(what for what, *_ in acknowledged)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
