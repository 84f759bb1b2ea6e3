"""Functions that worker processes are given to run in tests, and what the tests look at from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CELLS = """
import os, signal, subprocess, sys, time
from pathlib import Path
print("said while importing")
os.write(1, b"said below Python while importing\\n")

class Peculiar(Exception):
    pass

def add(a, b):
    return a + b

def where(folder, number):
    time.sleep(0.2)
    return os.getpid()

def noise(number):
    print("to standard output", number)
    os.write(1, b'{"state": "done", "value": "forged"}\\n')
    subprocess.run(["echo", "from a child"], check=True)
    print("to standard error", number, file=sys.stderr)
    return number

def fails(number):
    if number == 1:
        raise Peculiar("number one, \\"quoted\\"\\nover two lines")
    return number

def dies(folder, number, deaths):
    mark = Path(folder) / f"tries_{number}"
    tries = len(mark.read_text()) if mark.exists() else 0
    mark.write_text("x" * (tries + 1))
    if tries < deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return tries + 1

def long(folder, number):
    if number:
        (Path(folder) / f"pid_{os.getpid()}").touch()
        time.sleep(60)
    return number

def exits(number):
    if number == 1:
        sys.exit(7)
    return os.getpid()

def unsayable(number):
    return {number} if number == 1 else os.getpid()

def loud(number):
    os.write(2, b"\\xff\\xfe" * 100_000 + b" end\\n")
    return number

def deaf(folder, number):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return long(folder, number)

def leaves_a_child(folder, number, dies):
    if not os.fork():
        long(folder, 1)
        os._exit(0)
    if dies:
        os._exit(9)
    return number

def threads():
    return os.environ["OMP_NUM_THREADS"]
"""

Runner = Callable[..., list[tuple[int, str, Any]]]
"""Runs a function of these over keywords, with a number of jobs; returns what ended, in the order of the cells."""


def alive(folder: Path) -> list[int]:
    """Return which processes that left their id in `folder` still run."""
    pids = [int(path.name.removeprefix("pid_")) for path in folder.glob("pid_*")]
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in state(pid)]


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def wait_until(true: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def children() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == os.getpid():
                found.append(int(entry.name))
    return found


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def workers() -> list[int]:
    """Return the worker processes of this process."""
    return [pid for pid in children() if "ssal.executors.worker" in command(pid)]
