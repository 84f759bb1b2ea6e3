"""What goes wrong around workers: every cell still ends with a state, and closing ends every process soon."""

from __future__ import annotations

import errno
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from worker_processes import Runner, alive, wait_until, workers

from ssal.executors import local


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """No worker outlives a test, nor a thread that serves one; what cells left behind on purpose is killed."""
    threads = set(threading.enumerate())
    yield
    for pid in alive(tmp_path):
        os.kill(pid, signal.SIGKILL)
    assert not workers()
    assert not set(threading.enumerate()) - threads


def speaks(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Take a shell script for the worker."""
    path = folder / "worker.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def refuse(monkeypatch: pytest.MonkeyPatch, refused: Callable[[int], bool]) -> None:
    """Let the system refuse the n-th process, from 0."""
    real, numbers = subprocess.Popen, iter(range(1_000_000))

    def start(*arguments: Any, **keywords: Any) -> Any:
        if refused(next(numbers)):
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return real(*arguments, **keywords)

    monkeypatch.setattr(subprocess, "Popen", start)


def test_where_no_worker_can_be_started_every_cell_is_told_why(cells: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, lambda number: True)
    ended = cells("add", [{"a": n, "b": 1} for n in range(3)])
    assert ended == [(n, "Died", "no worker is left: [Errno 12] Cannot allocate memory") for n in range(3)]


def test_where_one_worker_cannot_be_started_the_other_does_its_cells(
    cells: Runner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse(monkeypatch, lambda number: number == 1)
    assert cells("add", [{"a": n, "b": 1} for n in range(5)]) == [(n, "done", n + 1) for n in range(5)]
    assert "a worker cannot be started: [Errno 12] Cannot allocate memory" in caplog.text


@pytest.mark.parametrize(
    "script, reason",
    [
        ('read cell; printf \'{"state": "do\'; exit 3', "with code 3"),
        ("read cell; echo garbage; exec sleep 60", "after an answer that is none: b'garbage\\n'"),
        ("read cell; echo '[]'", "after an answer that is none: b'[]\\n'"),
        ('read cell; echo \'{"state": "done"}\'', 'after an answer that is none: b\'{"state": "done"}\\n\''),
        ("exec <&-; sleep 0.2; echo 'first\nno memory' >&2; exit 4", "with code 4\n  first\n  no memory"),
        ("read cell; exec >&-; exec sleep 60", "with code -9"),
    ],
)
def test_half_an_answer_or_none_is_a_death(
    cells: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    speaks(monkeypatch, tmp_path, script)
    assert cells("add", [{"a": 1, "b": 1}]) == [(0, "Died", f"its process died 2 times, last {reason}")]


@pytest.mark.parametrize("function", ["no_such_module:f", "cells_of_a_test:no_such_function"])
def test_a_worker_that_cannot_import_is_reported_with_its_last_words(cells: Runner, function: str) -> None:
    ((_, state, why),) = local.run(function, [{}], ["alone"], 1)
    assert state == "Died" and "last with code 1\n" in why
    assert f"Error: {'No module named' if function.startswith('no') else 'module'}" in why and "no_such_" in why
    assert "Fatal Python error" not in why


@pytest.mark.parametrize("function, state", [("exits", "SystemExit"), ("unsayable", "TypeError")])
def test_what_no_json_can_say_and_what_leaves_is_an_answer_like_any_error(
    cells: Runner, function: str, state: str
) -> None:
    first, second, third = cells(function, [{"number": n} for n in range(3)], 1)
    assert second[:2] == (1, state)
    assert first[1] == third[1] == "done" and first[2] == third[2], "the same process goes on"


def test_neither_noise_that_is_no_text_nor_much_of_it_stops_a_worker(
    cells: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ssal")
    assert cells("loud", [{"number": n} for n in range(2)], 1) == [(0, "done", 0), (1, "done", 1)]
    assert "cell 1: \ufffd\ufffd" in caplog.text


@pytest.mark.parametrize("dies", [False, True])
def test_a_child_that_holds_a_workers_pipes_is_not_waited_for(cells: Runner, tmp_path: Path, dies: bool) -> None:
    began = time.monotonic()
    ended = cells("leaves_a_child", [{"folder": str(tmp_path), "number": n, "dies": dies} for n in range(2)])
    died = "its process died 2 times, last with code 9\n  said while importing\n  said below Python while importing"
    assert ended == [(n, "Died", died) if dies else (n, "done", n) for n in range(2)]
    assert time.monotonic() - began < 15
    assert alive(tmp_path), "its child still runs"


def test_workers_that_hold_the_signal_back_are_ended_too(cells: Runner, tmp_path: Path) -> None:
    keywords = [{"folder": str(tmp_path), "number": n} for n in range(4)]
    running = local.run("cells_of_a_test:deaf", keywords, list("abcd"), 3)
    assert next(running) == (0, "done", 0)
    assert wait_until(lambda: len(alive(tmp_path)) == 3)
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 5 and not workers()


def test_a_worker_that_is_told_to_leave_leaves_and_its_cell_is_tried_again(
    cells: Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a batch system tells every process of a job; in the middle of an answer too."""
    keywords = [{"folder": str(tmp_path), "number": n} for n in (1, 0)]
    running = local.run("cells_of_a_test:long", keywords, list("ab"), 1)
    thread = threading.Thread(
        target=lambda: wait_until(lambda: bool(alive(tmp_path))) and os.kill(alive(tmp_path)[0], signal.SIGTERM)
    )
    thread.start()
    assert next(running) == (1, "done", 0)
    running.close()
    thread.join()
    assert "a is tried again, its process died with code 143" in caplog.text


class Interrupt(Exception):
    """What the stress test's signal raises, as Ctrl-C raises KeyboardInterrupt."""


def test_closing_at_any_moment_ends_everything_soon(
    cells: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted while it waits, or closed between two cells; workers start, import, run, answer or die."""

    began = 0.0

    def interrupt(*_: object) -> None:
        nonlocal began
        began = time.monotonic()
        raise Interrupt

    monkeypatch.setattr(logging.getLogger("ssal"), "disabled", True)
    before = signal.signal(signal.SIGUSR1, interrupt)
    draws, rounds, slowest, end = random.Random(0), 0, 0.0, time.monotonic() + 6
    try:
        while time.monotonic() < end:
            running: Any
            if draws.random() < 0.5:
                keywords = [{"folder": str(tmp_path), "number": 1 + n, "deaths": n % 3} for n in range(200)]
                running = local.run("cells_of_a_test:dies", keywords, ["cell"] * 200, draws.randint(1, 4))
                for _ in range(draws.randint(1, 4)):
                    next(running)
                time.sleep(0.1 * draws.random())
                began = time.monotonic()
                running.close()
            else:
                keywords = [{"folder": str(tmp_path), "number": 1 + n} for n in range(6)]
                running = local.run("cells_of_a_test:deaf", keywords, ["cell"] * 6, draws.randint(1, 4))
                alarm = threading.Timer(0.3 * draws.random() ** 2, os.kill, (os.getpid(), signal.SIGUSR1))
                with pytest.raises(Interrupt):
                    alarm.start()
                    next(running)
                running.close()
                alarm.join()
            slowest = max(slowest, time.monotonic() - began)
            assert not workers()
            rounds += 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert rounds > 5 and slowest < 5


PARENT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from ssal.executors import local
print("ready", flush=True)
for ended in local.run("cells_of_a_test:long", [{"folder": sys.argv[1], "number": 1}] * 9, ["cell"] * 9, 3):
    print(ended)
"""


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5])
def test_ctrl_c_in_a_terminal_ends_all_processes_without_a_word_of_theirs(
    cells: Runner, tmp_path: Path, seconds: float
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout and parent.stdout.readline() == "ready\n"
    time.sleep(seconds)
    os.killpg(parent.pid, signal.SIGINT)
    began = time.monotonic()
    _, said = parent.communicate(timeout=30)
    assert time.monotonic() - began < 10 and parent.returncode != 0
    assert said.count("KeyboardInterrupt") == 1 and "tried again" not in said, said
    with pytest.raises(ProcessLookupError):
        os.killpg(parent.pid, 0)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="macOS cannot bind a process to cores")
def test_workers_share_the_cores_that_this_process_may_use(cells: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # what is exported would hold
    allowed = os.sched_getaffinity(0)
    assert local.cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert local.cores() == 1
        assert [value for _, _, value in cells("threads", [{}, {}])] == ["1", "1"]
    finally:
        os.sched_setaffinity(0, allowed)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert [value for _, _, value in cells("threads", [{}, {}])] == ["4", "4"]
    monkeypatch.delattr(os, "sched_getaffinity")
    assert local.cores() == (os.cpu_count() or 1)
