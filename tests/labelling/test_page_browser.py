"""The page in a real browser: answered by keyboard, killed in the middle, seen in light and dark, wide and narrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from page_process import Served
from person import ALT, SHOWN, faults, id
from questions import cell_of, read_json, recipe_in, write_question

from ssal.labelling.ledger import Ledger


@pytest.fixture
def truth(tmp_path: Path) -> list[str]:
    """Write a question of 60 images, and return what they show."""
    recipe_in(tmp_path)
    folder = write_question(cell_of(tmp_path / "checkpoints"), images=60)
    return [image["path"].split("/")[1].split("_")[0] for image in read_json(folder)["images"]]


@pytest.fixture
def served(tmp_path: Path, truth: list[str], browser: Browser) -> Iterator[Served]:
    found = Served(tmp_path, "--who", "ann", "--port", "0")
    yield found
    browser.visit("about:blank")  # a page that is left open asks for its server, in the next test too
    found.kill()


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


def test_the_grid_of_many_classes_shows_its_images_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    recipe_in(tmp_path)
    classes = tuple(f"a rather long name of a class {number}" for number in range(30))
    write_question(cell_of(tmp_path / "checkpoints"), images=60, classes=classes)
    served = Served(tmp_path, "--who", "ann", "--port", "0")
    browser.visit(served.address, 360)
    browser.resize(360, 740)
    browser.wait_until(SHOWN)
    browser.press("g")
    browser.wait_until(f"!{id('grid')}.hidden")
    browser.click(f"{id('groups')}.lastElementChild")
    browser.wait_until(f"{id('groups')}.lastElementChild.ariaPressed === 'true'")
    browser.evaluate("scrollTo(0, 0)")
    assert browser.evaluate(f"{id('cells')}.firstElementChild.getBoundingClientRect().bottom") < 740
    groups, pressed = (f"{one}.getBoundingClientRect()" for one in (id("groups"), f"{id('groups')}.lastElementChild"))
    assert browser.evaluate(f"{pressed}.top >= {groups}.top && {pressed}.bottom <= {groups}.bottom")
    assert faults(browser) == []
    browser.visit("about:blank")
    served.kill()


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
