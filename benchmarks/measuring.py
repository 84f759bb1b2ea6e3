"""How long a call takes, and how much memory: for the benchmarks that compare single functions."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

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
