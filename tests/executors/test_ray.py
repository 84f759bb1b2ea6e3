"""Cells on a real Ray cluster of this machine: deaths, errors, words; the same results as the local executor's."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import recipe
from worker_processes import CELLS

from ssal import compare
from ssal.errors import BadInput
from ssal.executors import local
from ssal.executors import ray as on_ray

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ssal[ray]'")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token in the home folder, nothing sent, and the functions of the tests at hand."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    (tmp_path / "cells_of_a_test.py").write_text(CELLS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))


def test_cells_end_with_a_state_whatever_happens_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is killed is tried again and then ends, one that always dies is given up, one that raises is told."""

    def run(function: str, keywords: list[dict[str, Any]]) -> list[tuple[int, str, Any]]:
        names = [f"cell {number}" for number in range(len(keywords))]
        return sorted(on_ray.run(f"cells_of_a_test:{function}", keywords, names, 2))

    deaths = {0: 0, 1: 1, 2: 9}
    dying = [{"folder": str(tmp_path), "number": n, "deaths": count} for n, count in deaths.items()]
    (first, second, third) = run("dies", dying)
    assert (first, second) == ((0, "done", 1), (1, "done", 2))
    assert third[:2] == (2, "Died") and third[2].startswith("its process died 2 times, last: ")
    failed = run("fails", [{"number": n} for n in range(3)])
    assert [state for _, state, _ in failed] == ["done", "Peculiar", "done"]
    assert failed[1][2].startswith('number one, "quoted"\nover two lines (')
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert run("threads", [{}]) == [(0, "done", "5")]
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert run("threads", [{}]) == [(0, "done", str(local.threads_per_cell(2)))]
    (alike,) = on_ray.run("cells_of_a_test:threads", [{}], ["a"], 2, gpus=1.0)
    assert alike[1] == "done", "a cluster without a GPU is asked for none, and does not wait for one"


def test_leaving_early_ends_the_cells(tmp_path: Path) -> None:
    keywords = [{"folder": str(tmp_path), "number": n} for n in range(3)]
    running = on_ray.run("cells_of_a_test:long", keywords, list("abc"), local.cores())
    assert next(running) == (0, "done", 0)
    running.close()
    end = time.monotonic() + 30
    pids = [int(path.name.removeprefix("pid_")) for path in tmp_path.glob("pid_*")]
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end, "a cell outlives its asker"
        time.sleep(0.1)


RULES = """
import os, signal
from pathlib import Path

from ssal.registry import scores

MARK = Path(__file__).with_name("killed")


@scores
def dies_once(probabilities):
    if not MARK.exists():
        MARK.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    first, second = probabilities.topk(2, dim=1).values.unbind(1)
    return second - first
"""


def test_results_are_the_local_executor_s_to_the_last_bit_with_a_worker_killed_on_the_way(tmp_path: Path) -> None:
    """The killed one has trained its first learner and is about to ask for more labels."""
    (tmp_path / "rules.py").write_text(RULES)
    loaded = recipe(
        tmp_path / "tiny.yaml",
        seeds=[0, 1],
        data={"source": "digits", "size": 8, "flip": False},
        learner={"method": "fixmatch", "steps": 12, "batch_size": 8, "mu": 2},
        acquisition={"first_size": 10, "query_size": 8, "budget": 26},
        arms={"random": {}, "margin": {"acquisition": {"strategy": "rules.py:dies_once"}}},
    )
    written, mark = {}, tmp_path / "killed"
    mark.touch()
    for executor in ("local", "ray"):
        checkpoints = tmp_path / executor
        ended = compare.run_all(loaded, [], checkpoints, jobs=max(2, local.cores()), executor=executor)
        assert ended.failed == {} and len(ended.rows) == 2 * 2 * 3
        written[executor] = (checkpoints / "tiny" / "results.csv").read_bytes()
        assert (checkpoints / "tiny" / "timings.csv").exists()
        assert bool(mark.read_text()) == (executor == "ray"), "one worker was killed, on Ray alone"
        mark.unlink()
    assert written["ray"] == written["local"]


def test_a_cluster_that_is_not_there_is_told_in_a_line() -> None:
    with pytest.raises(BadInput, match="--executor ray: 127.0.0.1:1 cannot be used: .*; type --executor local"):
        next(on_ray.run("cells_of_a_test:add", [{"a": 1, "b": 2}], ["a"], 1, address="127.0.0.1:1"))
