"""How fast the labelling page answers: `python benchmarks/labelling_page.py`, about a minute on 2 idle cores.

Two clients, each in a thread of its own, answer a question of 1,000 images through `ssal label` on loopback, beside a
ledger with 100,000 rows. Timed is what a person waits for: from the key (POST of the answer) until the next image's
bytes are there, though the page has fetched them ahead by then. What the page asks behind that, for the images after
the next, is timed apart. Starts are timed from the command to the first byte of the page, with nothing of ours beside
it and with two processes that keep both cores busy. Wall-clock figures depend on what else the machine does; seconds
of processor time do not, so both are given. Writes benchmarks/results/labelling_page.md and .csv.
"""

from __future__ import annotations

import csv
import datetime
import http.client
import json
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from measuring import commit, processor_in_words
from PIL import Image

from ssal.labelling.answers import LABEL, Answer
from ssal.labelling.ledger import Entry, Ledger, Said

IMAGES, ROWS, CLIENTS, ANSWERS, STARTS = 1000, 100_000, 2, 200, 5
SIDE, DIFFERENT = (1200, 900), 8
"""Pixels of an image; how many different ones there are, as encoding takes longer than all the rest."""
CLASSES = [f"class {number}" for number in range(10)]
RESULT = Path(__file__).parent / "results" / "labelling_page"


def prepare(folder: Path) -> float:
    """Write recipe, ledger and question as runs leave them; return the mean KiB of an image."""
    cell = folder / "checkpoints" / "load" / "margin" / "seed_0"
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


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, float, float]]:
    """Start the page's server; give its port, seconds until the page's first byte, and of them of processor time."""
    command = [sys.executable, "-m", "ssal", "label", "recipe.yaml", "--port", "0", "--no-open"]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    port = 0
    while not port:
        line = process.stdout.readline()
        assert line, "the server has ended"
        found = re.search(r"answer here: http://127\.0\.0\.1:(\d+)/", line)
        port = int(found[1]) if found else 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("GET", "/")
    connection.getresponse().read(1)
    seconds = time.perf_counter() - began
    try:
        yield port, seconds, of_process(process.pid)
    finally:
        connection.close()
        process.send_signal(signal.SIGKILL)
        process.wait()


def of_process(pid: int) -> float:
    """Return a process's seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def busy() -> Iterator[None]:
    """Keep every core busy with a process of its own session, as a training in another terminal does."""
    spin = [sys.executable, "-c", "while True: pass"]
    spinning = [subprocess.Popen(spin, start_new_session=True) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


class Client:
    """Somebody who answers as fast as the page lets them; `times` holds milliseconds per answer."""

    def __init__(self, port: int, who: str) -> None:
        self.who, self.port, self.times = who, port, list[dict[str, float]]()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
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

    def run(self) -> None:
        hand = self.look()
        for _ in range(ANSWERS):
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


def share(values: list[float], of: float) -> float:
    return float(np.quantile(values, of))


def main() -> None:
    starts: list[dict[str, Any]] = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kibibytes = prepare(folder)
        for beside in ("nothing of ours", "both cores busy"):
            for _ in range(STARTS):
                with busy() if beside == "both cores busy" else nullcontext(), served(folder) as found:
                    starts.append({"beside": beside, "seconds": found[1], "processor_seconds": found[2]})
        with served(folder) as (port, _, _):
            clients = [Client(port, who) for who in ("ann", "ben")[:CLIENTS]]
            threads = [threading.Thread(target=client.run) for client in clients]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        damages = Ledger(folder / "checkpoints/load/margin/seed_0/ledger.sqlite").chain.damages()
    assert all(len(client.times) == ANSWERS for client in clients) and not damages
    write(starts, clients, kibibytes, load)


def write(starts: list[dict[str, Any]], clients: list[Client], kibibytes: float, load: float) -> None:
    """Write the table and one row per answer."""
    rows = [{"client": client.who, "at": at, **times} for client in clients for at, times in enumerate(client.times)]
    with RESULT.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{v:.3f}" if isinstance(v, float) else v for name, v in row.items()} for row in rows)
    own = resource.getrusage(resource.RUSAGE_SELF)
    lines = [
        f"The labelling page, {datetime.date.today().isoformat()}, commit {commit()}, {processor_in_words()}, load "
        f"before {load:.1f}, fastapi {version('fastapi')}, uvicorn {version('uvicorn')}.",
        f"\n{CLIENTS} clients, {ANSWERS} answers each, a question of {IMAGES:,} images of {SIDE[0]} × {SIDE[1]} pixels "
        f"({kibibytes:.0f} KiB), a ledger of {ROWS:,} rows. Milliseconds on loopback; the clients took "
        f"{own.ru_utime + own.ru_stime:.0f} s of processor time themselves.\n",
        "| from the key until | median | 95 % | 99 % | most |",
        "|---|---|---|---|---|",
    ]
    for column, words in {
        "waited": "the next image’s bytes are there (goal: 95 % below 100)",
        "answer": "the answer is on disk and acknowledged",
        "image": "(the image alone)",
        "behind": "(the images after the next, behind it)",
    }.items():
        values = [row[column] for row in rows]
        cells = [f"{value:.1f}" for value in (*(share(values, of) for of in (0.5, 0.95, 0.99)), max(values))]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    lines += [
        "\nFrom `ssal label` to the first byte of the page, seconds (goal: below 2 while both cores are busy):\n",
        "| beside it | starts | median | most | processor time |",
        "|---|---|---|---|---|",
    ]
    for beside in dict.fromkeys(start["beside"] for start in starts):
        seconds = [start["seconds"] for start in starts if start["beside"] == beside]
        spent = statistics.median(start["processor_seconds"] for start in starts if start["beside"] == beside)
        cells = [str(len(seconds)), f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}", f"{spent:.2f}"]
        lines.append(f"| {beside} | " + " | ".join(cells) + " |")
    RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
