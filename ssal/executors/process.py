"""A worker process as its parent sees it: started, asked, listened to and ended."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Any

log = logging.getLogger("ssal")


class Died(Exception):
    """How a worker ended, to be read after the words `its process died`."""


class Process:
    """A worker, and its successor where it died."""

    def __init__(self, function: str, threads: int, device: str = "") -> None:
        """Start nothing yet; `device` is the GPU that the worker sees alone, or empty."""
        self.function = function
        self.environment = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if device:
            self.environment["CUDA_VISIBLE_DEVICES"] = device
        self.child: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def start(self) -> None:
        """Start a worker where there is none."""
        if self.child:
            return
        self.name, self.rest, self.said = "", b"", deque[str](maxlen=3)
        self.pipes = selectors.DefaultSelector()
        self.child = subprocess.Popen(
            [sys.executable, "-m", "ssal.executors.worker", self.function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **self.environment},
        )
        if self.stopped:  # read after the child is written, as `stop` does it the other way round
            self.child.kill()
        for pipe in (self.child.stdout, self.child.stderr):
            assert pipe
            self.pipes.register(pipe, selectors.EVENT_READ)

    def ask(self, name: str, cell: dict[str, Any]) -> tuple[str, Any]:
        """Return the state and value of one cell; raise Died where the worker gives none."""
        assert self.child and self.child.stdin
        self.name = name
        with suppress(OSError):  # it is dead: no answer comes
            self.child.stdin.write(json.dumps(cell).encode() + b"\n")
            self.child.stdin.flush()
        answer = bytearray()
        while not answer.endswith(b"\n"):
            # Asked before listening: a child of the worker may hold the pipes open long after its death.
            dead = self.child.poll() is not None
            piece = self._listen(0 if dead else 0.5)
            if piece is None or (dead and not piece):
                raise Died(self.end(seconds=2))
            answer += piece
        answer += self._listen(0) or b""  # what was said before the answer is logged before it
        try:
            said = json.loads(answer)
            return said["state"], said["value"]
        except (ValueError, TypeError, LookupError):
            raise Died(f"after an answer that is none: {bytes(answer[:80])!r}") from None

    def stop(self) -> None:
        """Kill the worker, and one that is about to start; for another thread than the one that asks."""
        # Not SIGTERM: every file is written so that a kill does no harm, and a library may hold other signals back.
        self.stopped = True
        if child := self.child:
            child.kill()

    def end(self, seconds: float = 0) -> str:
        """Wait some seconds for the worker's own end, then kill it; return how it ended."""
        if not self.child:
            return ""
        child, patience = self.child, time.monotonic() + seconds
        while child.poll() is None and time.monotonic() < patience:
            self._listen(0.05)
        child.kill()
        with suppress(subprocess.TimeoutExpired):  # the kernel may be waiting for a disk or a driver
            child.wait(timeout=5)
        self._listen(0)
        self._log(b"\n")
        self.pipes.close()
        for pipe in (child.stdin, child.stdout, child.stderr):
            with suppress(OSError):  # of a cell it did not read
                assert pipe
                pipe.close()
        self.child = None
        # What is killed did not know it, so that its last words say nothing about it.
        words = "" if child.returncode == -signal.SIGKILL else "\n  ".join(["", *self.said])
        return f"with code {child.returncode}{words}"

    def close(self) -> None:
        """End the worker at once."""
        self.end()

    def _listen(self, seconds: float) -> bytes | None:
        """Wait for output; log what is said, return what is answered, or None at the end of the answers."""
        answered: bytes | None = b""
        assert self.child
        for key, _ in self.pipes.select(seconds):
            piece = os.read(key.fd, 1 << 16)  # as much as a pipe holds
            if not piece:
                self.pipes.unregister(key.fileobj)
            if key.fileobj is self.child.stdout:
                answered = piece or None
            else:
                self._log(piece)
        return answered

    def _log(self, said: bytes) -> None:
        """Log whole lines, which a worker says only at the level that was asked for, under the name of the cell."""
        *lines, self.rest = (self.rest + said).replace(b"\r", b"\n").split(b"\n")
        for line in filter(None, (line.decode(errors="replace").rstrip() for line in lines)):
            self.said.append(line)
            log.log(max(logging.INFO, log.getEffectiveLevel()), "%s: %s", self.name, line)
