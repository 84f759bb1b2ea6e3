"""Local executor: a few recycled worker processes on this machine, since importing the stack costs CPU-seconds."""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from typing import Any

log = logging.getLogger("ssal")


def run(
    function: str, cells: Sequence[dict[str, Any]], names: Sequence[str], jobs: int, tries: int = 2
) -> Generator[tuple[int, str, Any]]:
    """Call `module:function` with every cell's keywords; yield (index, state, value) as cells end.

    What a worker says on standard error is logged line by line under the name of its cell.

    The state is `done` or the name of the exception. A worker that dies is replaced and its cell tried again; after
    `tries` deaths the cell's state is `Died` and the others go on. Closing the iterator ends the workers.
    """
    waiting: queue.Queue[tuple[int, int]] = queue.Queue()
    ended: queue.Queue[tuple[int, str, Any]] = queue.Queue()
    for index in range(len(cells)):
        waiting.put((index, 1))
    workers: list[subprocess.Popen[str]] = []
    stopping = threading.Event()

    def serve() -> None:
        worker: subprocess.Popen[str] | None = None
        current = {"name": ""}
        while not stopping.is_set():
            try:
                index, attempt = waiting.get_nowait()
            except queue.Empty:
                break
            if worker is None:
                worker = _spawn(function, jobs)
                workers.append(worker)
                if stopping.is_set():  # after it joined the list: one of the two sees the other
                    worker.terminate()
                threading.Thread(target=_relay, args=(worker, current), daemon=True).start()
            current["name"] = names[index]
            line = _exchange(worker, json.dumps(cells[index]))
            if line:
                answer = json.loads(line)
                ended.put((index, answer["state"], answer["value"]))
                continue
            code = worker.wait()
            worker = None
            if stopping.is_set():
                break
            if attempt < tries:
                log.warning("a worker died with code %s; its cell is tried again", code)
                waiting.put((index, attempt + 1))
            else:
                ended.put((index, "Died", f"its process died {tries} times, last with code {code}"))
        if worker is not None and worker.stdin:
            worker.stdin.close()
            worker.wait()

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(min(jobs, len(cells)))]
    for thread in threads:
        thread.start()
    try:
        for _ in cells:
            yield ended.get()
    finally:
        stopping.set()
        for process in workers:
            if process.poll() is None:
                process.terminate()
        for thread in threads:
            thread.join(timeout=30)


def _spawn(function: str, jobs: int) -> subprocess.Popen[str]:
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    return subprocess.Popen(
        [sys.executable, "-m", "ssal.executors.worker", function],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _relay(worker: subprocess.Popen[str], current: dict[str, str]) -> None:
    """Log what a worker says, which it does only at the level that was asked for, under the name of its cell."""
    assert worker.stderr
    for line in worker.stderr:
        log.log(max(logging.INFO, log.getEffectiveLevel()), "%s: %s", current["name"], line.rstrip())


def _exchange(worker: subprocess.Popen[str], line: str) -> str:
    """Send one line, return the answer; an empty string where the worker died."""
    assert worker.stdin and worker.stdout
    try:
        worker.stdin.write(line + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return ""
    return worker.stdout.readline()
