"""Cells as jobs: submitit's own local cluster, and the text that sbatch is given, run by a stand-in for Slurm."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from worker_processes import CELLS

from ssal.errors import BadInput
from ssal.executors import local, slurm
from ssal.executors.named import executor

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'ssal[slurm]'")

SBATCH = """#!{python}
import os, pathlib, subprocess, sys
text = pathlib.Path(sys.argv[1]).read_text()
record = pathlib.Path({record!r})
number = 70 + len(list(record.glob("sbatch_*")))
(record / f"sbatch_{{number}}").write_text(text)
array = [line for line in text.splitlines() if line.startswith("#SBATCH --array=")]
tasks = range(int(array[0].split("-")[3].split("%")[0]) + 1) if array else [None]
for task in tasks:
    more = {{}} if task is None else {{"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(task)}}
    found = {{"SLURM_JOB_ID": str(number), "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0",
             "SLURM_JOB_NODELIST": "here", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", **more}}
    subprocess.Popen(["bash", sys.argv[1]], env={{**os.environ, **found}}, start_new_session=True,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(f"Submitted batch job {{number}}")
"""
SRUN = """#!/bin/bash
# --unbuffered --output FILE --error FILE COMMAND …
shift 5
exec "$@"
"""
SACCT = """#!/bin/bash
echo "JobID|State|NodeList"
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the functions of the tests; sbatch, srun and sacct are stand-ins that run jobs here."""
    tools = tmp_path / "tools"
    tools.mkdir()
    scripts = {
        "sbatch": SBATCH.format(python=sys.executable, record=str(tmp_path)),
        "srun": SRUN,
        "sacct": SACCT,
        "scancel": "#!/bin/bash\n",
    }
    for name, text in scripts.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tools), os.environ["PATH"]]))
    (tmp_path / "cells_of_a_test.py").write_text(CELLS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(slurm, "SECONDS_BETWEEN_LOOKS", 0.1)
    return tmp_path


def run(folder: Path, function: str, cells: list[dict[str, Any]], **how: Any) -> list[tuple[int, str, Any]]:
    names = [f"cell {number}" for number in range(len(cells))]
    return sorted(slurm.run(f"cells_of_a_test:{function}", cells, names, folder=folder / "slurm", **{"jobs": 2, **how}))


@pytest.mark.slow
def test_jobs_of_this_machine_are_answered_tried_again_and_given_up(
    cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"cluster": "local"}
    assert run(cluster, "add", [{"a": n, "b": 1} for n in range(3)], options=here) == [
        (n, "done", n + 1) for n in range(3)
    ]
    deaths = {0: 0, 1: 1, 2: 9}
    dying = [{"folder": str(cluster), "number": n, "deaths": count} for n, count in deaths.items()]
    first, second, third = run(cluster, "dies", dying, options=here)
    assert (first, second) == ((0, "done", 1), (1, "done", 2))
    assert third[:2] == (2, "Died") and third[2].startswith("its job died 2 times, last: ")
    failed = run(cluster, "fails", [{"number": 1}], options=here)
    assert failed[0][1] == "Peculiar" and failed[0][2].startswith('number one, "quoted"')
    assert run(cluster, "threads", [{}], options={**here, "cpus_per_task": 3}) == [(0, "done", "3")]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert run(cluster, "threads", [{}], options=here) == [(0, "done", "5")]
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert run(cluster, "threads", [{}], options=here) == [(0, "done", str(local.threads_per_cell(2)))]


@pytest.mark.slow
def test_the_text_for_sbatch_is_one_array_with_what_was_asked_and_runs(cluster: Path) -> None:
    cells = [{"a": n, "b": 1} for n in range(3)]
    ended = run(cluster, "add", cells, options={"partition": "gpu", "time": 240, "cpus_per_task": 4}, gpus=1)
    assert ended == [(n, "done", n + 1) for n in range(3)]
    (text,) = [path.read_text() for path in cluster.glob("sbatch_*")]
    asked = {line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")}
    assert {
        "array=0-2%2",
        "partition=gpu",
        "time=240",
        "cpus-per-task=4",
        "gpus-per-node=1",
        "job-name=ssal",
        "open-mode=append",
        "signal=USR2@90",
    } <= asked
    assert "submitit.core._submit" in text.strip().splitlines()[-1]


def test_leaving_early_cancels_the_jobs(cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keywords = [{"folder": str(cluster), "number": n} for n in range(2)]
    running = slurm.run(
        "cells_of_a_test:long", keywords, list("ab"), 2, folder=cluster / "slurm", options={"cluster": "local"}
    )
    assert next(running) == (0, "done", 0)
    end = time.monotonic() + 60
    while not list(cluster.glob("pid_*")):
        assert time.monotonic() < end
        time.sleep(0.1)
    running.close()
    pids = [int(path.name.removeprefix("pid_")) for path in cluster.glob("pid_*")]
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end, "a job outlives its asker"
        time.sleep(0.1)


def test_what_cannot_be_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match='--executor slurm: Could not detect "srun"'):
        run(tmp_path, "add", [{"a": 1, "b": 1}])
    with pytest.raises(BadInput, match="Unknown argument 'partitoin' for executor 'slurm'"):
        run(tmp_path, "add", [{"a": 1, "b": 1}], options={"cluster": "local", "partitoin": "gpu"})
    for name, value in (("cpus_per_task", "abc"), ("cpus_per_task", 0), ("time", "1h")):
        with pytest.raises(
            BadInput, match=f"slurm: {name}: expected a whole number from 1, got {value!r}; type it as in"
        ):
            run(tmp_path, "add", [{"a": 1, "b": 1}], options={"cluster": "local", name: value})


@pytest.mark.parametrize("count", [1, 3])
def test_a_refusal_of_slurm_s_is_told_in_a_line(cluster: Path, capfd: pytest.CaptureFixture[str], count: int) -> None:
    (cluster / "tools" / "sbatch").write_text("#!/bin/bash\necho 'sbatch: error: invalid partition' >&2\nexit 1\n")
    with pytest.raises(BadInput) as caught:
        run(cluster, "add", [{"a": n, "b": 1} for n in range(count)], options={"partition": "none"})
    assert str(caught.value) == (
        "--executor slurm: the jobs were not taken: sbatch: error: invalid partition; type it as in "
        "slurm:partition=gpu,time=240,cpus_per_task=4"
    )
    assert capfd.readouterr().err == "", "it is told once"
    (cluster / "tools" / "sbatch").write_text("#!/bin/bash\nexit 1\n")
    with pytest.raises(BadInput, match="the jobs were not taken: FailedJobError; type it as in"):
        run(cluster, "add", [{"a": n, "b": 1} for n in range(count)])


STOPPED = """#!/bin/bash
kill -{signal} $PPID
sleep 0.5
echo "Submitted batch job 77"
"""


@pytest.mark.parametrize(("count", "jobs"), [(1, {"77"}), (3, {"77_0", "77_1", "77_2"})])
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_what_is_submitted_when_a_user_stops_is_cancelled(
    cluster: Path, count: int, jobs: set[str], stop: signal.Signals
) -> None:
    """Slurm has the jobs before their numbers are known here."""
    (cluster / "tools" / "sbatch").write_text(STOPPED.format(signal=stop.value))
    (cluster / "tools" / "scancel").write_text(f'#!/bin/bash\necho "$@" >> {cluster}/cancelled\n')

    def ends(*_: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, ends)
    interrupted = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt if stop == signal.SIGINT else SystemExit):
            run(cluster, "add", [{"a": n, "b": 1} for n in range(count)])
        assert signal.getsignal(signal.SIGTERM) is ends
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupted)
    assert set((cluster / "cancelled").read_text().split()) == jobs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lokal", "no executor is called 'lokal'; did you mean 'local'\\? \\(one of: local, ray, ray://HOST:PORT"),
        ("local:8", "no executor is called 'local:8'"),
        ("ray://", "'ray://' names no host; type ray://HOST:PORT"),
        ("ray://:10001", "'ray://:10001' names no host; type ray://HOST:PORT"),
        ("slurm:partition", "expected key=value, as in slurm:partition=gpu,time=240, got 'partition'"),
    ],
)
def test_an_executor_that_is_none_is_told_with_those_that_are(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        executor(text, tmp_path, ["cpu"])


@pytest.mark.parametrize(
    ("accelerators", "gpus", "ray", "slurm"),
    [(["cpu"], [], 0, 0), (["auto"], [], 0.5, 0), (["auto"], ["0"], 0.5, 1), (["cpu", "gpu"], [], 0.5, 1)],
)
def test_other_machines_are_asked_for_gpus_by_what_the_arms_name(
    tmp_path: Path, accelerators: list[str], gpus: list[str], ray: float, slurm: int
) -> None:
    """A login node has none, and a laptop that asks a cluster has none either."""
    asked = {}
    for name, share in (("ray", 2), ("slurm", 1)):
        found = executor(name, tmp_path, accelerators, gpus, share)
        assert isinstance(found, partial)
        asked[name] = found.keywords["gpus"]
    assert asked == {"ray": ray, "slurm": slurm}
    with pytest.raises(BadInput, match="--cells-per-gpu: a Slurm job has its GPU for itself"):
        executor("slurm", tmp_path, accelerators, gpus, 2)
