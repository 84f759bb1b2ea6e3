"""Ray executor: cells as tasks of a Ray cluster, or of one that is started on this machine (Moritz et al., 2018)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Sequence
from typing import Any

from ssal.errors import BadInput
from ssal.executors.local import cores, cores_per_cell, threads_per_cell
from ssal.executors.remote import Asker, asker, first_line

SECONDS_BETWEEN_LOOKS = 1.0
"""Ctrl-C is met between two of them."""
SECONDS_TO_CONNECT = 10.0


def run(
    function: str,
    cells: Sequence[dict[str, Any]],
    names: Sequence[str],
    jobs: int,
    address: str = "",
    gpus: float = 0.0,
    tries: int = 2,
) -> Generator[tuple[int, str, Any]]:
    """Call `module:function` with every cell's keywords; yield (index, state, value) as cells end.

    `address` is a cluster's, `auto` for the one this machine belongs to; without one, a cluster of this machine's cores
    is started, and stopped at the end. A cell gets as many threads as the local executor would give it, and `gpus` of a
    GPU where the cluster has any. Where a worker or a node dies, Ray replaces it and tries the cell again; after
    `tries` deaths the cell's state is `Died`. Closing the iterator ends the cells. Raises BadInput where
    Ray is not installed or cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported: nothing is sent anywhere
    try:
        import ray
    except ImportError as error:
        raise BadInput("--executor ray: Ray is not installed; type pip install 'ssal[ray]'") from error
    _connect(ray, address)
    try:
        asked_by = asker(threads_per_cell(jobs))
        # The share of cores, not the threads, keeps to `jobs` at once.
        gpus = gpus if ray.cluster_resources().get("GPU") else 0.0
        task = ray.remote(num_cpus=cores_per_cell(jobs), num_gpus=gpus, max_retries=tries - 1)(Asker.ask)
        pending = {
            task.options(name=name).remote(asked_by, name, function, cell): index
            for index, (name, cell) in enumerate(zip(names, cells, strict=True))
        }
        try:
            while pending:
                ended, _ = ray.wait(list(pending), timeout=SECONDS_BETWEEN_LOOKS)
                for one in ended:
                    yield pending.pop(one), *_value(ray, one, tries)
        finally:
            for one in pending:
                ray.cancel(one, force=True)
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    """Join the cluster at `address`, or start one of this machine's cores."""
    where = {"address": address} if address else {"num_cpus": cores(), "include_dashboard": False}
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if host and port.isdecimal():  # Ray itself may wait for minutes for a cluster that is not there
            socket.create_connection((host, int(port)), SECONDS_TO_CONNECT).close()
        ray.init(**where, logging_level=logging.WARNING, log_to_driver=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = first_line(error)
        place = address or "a cluster of this machine"
        raise BadInput(f"--executor ray: {place} cannot be used: {reason}; type --executor local") from error


def _value(ray: Any, task: Any, tries: int) -> tuple[str, Any]:
    """Return what a task answered, or that its process died."""
    try:
        state, value = ray.get(task)
        return state, value
    except ray.exceptions.RayError as error:
        return "Died", f"its process died {tries} times, last: {first_line(error)}"
