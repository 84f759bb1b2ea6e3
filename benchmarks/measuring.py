"""How long a call takes, how much memory, and on which machine: what the benchmarks share."""

from __future__ import annotations

import datetime
import gc
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")


def measured(call: Callable[[], Found]) -> tuple[float, float, Found]:
    """Return seconds, MiB that the process grew by, and what `call` returned."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest memory use is counted from here
    before = resident("VmRSS")
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, (resident("VmHWM") - before) / 1024, found


def resident(field: str) -> int:
    """Return one line of /proc/self/status in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def processor() -> str:
    """Return the processor's name."""
    found = [line.partition(":")[2].strip() for line in _cpuinfo().splitlines() if line.startswith("model name")]
    return found[0] if found else platform.processor() or "unknown"


def processor_in_words() -> str:
    """Return the processor's name and what bears on speed."""
    return f"{processor()}, {os.cpu_count()} cores" + (", AVX512-BF16" if "avx512_bf16" in _cpuinfo() else "")


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def commit() -> str:
    """Return the commit that is measured; empty outside a repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip()


def machine(*packages: str) -> dict[str, Any]:
    """Return when, of what commit, on what and beside what load figures are measured, with versions of `packages`."""
    import faiss
    import torch  # here, as the labelling page is measured without them

    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": {"torch": torch.get_num_threads(), "faiss": faiss.omp_get_max_threads()},
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages} | {"faiss": faiss.__version__},
    }
