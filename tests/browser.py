"""A real Chromium without a window, driven over its own DevTools protocol: two pipes, and no further package."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0
"""Seconds to wait for an answer: a machine may be busy."""
KEYS = {
    "Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " "), "Escape": (27, ""), "ArrowLeft": (37, ""),
    "ArrowRight": (39, ""), "ArrowDown": (40, ""), "/": (191, "/"), "?": (191, "?"),
}  # fmt: skip
"""Keys that are no letters or digits: their code and the text that they write."""
LAYOUT = (Path(__file__).parent / "layout.js").read_text(encoding="utf-8")
"""An expression for `evaluate`: boxes of the page, and what stands where it should not."""


class Browser:
    """One tab of one Chromium; `downloads` is where it saves files."""

    def __init__(self, folder: Path) -> None:
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True, exist_ok=True)
        self._ids = itertools.count(1)
        self._rest = b""
        self._session: str | None = None
        self.events: deque[dict[str, Any]] = deque()
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "bash"]  # the protocol's own two descriptors
            + [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True)

    def close(self) -> None:
        """End the browser and all processes it started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run one command of the protocol and return its answer; what the page reports meanwhile goes to `events`."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session and not method.startswith("Browser."):
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, event: str, **facts: Any) -> dict[str, Any]:
        """Return the first report of `event` in which `facts` hold, and forget it."""
        while True:
            for found in self.events:
                if found["method"] == event and facts.items() <= found["params"].items():
                    self.events.remove(found)
                    return found["params"]
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"Chromium has said nothing for {PATIENCE:.0f} seconds"
            read = os.read(self._answers, 1 << 20)
            assert read, "Chromium has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path, width: int = 1280, scheme: str = "light", scripts: bool = True) -> None:
        """Show the file `page` in a window `width` pixels wide, in light or dark; earlier reports are forgotten."""
        self.visit(page.as_uri(), width, scheme, scripts)

    def visit(self, address: str, width: int = 1280, scheme: str = "light", scripts: bool = True) -> None:
        """Show the page at `address`, as `open` does."""
        self.events.clear()
        self.resize(width, 900)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=address)
        self.wait_for("Page.loadEventFired")

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def evaluate(self, expression: str) -> Any:
        """Return the JSON value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def screenshot(self, whole: bool = True) -> np.ndarray:
        """Return the whole page as pixels (H,W,3) uint8, pictures further down included; or what its window shows."""
        if whole:
            width, height = self.evaluate("[innerWidth, document.documentElement.scrollHeight]")
            self.resize(width, height)
        self.evaluate(  # a lazy picture has no currentSrc until the browser has looked whether it is in sight
            "Promise.all([...document.images].filter(image => image.getAttribute('src'))"
            ".map(image => (image.loading = 'eager', image.decode())))"
        )
        found = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=True)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(found["data"]))).convert("RGB"))

    def click(self, element: str) -> None:
        """Press the mouse on the middle of what the JavaScript expression `element` is."""
        x, y = self.evaluate(
            f"(({element}).scrollIntoView({{block: 'center', inline: 'center'}}),"
            f" (box => [box.x + box.width / 2, box.y + box.height / 2])(({element}).getBoundingClientRect()))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, control: bool = False) -> None:
        """Press and release a letter, a digit or a key of KEYS, with or without the Control key."""
        code, text = KEYS.get(key) or (ord(key.upper()), key)
        place = (
            {"code": f"{'Digit' if key.isdigit() else 'Key'}{key.upper()}"} if len(key) == 1 and key.isalnum() else {}
        )
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                text=text * (kind == "keyDown" and not control),
                modifiers=2 * control,
                **place,
            )

    def wait_until(self, expression: str) -> None:
        """Return when a JavaScript expression has become true."""
        self.evaluate(
            f"new Promise((ready, fail) => {{ const end = Date.now() + {1000 * PATIENCE}; const look = () =>"
            f" ({expression}) ? ready() : Date.now() > end ? fail({json.dumps(expression)}) : setTimeout(look, 10);"
            " look(); })"
        )

    def download(self, element: str) -> Path:
        """Click `element` and return the file that it saves."""
        time.sleep(0.1)  # Chromium refuses more than ten downloads a second
        self.click(element)
        begun = self.wait_for("Browser.downloadWillBegin")
        self.wait_for("Browser.downloadProgress", guid=begun["guid"], state="completed")
        return self.downloads / begun["suggestedFilename"]

    def complaints(self) -> list[str]:
        """Return what the page wrote to the console since it was opened: errors, warnings, refused loads."""
        said = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event["method"] in said]

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for since it was opened."""
        asked = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in asked]
