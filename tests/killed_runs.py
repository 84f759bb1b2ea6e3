"""Runs of the command line that are killed, for tests: one process imports everything and forks a run at a time.

A fork is safe only while nothing has started a thread, so the process computes nothing itself and checks that.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Runs:
    """Starts runs; each is a process of its own that works on the command line it is given."""

    def __init__(self, logs: Path) -> None:
        """What runs print goes to files in `logs`."""
        self.logs = logs
        self.count = 0
        self.seconds = 0.0
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(
        self,
        *words: str,
        die: tuple[str, str, int] | None = None,
        after: float | None = None,
        sent: int = signal.SIGKILL,
    ) -> int:
        """Run `ssal words…` and return its exit code, or minus the signal that ended it.

        `die`: (name, before or after, n) sends the signal at the n-th call, from 0, of a stage as a round calls it,
        of the ledger's `append` or `set_aside`, or of `replace`, which gives a written file its name; `after`:
        seconds until it is sent from outside.
        """
        self.count += 1
        log = self.logs / f"run_{self.count}.txt"
        assert self.server.stdin and self.server.stdout
        task = {"words": words, "die": die, "after": after, "sent": int(sent), "log": str(log)}
        began = time.monotonic()
        self.server.stdin.write(json.dumps(task) + "\n")
        self.server.stdin.flush()
        line = self.server.stdout.readline()
        assert line, "the process that starts runs has ended"
        self.seconds = time.monotonic() - began
        return int(json.loads(line))

    @property
    def said(self) -> str:
        """Return what the last run printed."""
        return (self.logs / f"run_{self.count}.txt").read_text()

    def close(self) -> None:
        """End the process that starts runs."""
        assert self.server.stdin
        self.server.stdin.close()
        self.server.wait(timeout=60)


def dying(call: Any, moment: str, number: int, sent: int) -> Any:
    """Return `call` so that this process sends itself a signal before or after its n-th call."""
    calls = iter(range(1_000_000))

    def called(*arguments: Any, **keywords: Any) -> Any:
        now = next(calls) == number
        if now and moment == "before":
            os.kill(os.getpid(), sent)
        result = call(*arguments, **keywords)
        if now:
            os.kill(os.getpid(), sent)
        return result

    return called


def arrange(die: tuple[str, str, int], sent: int) -> None:
    """Make a stage deadly in this process."""
    import pathlib

    import ssal.question
    import ssal.round
    from ssal.labelling.ledger import Ledger

    stage, moment, number = die
    owners = {"append": Ledger, "set_aside": Ledger, "replace": pathlib.Path}
    owners |= {"collect": ssal.question, "choose": ssal.question}
    owner: Any = owners.get(stage, ssal.round)
    setattr(owner, stage, dying(getattr(owner, stage), moment, number, sent))


def child(task: dict[str, Any]) -> None:
    """Be one run; does not return."""
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    from ssal import cli, loop

    loop.STEPS_PER_LEG = 2  # a checkpoint may be written every two steps
    if task["die"]:
        arrange(task["die"], task["sent"])
    sys.argv = ["ssal", *task["words"]]
    try:
        cli.main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """Import, then fork a run for every line of standard input."""
    import ssal.compare
    import ssal.embed
    import ssal.plan
    from ssal import registry

    assert ssal.compare and ssal.embed and ssal.plan
    for kind in registry.FOLDERS:
        registry.methods(kind)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for line in sys.stdin:
        task = json.loads(line)
        threads = len(list(Path("/proc/self/task").iterdir())) if Path("/proc/self/task").exists() else 1
        assert threads == 1, f"{threads} threads: a forked process may hang"
        pid = os.fork()
        if not pid:
            child(task)
        if task["after"] is not None:
            time.sleep(task["after"])
            os.kill(pid, task["sent"])
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
