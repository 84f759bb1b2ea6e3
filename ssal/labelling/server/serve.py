"""Serving: from a recipe to a page that somebody can open."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import uvicorn

from ssal.errors import BadInput, counted
from ssal.labelling.server.app import make_app
from ssal.labelling.server.guard import is_loopback
from ssal.labelling.server.place import Place
from ssal.labelling.server.question import find_cell
from ssal.names import typed

PORT = 8765
MOST_CONNECTIONS = 100
"""Two people with some tabs have ten each."""


def serve(
    recipe: Path,
    checkpoints: Path,
    say: Callable[[str], None],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    who: str = "",
    arm: str = "",
    seed: int | None = None,
    overrides: Sequence[str] = (),
    opens: bool = True,
) -> None:
    """Serve the page of the images that wait until somebody ends it; `say` gets what a person has to know.

    Raises BadInput where no image waits, or the address cannot be had.
    """
    cell = find_cell(recipe, checkpoints, arm, seed, overrides)
    place = Place(cell)
    with closing(listening(host, port)) as listener:
        taken = listener.getsockname()[1]
        token = None if is_loopback(host) else secrets.token_urlsafe(32)
        known = "" if token else who  # whoever comes from elsewhere is somebody else
        command = f"ssal run {typed(recipe, overrides, checkpoints)}"
        app = make_app(place, recipe=recipe.name, command=command, who=known, host=host, port=taken, token=token)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{own_address() if host in ('0.0.0.0', '::') else shown}:{taken}/"
        asked = counted(len(place.current().question.images), "image is", "images are")
        say(f"{asked} asked about ({cell.arm}, seed {cell.seed})")
        say(f"answer here: {address}" + (f"?token={token}" if token else ""))
        say("every answer is on disk at once; Ctrl+C ends this page")
        if opens and token is None and _has_screen():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_level="warning",
                access_log=False,  # a token would stand in it
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_keep_alive=60,
                timeout_graceful_shutdown=2,
            )
        )
        server.run(sockets=[listener])


def listening(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens; without a port at PORT or, where that is taken, at a free one.

    Raises BadInput where the address is not this machine's, or its port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in (port,) if port is not None else (PORT, 0):
        # Its protocol is named: asyncio sends an answer's body at once for such sockets alone, and else 40 ms later.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, wanted))
            listener.listen()
            return listener
        except OSError as error:
            listener.close()
            if port is None and wanted:
                continue
            raise BadInput(
                f"--host {host} --port {wanted}: {error.strerror or error}; type another, or --port 0 for any"
            ) from error
    raise AssertionError("a free port was asked for, and neither given nor refused")


def own_address() -> str:
    """Return an address of this machine that others in its network reach; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
            return str(asking.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _has_screen() -> bool:
    """Say whether a browser opens in a window; one in the terminal would stand in the way."""
    return sys.platform in ("darwin", "win32") or any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))
