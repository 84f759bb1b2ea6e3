"""Slurm executor: every cell a job of a Slurm cluster, submitted, watched and requeued by submitit."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from ssal.errors import BadInput
from ssal.executors.local import cores
from ssal.executors.remote import asker

log = logging.getLogger("ssal")
SECONDS_BETWEEN_LOOKS = 2.0
MINUTES = 24 * 60
"""Time limit of a job where none is typed."""


def run(
    function: str,
    cells: Sequence[dict[str, Any]],
    names: Sequence[str],
    jobs: int,
    folder: Path = Path("slurm"),
    options: dict[str, Any] | None = None,
    gpus: int = 0,
    tries: int = 2,
) -> Generator[tuple[int, str, Any]]:
    """Call `module:function` with every cell's keywords; yield (index, state, value) as cells end.

    `options` are sbatch's, as in {partition: gpu, time: 240}; {cluster: local} runs the jobs on this machine, without
    Slurm. At most `jobs` run at once. Logs, and the text that sbatch was given, are in `folder`, which every node has
    to see. A job that dies is submitted again; after `tries` deaths the cell's state is `Died`. Closing the iterator
    cancels the jobs. Raises BadInput where submitit is not installed, there is no Slurm, or an option is none.
    """
    try:
        import submitit

        from ssal.executors.resumed import Resumed
    except ImportError as error:
        raise BadInput("--executor slurm: submitit is not installed; type pip install 'ssal[slurm]'") from error
    given = {"time": MINUTES, "cpus_per_task": max(1, cores() // jobs), "gpus_per_node": gpus, **(options or {})}
    cluster = str(given.pop("cluster", "slurm"))
    executor = _executor(submitit, folder, cluster, {**given, "array_parallelism": jobs})
    slots = len(cells) if cluster == "slurm" else jobs  # Slurm keeps to them by itself, within one array
    asked_by = asker(int(given["cpus_per_task"]))
    waiting = [(index, 1) for index in range(len(cells))]
    running: dict[Any, tuple[int, int]] = {}
    try:
        while waiting or running:
            now, waiting = waiting[: slots - len(running)], waiting[slots - len(running) :]
            if now:
                with executor.batch():
                    begun = {
                        executor.submit(Resumed(), asked_by, names[index], function, cells[index]): (index, attempt)
                        for index, attempt in now
                    }
                running |= begun
            for job in [job for job in running if job.done()]:
                index, attempt = running.pop(job)
                state, value = _value(job, tries)
                if state == "Died" and attempt < tries:
                    log.warning("%s is tried again, its job died: %s", names[index], value)
                    waiting.append((index, attempt + 1))
                else:
                    yield index, state, value
            if running:
                time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        for job in running:
            job.cancel(check=False)


def _executor(submitit: Any, folder: Path, cluster: str, options: dict[str, Any]) -> Any:
    try:
        executor = submitit.AutoExecutor(folder=folder / "%j", cluster=cluster)
        executor.update_parameters(timeout_min=int(options["time"]), name="ssal")
        executor.update_parameters(**{f"slurm_{name}": value for name, value in options.items()})
        return executor
    except (RuntimeError, ValueError, NameError, AssertionError, TypeError) as error:
        reason = "; ".join(str(error).splitlines()[:2])
        raise BadInput(f"--executor slurm: {reason}; type it as in slurm:partition=gpu,time=240") from error


def _value(job: Any, tries: int) -> tuple[str, Any]:
    """Return what a job answered, or how it died."""
    error = job.exception()
    if error is None:
        state, value = job.result()
        return state, value
    return "Died", f"its job died {tries} times, last: {str(error).strip().splitlines()[0]}; see {job.paths.stderr}"
