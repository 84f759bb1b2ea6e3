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
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from measuring import commit, processor_in_words

from ssal.labelling.ledger import Ledger

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "labelling"))  # a test holds the same figures

from page_load import IMAGES, ROWS, SIDE, Client, answer_together, cell_in, prepare, started  # noqa: E402

PEOPLE, ANSWERS, STARTS = ("ann", "ben"), 200, 5
RESULT = Path(__file__).parent / "results" / "labelling_page"


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
                with busy() if beside == "both cores busy" else nullcontext():
                    served, seconds = started(folder)
                    spent = of_process(served.process.pid)
                    served.kill()
                starts.append({"beside": beside, "seconds": seconds, "processor_seconds": spent})
        served, _ = started(folder)
        clients = answer_together(served.port, PEOPLE, ANSWERS)
        served.kill()
        damages = Ledger(cell_in(folder) / "ledger.sqlite").chain.damages()
    assert not damages
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
        f"\n{len(PEOPLE)} clients, {ANSWERS} answers each, a question of {IMAGES:,} images of {SIDE[0]} × {SIDE[1]} "
        f"pixels ({kibibytes:.0f} KiB), a ledger of {ROWS:,} rows. Milliseconds on loopback; the clients took "
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
