"""A project as large as they come, and people who answer at its page as fast as it lets them."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from page_process import Served
from PIL import Image

from ssal.labelling.answers import LABEL, Answer
from ssal.labelling.ledger import Entry, Ledger, Said

IMAGES, ROWS = 1000, 100_000
SIDE, DIFFERENT = (1200, 900), 8
"""Pixels of an image; how many different ones there are, as encoding takes longer than all the rest."""
CLASSES = [f"class {number}" for number in range(10)]


def prepare(folder: Path) -> float:
    """Write recipe, ledger and question as runs leave them; return the mean KiB of an image."""
    cell = cell_in(folder)
    question = cell / "round_50" / "question"
    question.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("name: load\n", encoding="utf-8")
    ledger, half = Ledger(cell / "ledger.sqlite"), ROWS // 2
    ids = [f"{number:016x}" for number in range(half)]
    ledger.say(Said(Answer(id, LABEL, CLASSES[0], "ann", 1.0), at % 50, "page") for at, id in enumerate(ids))
    ledger.append(Entry(id, CLASSES[0], "ann", at % 50, "margin", 0.5) for at, id in enumerate(ids))
    draw = np.random.default_rng(0)
    encoded = []
    for at in range(DIFFERENT):
        rough = Image.fromarray(draw.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        rough.resize(SIDE, Image.Resampling.BICUBIC).save(question / f"{at:04}.webp", "WEBP", quality=85)
        encoded.append((question / f"{at:04}.webp").read_bytes())
    images = []
    for at in range(IMAGES):
        (question / f"{at:04}.webp").write_bytes(encoded[at % DIFFERENT])
        one: dict[str, Any] = {"id": f"{half + at:016x}", "path": f"photos/{at:05}.jpg", "file": f"{at:04}.webp"}
        one |= {
            "width": SIDE[0],
            "height": SIDE[1],
            "suggestions": [[CLASSES[at % 10], 0.5]],
            "why": "",
            "neighbours": [],
            "people": 1 + (at % 10 == 0),
        }
        images.append(one)
    asked = {"round": 50, "classes": CLASSES, "chosen_by": "margin", "images": images}
    (question / "question.json").write_text(json.dumps(asked), encoding="utf-8")
    return statistics.mean(map(len, encoded)) / 1024


def cell_in(folder: Path) -> Path:
    return folder / "checkpoints" / "load" / "margin" / "seed_0"


def started(folder: Path) -> tuple[Served, float]:
    """Return the page's server, and the seconds from its command until the page's first byte."""
    began = time.perf_counter()
    served = Served(folder)
    connection = http.client.HTTPConnection("127.0.0.1", int(served.port), timeout=600)
    connection.request("GET", "/")
    connection.getresponse().read(1)
    seconds = time.perf_counter() - began
    connection.close()
    return served, seconds


class Client:
    """Somebody who answers; `times` holds milliseconds per answer."""

    def __init__(self, port: str, who: str) -> None:
        self.who, self.port, self.times = who, port, list[dict[str, float]]()
        self._connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=600)
        self._connection.connect()  # as browsers do: http.client sends a body apart, which would wait 40 ms
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.key = json.loads(self.ask("GET", "/api/question"))["key"]

    def ask(self, method: str, path: str, **body: Any) -> bytes:
        headers = {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        self._connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self._connection.getresponse()
        found = answer.read()
        assert answer.status == 200, found
        return found

    def look(self) -> list[int]:
        found = json.loads(self.ask("POST", "/api/look", key=self.key, who=self.who, look="queue"))
        return [image["number"] for image in found["images"]]

    def run(self, answers: int) -> None:
        """Answer, and wait for the bytes of the next image each time, though the page has fetched it ahead by then."""
        hand = self.look()
        for _ in range(answers):
            answer = {"number": hand[0], "kind": "label", "label": CLASSES[hand[0] % 10], "seconds": 1.0}
            clock = [time.perf_counter()]
            self.ask("POST", "/api/answers", key=self.key, who=self.who, answers=[answer])
            clock.append(time.perf_counter())
            self.ask("GET", f"/images/{self.key}/{hand[1]}")
            clock.append(time.perf_counter())
            hand = self.look()
            clock.append(time.perf_counter())
            steps = [1000 * (after - before) for before, after in zip(clock, clock[1:], strict=False)]
            self.times.append(
                {"answer": steps[0], "image": steps[1], "waited": steps[0] + steps[1], "behind": steps[2]}
            )


def answer_together(port: str, people: tuple[str, ...], answers: int) -> list[Client]:
    """Let each of `people` give so many answers, all at once."""
    clients = [Client(port, who) for who in people]
    threads = [threading.Thread(target=client.run, args=(answers,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(client.times) for client in clients] == [answers] * len(clients)
    return clients
