"""Watch: times signal sources, and leaves out those that cannot give their signals, so that others still do."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from ssal.errors import BadInput, Diverged
from ssal.method import Method


class Watch:
    """Stands between `collect` and its sources; what it finds is in `seconds` and `refused`, by source.

    A source of a batch that gives up in a later batch leaves rows behind: signals in `left_out` are not to be used.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.refused: dict[str, str] = {}
        """Why a source could not give its signals, in one line."""
        self._source_of: dict[str, str] = {}
        self._last: dict[str, dict[str, Tensor]] = {}

    @property
    def left_out(self) -> set[str]:
        """The signals whose source has given up."""
        return {signal for signal, name in self._source_of.items() if name in self.refused}

    def __call__(self, name: str, source: Method) -> Method:
        """Return `source` with its calls watched."""
        self._source_of |= dict.fromkeys(source.provides, name)

        @wraps(source.call)  # with the signature that says what it is called with
        def call(*given: Any, **keywords: Any) -> dict[str, Tensor]:
            for need in source.needs:
                other = self._source_of.get(need, "")
                if other in self.refused:
                    self.refused.setdefault(name, self.refused[other])
            if name not in self.refused:
                began = time.perf_counter()
                try:
                    self._last[name] = source.call(*given, **keywords)
                except (BadInput, Diverged) as error:
                    self.refused[name] = " ".join(str(error).split())
                if torch.cuda.is_available():
                    torch.cuda.synchronize()  # calls return before the device has finished
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
            # Every batch must have the same names; rows of the last one stand in for those that are left out.
            return self._last.get(name, {})

        return replace(source, call=call)
