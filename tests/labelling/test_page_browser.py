"""The page in a real browser: answered by keyboard, killed in the middle, seen in light and dark, wide and narrow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, LAYOUT, Browser
from page_process import Served
from questions import DIGITS, cell_of, finish, read_json, recipe_in, write_question

from ssal.labelling.answers import LABEL, NONE, SKIPPED
from ssal.labelling.ledger import Ledger

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


@pytest.fixture
def truth(tmp_path: Path) -> list[str]:
    """Write a question of 60 images, and return what they show."""
    recipe_in(tmp_path)
    folder = write_question(cell_of(tmp_path / "checkpoints"), images=60)
    return [image["path"].split("/")[1].split("_")[0] for image in read_json(folder)["images"]]


@pytest.mark.slow
def test_sixty_images_by_keyboard_with_a_break(tmp_path: Path, truth: list[str]) -> None:
    if not CHROMIUM:
        pytest.skip("no Chromium; `make browser` installs it where apt-get may")
    cell = cell_of(tmp_path / "checkpoints")
    served = Served(tmp_path)
    browser = Browser(tmp_path / "browser")
    ann = Person(browser, served.address, truth)
    ann.say()
    skipped = [ann.say(SKIPPED)]
    ann.say_wrongly_and_undo("u", control=False)
    none = ann.say(NONE)
    while len(ann.meant) < 30:
        ann.say()
    skipped.append(ann.say(SKIPPED))
    browser.close()
    served.kill()

    served = Served(tmp_path, "--port", served.port)
    browser = Browser(tmp_path / "browser")
    back, meant = Person(browser, served.address, truth), ann.meant
    assert back.number() not in meant, "what was answered is not asked again"
    assert "29 of 60 answered" in browser.evaluate(f"{id('facts')}.textContent")
    back.meant = meant
    back.say_wrongly_and_undo("z", control=True)
    skipped.append(back.say(SKIPPED))
    while len(meant) < 60:
        back.say()
    browser.wait_until(f"!{id('rest')}.hidden")
    assert "Nothing is left but 3 images you skipped" in browser.evaluate(f"{id('rest')}.textContent")
    assert "ssal run recipe.yaml" in browser.evaluate(f"{id('rest')}.textContent")
    browser.click(id("look-skipped"))
    for _ in skipped:
        assert back.say() in skipped
    browser.wait_until(f"{id('rest-title')}.textContent === 'All 60 images have an answer'")
    assert "ssal run recipe.yaml" in browser.evaluate(f"{id('rest')}.textContent")
    assert browser.complaints() == []

    ledger = Ledger(cell / "ledger.sqlite")
    ids = [image["id"] for image in read_json(cell / "round_0" / "question")["images"]]
    expected = {number: (LABEL, truth[number]) for number in range(60)} | {none: (NONE, None)}
    assert {ids[number]: said for number, said in meant.items()} == {ids[n]: said for n, said in expected.items()}
    settled = {id: (now.kind, now.label) for (id, _), now in ledger.settled().items() if now}
    assert settled == {ids[number]: said for number, said in expected.items()}
    events = [row["event"] for row in ledger.chain.rows()]
    assert events.count("undone") == 2 and events.count("said") == 60 + 3 + 2
    assert [one.answer.kind for one in ledger.said()].count(SKIPPED) == 3
    assert {(one.answer.who, one.via) for one in ledger.said()} == {("ann", "page")}
    assert all(one.answer.seconds is not None and 0 <= one.answer.seconds < 600 for one in ledger.said())
    assert ledger.chain.damages() == []

    finish(cell, 0)
    write_question(cell, 1, images=6, begin=60)
    browser.wait_until(SHOWN)
    assert browser.evaluate(f"{id('title')}.textContent") == "recipe.yaml, round 1", "the next question comes by itself"
    browser.close()
    assert served.stop() == 130


@pytest.fixture
def served(tmp_path: Path, truth: list[str], browser: Browser) -> Iterator[Served]:
    found = Served(tmp_path, "--who", "ann", "--port", "0")
    yield found
    browser.visit("about:blank")  # a page that is left open asks for its server, in the next test too
    found.kill()


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


def test_nothing_is_out_of_place_or_without_a_name(browser: Browser, served: Served, tmp_path: Path) -> None:
    for width, height in ((1280, 900), (360, 740)):
        for scheme in ("light", "dark"):
            browser.visit(served.address, width, scheme)
            browser.resize(width, height)
            browser.wait_until(SHOWN)
            if not browser.evaluate(f"{id('recent')}.children.length"):
                for key in "12s":
                    before = browser.evaluate(ALT)
                    browser.press(key)
                    browser.wait_until(f"{SHOWN} && {ALT} !== {json.dumps(before)}")
                browser.wait_until(f"{id('recent')}.children.length === 3")
            assert faults(browser) == []
            dark = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
            assert dark == (scheme == "dark")
            for key, opened in {"?": "keys", "z": "zoomed"}.items():
                browser.press(key)
                browser.wait_until(f"{id(opened)}.open")
                assert faults(browser, behind="hidden") == []
                browser.press("Escape")
                browser.wait_until(f"!{id(opened)}.open")
            browser.press("g")
            browser.wait_until(f"!{id('grid')}.hidden")
            assert faults(browser) == []
            browser.press("Escape")
            browser.wait_until(SHOWN)
            assert {url.split("/")[2] for url in browser.requests()} == {served.address.split("/")[2]}


def test_the_grid_answers_many_at_once_by_keyboard(browser: Browser, served: Served, tmp_path: Path) -> None:
    browser.visit(served.address)
    browser.wait_until(SHOWN)
    browser.press("g")
    browser.wait_until(f"!{id('grid')}.hidden")
    for key in (" ", "ArrowRight", "ArrowRight", " "):
        browser.press(key)
    said = browser.evaluate(f"{id('confirm')}.textContent")
    browser.press("Enter")
    browser.wait_until(f"{id('facts')}.textContent.startsWith('2 of 60')")
    ledger = Ledger(cell_of(tmp_path / "checkpoints") / "ledger.sqlite")
    label = ledger.said()[0].answer.label
    assert said == f"Confirm 2 as {label}" and [one.answer.label for one in ledger.said()] == [label] * 2
    browser.press("u")
    browser.wait_until(f"{id('facts')}.textContent.startsWith('0 of 60')")
    assert ledger.said() == []


def test_keys_of_the_page(browser: Browser, served: Served, tmp_path: Path) -> None:
    browser.visit(served.address)
    browser.wait_until(SHOWN)
    assert browser.evaluate(f"{id('model')}.textContent").startswith("The model takes it for zero")
    browser.press("h")
    assert browser.evaluate(f"{id('model')}.textContent") == "" and browser.evaluate(f"{id('near')}.hidden")
    browser.visit(served.address)
    browser.wait_until(SHOWN)
    assert browser.evaluate(f"{id('model')}.textContent") == "", "that it is off is remembered"
    browser.press("h")
    browser.press("/")
    browser.call("Input.insertText", text="NIN")
    shown = browser.evaluate(f"[...{id('classes')}.children].filter(one => !one.hidden).map(one => one.value)")
    assert shown == ["nine"]
    browser.press("Enter")
    browser.wait_until(f"{SHOWN} && {ALT} === 'Image 2 of 60'")
    browser.press("ArrowLeft")
    browser.wait_until(f"{SHOWN} && {ALT} === 'Image 1 of 60'")
    assert "You said nine" in browser.evaluate(f"{id('note')}.textContent")
    browser.press("1")
    browser.wait_until(f"{SHOWN} && {ALT} === 'Image 2 of 60'")
    ledger = Ledger(cell_of(tmp_path / "checkpoints") / "ledger.sqlite")
    assert [one.answer.label for one in ledger.said()] == ["nine", "zero"]
    for _ in range(4):
        browser.press("Tab")
        outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "where the keyboard is can be seen"


def test_the_clock_counts_neither_idle_nor_hidden_time(browser: Browser, served: Served) -> None:
    browser.visit(served.address)
    browser.wait_until(SHOWN)
    counted = browser.evaluate(
        "import('/clock.js').then(({ Clock }) => { let now = 0; const clock = new Clock(() => now);"
        " const at = (time, what) => { now = 1000 * time; return what(); };"
        " clock.restart(); at(5, () => clock.sign()); const first = at(12, () => clock.seconds());"
        " at(20, () => clock.show(false)); at(500, () => clock.show(true));"
        " const second = at(510, () => clock.seconds());"
        " const third = at(1000, () => clock.seconds()); clock.restart();"
        " return [first, second, third, clock.seconds()]; })"
    )
    assert counted == [12, 30, 90, 0]
