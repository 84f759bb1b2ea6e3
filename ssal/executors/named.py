"""Which executor a word on the command line means: local, ray, ray://HOST:PORT, slurm, slurm:partition=gpu …"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ssal.errors import BadInput, nearest

Run = Callable[[str, Sequence[dict[str, Any]], Sequence[str], int], Generator[tuple[int, str, Any]]]
"""Takes a function's name, cells, their names and how many at once; yields (index, state, value) as cells end."""
EXECUTORS = ("local", "ray", "slurm")
AUTO, GPU = "auto", ("gpu", "cuda")
"""What trainer.accelerator is called where a cell takes a GPU that is there, and where it insists on one."""


def executor(
    text: str, folder: Path, accelerators: Collection[str], gpus: Sequence[str] = (), cells_per_gpu: int = 1
) -> Run:
    """Return what runs cells where `text` says.

    `accelerators` are those that the cells' arms name, `gpus` this machine's GPUs by number, where cells may use one.
    Other machines may have others: Ray is asked what its cluster has, Slurm for one where an arm insists, or this
    machine has one. `folder` is where an executor may leave its logs. Raises BadInput where no executor is called so.
    """
    name, _, rest = text.partition(":")
    if name == "local" and not rest:
        from ssal.executors import local

        return partial(local.run, devices=gpus if len(gpus) > 1 else ())
    if name == "ray":
        from ssal.executors import ray

        address = text if rest.startswith("//") else rest
        host = rest.removeprefix("//")
        if rest and (not host or host.startswith(":")):
            raise BadInput(f"--executor: {text!r} names no host; type ray://HOST:PORT, or ray for this machine's cores")
        may = any(name in GPU or name == AUTO for name in accelerators)
        return partial(ray.run, address=address, gpus=1 / cells_per_gpu if may else 0.0)
    if name == "slurm":
        from ssal.executors import slurm

        if cells_per_gpu > 1:
            raise BadInput(
                "--cells-per-gpu: a Slurm job has its GPU for itself; leave it out, or type --executor local"
            )
        must = any(name in GPU for name in accelerators)
        return partial(slurm.run, folder=folder / "slurm", options=_options(rest), gpus=int(must or bool(gpus)))
    raise BadInput(
        f"--executor: no executor is called {text!r}{nearest(name, EXECUTORS)} (one of: local, ray, ray://HOST:PORT, "
        "ray:auto, slurm, slurm:partition=gpu,time=240)"
    )


def _options(text: str) -> dict[str, Any]:
    """Return `partition=gpu,time=240` as a mapping, whole numbers as numbers."""
    options: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key or not value:
            raise BadInput(f"--executor slurm: expected key=value, as in slurm:partition=gpu,time=240, got {part!r}")
        options[key.strip()] = int(value) if value.strip().isdecimal() else value.strip()
    return options
