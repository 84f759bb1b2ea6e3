"""Slurm executor: every cell a job of a Slurm cluster, submitted, watched and requeued by submitit."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from ssal.errors import BadInput
from ssal.executors.local import threads_per_cell
from ssal.executors.remote import asker, first_line

log = logging.getLogger("ssal")
SECONDS_BETWEEN_LOOKS = 2.0
MINUTES = 24 * 60
"""Time limit of a job where none is typed."""
TYPE = "type it as in slurm:partition=gpu,time=240,cpus_per_task=4"


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
    to see. A job computes with as many threads as `cpus_per_task` says; where it is not typed, with those that any
    executor gives a cell. A job that dies is submitted again; after `tries` deaths the cell's state is `Died`. Closing
    the iterator cancels the jobs. Raises BadInput where submitit is not installed, there is no Slurm, an option is
    none, or Slurm refuses a job.
    """
    try:
        import submitit

        from ssal.executors.resumed import Resumed
    except ImportError as error:
        raise BadInput("--executor slurm: submitit is not installed; type pip install 'ssal[slurm]'") from error
    given = {"time": MINUTES, "cpus_per_task": threads_per_cell(jobs), "gpus_per_node": gpus, **(options or {})}
    for name in ("time", "cpus_per_task"):
        if not isinstance(given[name], int) or given[name] < 1:
            raise BadInput(f"--executor slurm: {name}: expected a whole number from 1, got {given[name]!r}; {TYPE}")
    cluster = str(given.pop("cluster", "slurm"))
    executor = _executor(submitit, folder, cluster, {**given, "array_parallelism": jobs})
    slots = len(cells) if cluster == "slurm" else jobs  # Slurm keeps to them by itself, within one array
    asked_by = asker(given["cpus_per_task"])
    waiting = [(index, 1) for index in range(len(cells))]
    running: dict[Any, tuple[int, int]] = {}
    try:
        while waiting or running:
            now, waiting = waiting[: slots - len(running)], waiting[slots - len(running) :]
            if now:
                with _whole():
                    submitted = [(Resumed(), asked_by, names[index], function, cells[index]) for index, _ in now]
                    running |= zip(_submit(executor, submitted), now, strict=True)
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
        executor.update_parameters(timeout_min=options["time"], name="ssal")
        executor.update_parameters(**{f"slurm_{name}": value for name, value in options.items()})
        return executor
    except (RuntimeError, ValueError, NameError, AssertionError, TypeError) as error:
        reason = "; ".join(str(error).splitlines()[:2])
        raise BadInput(f"--executor slurm: {reason}; {TYPE}") from error


@contextmanager
def _whole() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block ends: jobs in the midst of a submission are nobody's to cancel."""
    if threading.current_thread() is not threading.main_thread():  # where no signal is heard
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _: came.append(got)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for stop in came[:1]:
            signal.raise_signal(stop)


def _submit(executor: Any, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Submit calls together, as one array where Slurm has them, and return their jobs."""
    try:
        with redirect_stderr(StringIO()), executor.batch():  # submitit prints what the error says, too
            return [executor.submit(*call) for call in calls]
    except (RuntimeError, OSError) as error:
        raise BadInput(f"--executor slurm: the jobs were not taken: {first_line(error)}; {TYPE}") from error


def _value(job: Any, tries: int) -> tuple[str, Any]:
    """Return what a job answered, or how it died."""
    error = job.exception()
    if error is None:
        state, value = job.result()
        return state, value
    return "Died", f"its job died {tries} times, last: {first_line(error)}; see {job.paths.stderr}"
