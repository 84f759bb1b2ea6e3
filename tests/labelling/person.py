"""Somebody at the page, in a real browser, by keyboard alone."""

from __future__ import annotations

import json
import re

from browser import LAYOUT, Browser
from questions import DIGITS

from ssal.labelling.answers import LABEL, NONE, SKIPPED

KEYS = dict(zip(DIGITS, "123456789a", strict=True))
SHOWN = "!document.getElementById('one').hidden && document.body.ariaBusy !== 'true'"
ALT = "document.getElementById('picture').alt"


def id(name: str) -> str:
    return f"document.getElementById('{name}')"


class Person:
    """Somebody who answers by keyboard, and what they meant each image to be."""

    def __init__(self, browser: Browser, address: str, truth: list[str]) -> None:
        self.browser, self.truth = browser, truth
        self.meant: dict[int, tuple[str, str | None]] = {}
        browser.visit(address)
        browser.wait_until(f"{id('names')}.open || ({SHOWN})")
        if browser.evaluate(f"{id('names')}.open"):
            browser.evaluate(f"{id('name')}.value = ''")
            browser.call("Input.insertText", text="ann")
            browser.press("Enter")
        browser.wait_until(f"!{id('names')}.open && ({SHOWN})")

    def number(self) -> int:
        """Return the number of the image that is shown."""
        self.browser.wait_until(f"{SHOWN} && {id('picture')}.complete")
        return int(re.findall(r"Image (\d+) of", self.browser.evaluate(ALT))[0]) - 1

    def press(self, key: str, control: bool = False) -> None:
        """Press a key and wait until another image is shown, or none is left."""
        before = self.browser.evaluate(ALT)
        self.browser.press(key, control)
        self.browser.wait_until(f"({SHOWN} && {ALT} !== {json.dumps(before)}) || !{id('rest')}.hidden")

    def say(self, kind: str = LABEL, label: str | None = None) -> int:
        """Answer the image that is shown, with what it is unless another answer is given; return its number."""
        number = self.number()
        if kind == LABEL:
            label = label or self.truth[number]
        self.press({SKIPPED: "s", NONE: "n"}.get(kind) or KEYS[label or ""])
        self.meant[number] = (kind, label)
        return number

    def say_wrongly_and_undo(self, key: str, control: bool) -> None:
        number = self.number()
        self.say(LABEL, next(name for name in DIGITS if name != self.truth[number]))
        self.press(key, control)
        assert self.number() == number, "what was taken back is asked again"


def faults(browser: Browser, behind: str = "visible") -> list[str]:
    """Return what is out of place, what has no name and what the page complains of; `behind` a dialog may be hidden."""
    browser.evaluate(f"document.querySelectorAll('header, main').forEach(item => item.style.visibility = '{behind}')")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    controls = {"button", "textbox", "searchbox", "combobox", "image", "dialog", "progressbar", "region"}
    nameless = [
        f"no name: {node['role']['value']} {node.get('backendDOMNodeId')}"
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in controls and not node["name"].get("value", "").strip()
    ]
    return browser.evaluate(LAYOUT)["faults"] + nameless + browser.complaints()
