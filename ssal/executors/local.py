"""Local executor: a few recycled worker processes on this machine, since importing the stack costs CPU-seconds."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from ssal.executors.process import Died, Process

log = logging.getLogger("ssal")


def cores() -> int:
    """Return how many cores this process may use, which a batch system can make fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores_per_cell(jobs: int) -> int:
    """Return a cell's share of this machine where `jobs` run side by side."""
    return max(1, cores() // jobs)


def threads_per_cell(jobs: int) -> int:
    """Return how many threads a cell computes with, which is the same wherever it runs: its last bits follow from it.

    An exported OMP_NUM_THREADS holds (of a list, as in 4,2, the first); without one it is the cell's share of cores.
    """
    exported = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(exported) if exported.isdecimal() and int(exported) else cores_per_cell(jobs)


def _next(queue: SimpleQueue[Any]) -> Any:
    """Wait for the next entry; a Ctrl-C that came just before a wait is only met after it, so no wait is long."""
    while True:
        with suppress(Empty):
            return queue.get(timeout=0.5)


def run(
    function: str,
    cells: Sequence[dict[str, Any]],
    names: Sequence[str],
    jobs: int,
    devices: Sequence[str] = (),
    tries: int = 2,
) -> Generator[tuple[int, str, Any]]:
    """Call `module:function` with every cell's keywords; yield (index, state, value) as cells end.

    What a worker says on standard error is logged line by line under the name of its cell. The workers take turns at
    `devices`, GPUs by number: each sees one alone; where none are named, they see what this process does.

    The state is `done` or the name of the exception. A worker that dies is replaced and its cell tried again; after
    `tries` deaths the cell's state is `Died` and the others go on. Closing the iterator kills the workers.
    """
    # Simple queues: Ctrl-C may raise between any two lines of the other kind and leave it locked for the threads.
    waiting: SimpleQueue[tuple[int, int]] = SimpleQueue()
    ended: SimpleQueue[tuple[int, str, Any] | None] = SimpleQueue()
    for index in range(len(cells)):
        waiting.put((index, 1))
    stopping = threading.Event()
    refused: list[OSError] = []

    def work(process: Process) -> None:
        while not stopping.is_set():
            index, attempt = waiting.get_nowait()
            try:
                process.start()
            except OSError as error:  # no memory or no files for one more: the cell is for those that run
                waiting.put((index, attempt))
                refused.append(error)
                log.warning("a worker cannot be started: %s", error)
                return
            try:
                ended.put((index, *process.ask(names[index], cells[index])))
            except Exception as error:  # of any kind: the cell must end with a state
                process.end()
                reason = str(error) if isinstance(error, Died) else f"with {error!r}"
                if stopping.is_set():
                    return
                if attempt < tries:
                    log.warning("%s is tried again, its process died %s", names[index], reason)
                    waiting.put((index, attempt + 1))
                else:
                    ended.put((index, "Died", f"its process died {tries} times, last {reason}"))

    def serve(process: Process) -> None:
        # A terminal's Ctrl-C reaches every process, but the parent ends its workers; they are born deaf to it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with closing(process), suppress(Empty):
                work(process)
        finally:
            ended.put(None)

    count = min(jobs, len(cells))
    turns = [devices[worker % len(devices)] if devices else "" for worker in range(count)]
    processes = [Process(function, threads=threads_per_cell(jobs), device=device) for device in turns]
    threads = [threading.Thread(target=serve, args=(process,), daemon=True) for process in processes]
    try:
        for thread in threads:
            thread.start()
        left = set(range(len(cells)))
        for _ in threads:
            for end in iter(partial(_next, ended), None):
                left.discard(end[0])
                yield end
        for index in sorted(left):
            yield index, "Died", "no worker is left" + "".join(f": {error}" for error in refused[-1:])
    finally:
        stopping.set()
        for process in processes:
            process.stop()
        patience = time.monotonic() + 5
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, patience - time.monotonic()))
