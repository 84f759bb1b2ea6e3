"""Cells in worker processes: deaths, errors, noise and interrupts; the same results as in one process."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from worker_processes import Runner, alive, wait_until, workers

from ssal import compare
from ssal.executors import local


def test_every_cell_is_answered_once(cells: Runner) -> None:
    assert cells("add", [{"a": n, "b": 10} for n in range(7)]) == [(n, "done", n + 10) for n in range(7)]


def test_workers_are_other_processes_and_are_used_again(cells: Runner, tmp_path: Path) -> None:
    pids = [value for _, _, value in cells("where", [{"folder": str(tmp_path), "number": n} for n in range(4)])]
    assert os.getpid() not in pids and len(set(pids)) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_cell_that_raises_is_told_and_the_others_go_on(cells: Runner) -> None:
    ended = cells("fails", [{"number": n} for n in range(3)], 1)
    text = ended[1][2]
    assert ended == [(0, "done", 0), (1, "Peculiar", text), (2, "done", 2)]
    assert text.startswith('number one, "quoted"\nover two lines (') and text.endswith(", in fails)"), "with its line"


def test_a_worker_that_is_killed_is_replaced_and_its_cell_tried_again(
    cells: Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keywords = [{"folder": str(tmp_path), "number": n, "deaths": int(n == 1)} for n in range(4)]
    assert cells("dies", keywords) == [(0, "done", 1), (1, "done", 2), (2, "done", 1), (3, "done", 1)]
    assert "is tried again, its process died with code -9" in caplog.text


def test_a_cell_that_kills_every_worker_is_given_up_and_the_others_go_on(cells: Runner, tmp_path: Path) -> None:
    keywords = [{"folder": str(tmp_path), "number": n, "deaths": 9 * int(n == 0)} for n in range(3)]
    (first, *others) = cells("dies", keywords)
    assert first == (0, "Died", "its process died 2 times, last with code -9")
    assert others == [(1, "done", 1), (2, "done", 1)]


def test_what_libraries_print_is_logged_and_never_taken_for_an_answer(
    cells: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ssal")
    assert cells("noise", [{"number": n} for n in range(3)], 1) == [(n, "done", n) for n in range(3)]
    assert wait_until(lambda: "cell 2: to standard error 2" in caplog.text)
    for said in ("while importing", "below Python", "to standard output 1", "forged", "from a child"):
        assert said in caplog.text


def test_what_workers_say_is_not_lost_when_only_warnings_are_wanted(
    cells: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "ssal")
    cells("noise", [{"number": 0}], 1)
    assert wait_until(lambda: "cell 0: to standard error 0" in caplog.text)


def test_leaving_early_ends_the_workers_and_an_interrupt_is_left_to_the_parent(cells: Runner, tmp_path: Path) -> None:
    keywords = [{"folder": str(tmp_path), "number": n} for n in range(4)]
    running = local.run("cells_of_a_test:long", keywords, list("abcd"), 2)
    assert next(running) == (0, "done", 0)
    assert wait_until(lambda: len(alive(tmp_path)) == 2)
    for pid in alive(tmp_path):
        os.kill(pid, signal.SIGINT)  # a terminal sends Ctrl-C to every process
    time.sleep(0.2)
    assert len(alive(tmp_path)) == 2
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 20
    assert wait_until(lambda: not alive(tmp_path))


PARENT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from ssal import compare
from ssal.executors import local
cells = [{"folder": sys.argv[1], "number": n} for n in (1, 2, 3)]
for ended in local.run("cells_of_a_test:long", cells, list("abc"), 2):
    print(ended)
"""


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent(cells: Runner, tmp_path: Path, ended_by: int) -> None:
    """Whichever way the parent ends: interrupted, it ends them itself; killed, they see that it is gone."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stderr=subprocess.PIPE,
        env={**os.environ, "SSAL_LOG_LEVEL": "20"},
    )
    assert wait_until(lambda: len(alive(tmp_path)) == 2)
    parent.send_signal(ended_by)
    assert parent.wait(timeout=40) != 0
    assert wait_until(lambda: not alive(tmp_path), 20), "a worker is left behind"


RECIPE = """
name: tiny
seeds: [0, 1]
data: {source: digits, size: 8, labels: hidden, flip: false}
backbone: {name: wrn_10_1}
learner: {method: fixmatch, steps: 12, batch_size: 8, mu: 2}
acquisition: {strategy: margin, first_size: 10, query_size: 8, budget: 26}
trainer: {accelerator: cpu}
"""


@pytest.mark.slow
def test_two_jobs_give_what_one_gives_though_a_worker_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from ssal.compare import run_all
    from ssal.recipe import load

    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    recipe = load(path)
    alone = run_all(recipe, [], tmp_path / "one", jobs=1)
    assert not alone.failed
    caplog.set_level(logging.INFO, "ssal")

    killed = []

    def kill_one() -> None:
        ledger = tmp_path / "two/tiny/main/seed_1/ledger.sqlite"
        if wait_until(lambda: ledger.exists(), 120):
            holder = [pid for pid in workers() if holds(pid, ledger.with_name(".lock"))]
            for pid in holder[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    thread = threading.Thread(target=kill_one, daemon=True)
    thread.start()
    together = run_all(recipe, [], tmp_path / "two", jobs=2)
    thread.join()
    assert killed and not together.failed
    assert "is tried again, its process died with code -9" in caplog.text

    def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: value for key, value in row.items() if not key.endswith("_seconds")} for row in rows]

    assert plain(together.rows) == plain(alone.rows) and len(alone.rows) == 6
    for seed in (0, 1):
        chosen = [
            [p.read_text() for p in sorted((tmp_path / where / f"tiny/main/seed_{seed}").glob("round_*/chosen.csv"))]
            for where in ("one", "two")
        ]
        assert chosen[0] == chosen[1] and len(chosen[0]) == 3


def holds(pid: int, path: Path) -> bool:
    try:
        return any(os.path.realpath(link) == str(path.resolve()) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def test_keywords_travel_as_json(cells: Runner) -> None:
    assert json.loads(json.dumps(cells("add", [{"a": "ä\n", "b": '"'}], 1))) == [[0, "done", 'ä\n"']]


@pytest.mark.parametrize(
    ("exported", "threads"),
    [(None, [6, 3, 2, 1]), ("4", [4, 4, 4, 4]), ("4,2", [4, 4, 4, 4]), ("", [6, 3, 2, 1]), ("0", [6, 3, 2, 1])],
)
def test_threads_of_a_cell_are_those_exported_or_its_share_of_cores(
    monkeypatch: pytest.MonkeyPatch, exported: str | None, threads: list[int]
) -> None:
    monkeypatch.setattr(local, "cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if exported is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", exported)
    assert [local.threads_per_cell(jobs) for jobs in (1, 2, 3, 8)] == threads


@pytest.mark.parametrize("exported", [None, "3"])
def test_a_worker_has_the_threads_that_a_cell_in_this_process_has(
    cells: Runner, monkeypatch: pytest.MonkeyPatch, exported: str | None
) -> None:
    monkeypatch.setattr(local, "cores", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if exported:
        monkeypatch.setenv("OMP_NUM_THREADS", exported)
    seen = []
    monkeypatch.setattr(compare, "run_cell", lambda **cell: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    try:
        list(compare._here([{"arm": "main", "seed": 0}]))
    finally:
        torch.set_num_threads(before)
    assert cells("threads", [{}], jobs=1) == [(0, "done", str(seen[0]))]
    assert seen == [int(exported or 2)]
