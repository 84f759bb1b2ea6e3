"""Named random streams: every draw follows from (seed, round, stage, step) and from nothing else.

A strategy's draw therefore never moves the learner's, and a training killed in the middle resumes to the same
weights, because step t draws the same numbers whether or not steps 0 … t-1 ran in the same process.
"""

from __future__ import annotations

import hashlib

import torch


def stream(*names: int | str) -> int:
    """Return the 63-bit seed of the stream with these names, e.g. `stream(seed, "round", 2, "choose")`."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(*names: int | str) -> torch.Generator:
    """Return a CPU generator that starts at `stream(*names)`; draws are made on the CPU so that devices agree."""
    return torch.Generator().manual_seed(stream(*names))
