"""A worker process: reads cells as JSON lines, runs them, answers with one JSON line each. Spawned, never forked."""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from importlib import import_module

from ssal.errors import told
from ssal.executors.remote import answer


def main() -> None:
    """Serve `module:function` (first argument) until standard input ends, which is when the parent is gone too."""
    # Ctrl-C reaches every process of a terminal, but it is the parent who ends its workers, at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked by the parent until it is ignored
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    # Whatever a library prints, in Python or below it, must not end up among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr  # which writes every line at once, so that none is lost when this process leaves
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("ssal").setLevel(int(os.environ.get("SSAL_LOG_LEVEL", logging.INFO)))
    cells: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(cells,), daemon=True).start()
    function = sys.argv[1]
    module, _, name = function.partition(":")
    getattr(import_module(module), name)  # what cannot be called is told at once, not with every cell
    while True:
        state, value = answer(function, json.loads(cells.get()))
        try:
            line = json.dumps({"state": state, "value": value})
        except (TypeError, ValueError) as error:
            line = json.dumps({"state": type(error).__name__, "value": told(error)})
        # A signal may end this process in the middle of the line; the parent takes half a line for none.
        answers.write(line + "\n")
        answers.flush()


def _read(cells: queue.Queue[str]) -> None:
    """Pass lines on; at their end leave, in the middle of a cell too: nobody waits for it, and it can be resumed."""
    for line in sys.stdin:
        cells.put(line)
    os._exit(0)


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)  # an orderly end would wait for threads of libraries and fail over the one that reads
