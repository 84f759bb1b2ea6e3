"""The command line called in this process, for tests: what it said and its exit code."""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ssal import cells, cli


@dataclass(frozen=True)
class Said:
    """What one command left in the terminal."""

    code: int
    out: str
    err: str
    log: str
    """What goes to standard error outside tests, line by line."""


class CommandLine:
    """Calls `ssal …` in this process, relative to the current directory."""

    def __init__(self, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        """Use pytest's own capturing."""
        self.capsys, self.caplog = capsys, caplog

    def __call__(self, *words: str | Path) -> Said:
        """Run one command, with nothing in memory that a process of its own would not have."""
        cells._images.clear()
        cells._recipe.cache_clear()
        self.capsys.readouterr()
        self.caplog.clear()
        arguments, handler = sys.argv, signal.getsignal(signal.SIGTERM)
        level = logging.getLogger("ssal").level
        sys.argv = ["ssal", *map(str, words)]
        try:
            cli.main()
            code: object = 0
        except SystemExit as end:
            code = end.code
        finally:
            sys.argv = arguments
            signal.signal(signal.SIGTERM, handler)
            logging.getLogger("ssal").setLevel(level)
        assert isinstance(code, int)
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err, self.caplog.text)


def refused(said: Said, *parts: str) -> str:
    """Check that a command ended as bad input does, with one message that has all `parts`; return the message."""
    message = said.err.strip()
    assert said.code == 2, said
    assert message and "Traceback" not in said.err + said.log
    assert len(set(message.splitlines())) == len(message.splitlines()), "nothing is said twice"
    missing = [part for part in parts if part not in message]
    assert not missing, f"{missing} not in: {message}"
    return message
