"""The page in a real browser: nothing empty, nothing overflowing or out of place, nothing asked of a network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import LAYOUT, Browser
from synthetic_pages import (
    audited,
    conditions,
    data_sets,
    empty,
    full,
    many_arms,
    project,
    unaudited_project,
    young_project,
)

LEAST = 0.004
"""Share of a box's pixels that differ from its commonest colour: the emptiest box of a good page has 0.0065."""


def faults(browser: Browser) -> list[str]:
    """Return what is wrong with the page as it stands: boxes that are next to empty, text out of place."""
    browser.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
    pixels = browser.screenshot()
    found = browser.evaluate(LAYOUT)
    assert len(found["boxes"]) > 3
    return found["faults"] + [f"empty: {name}" for name, *box in found["boxes"] if inked(pixels, *box) < LEAST]


def inked(pixels: np.ndarray, left: int, top: int, right: int, bottom: int, edge: int = 6) -> float:
    """Return the share of a box's pixels that clearly differ from its commonest colour, its border left out.

    Every second pixel of every second line is looked at.
    """
    inside = pixels[top + edge : bottom - edge : 2, left + edge : right - edge : 2].reshape(-1, 3).astype(np.int16)
    shades = (inside >> 4) @ np.array([256, 16, 1], dtype=np.int16)
    background = inside[(shades == np.bincount(shades).argmax()).argmax()]
    return float((np.abs(inside - background).max(axis=1) > 24).mean())


def test_the_share_of_pixels_is_counted_within_the_border() -> None:
    pixels = np.full((40, 60, 3), 250, dtype=np.uint8)
    pixels[:12] = 0  # of the box's 8 x 8 inside, 2 of the 8 rows
    assert inked(pixels, 10, 4, 30, 24) == 0.25


PROJECTS = [audited, project, young_project, unaudited_project]


@pytest.mark.parametrize("page", [full, many_arms, conditions, data_sets, empty, *PROJECTS])
def test_nothing_is_empty_or_out_of_place(browser: Browser, written: Any, page: Callable[[Path], Path]) -> None:
    for width in (1280, 360):
        for scheme in ("light", "dark"):
            browser.open(written(page), width, scheme)
            assert faults(browser) == []
            dark = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
            assert dark == (scheme == "dark")
            assert browser.complaints() == []
            assert {url.partition(":")[0] for url in browser.requests()} <= {"file", "data"}
    for width in (320, 768):
        browser.open(written(page), width)
        assert browser.evaluate(LAYOUT)["faults"] == []


BROKEN = {
    "empty: svg": lambda text: re.sub(r"(<svg[^>]*>).*?(?=</svg>)", r"\1", text, flags=re.S),
    "empty: section Labels saved": "section:has([aria-label='Labels saved']) * { visibility: hidden }",
    "empty: div Accuracy by labels": "[aria-label='Accuracy by labels'] table { visibility: hidden }",
    "empty: img": "img { opacity: 0 }",
    "empty: header": ":root { --ink: #f6f6f3; --ink-soft: #f6f6f3; --accent: #f6f6f3 }",
    "page: ": ".facts { width: 2000px }",
    "out of its card: p 86.5 %": ".tiles .number { text-indent: 9rem }",
    "out of its card: svg": "svg.wide { margin-top: -9rem }",
    "over each other: ": "h2 { height: .1rem }",
    "cut off: p 86.5 %": ".tiles .number { width: 2rem; overflow: hidden }",
    "no value in sight: div Accuracy by labels": "thead th:first-child { padding-right: 2000px }",
}  # fmt: skip
"""What a check says, and what breaks a page so that it does: a rule of style, or a change of the file."""


@pytest.mark.parametrize("complaint", BROKEN)
def test_a_broken_page_is_told(browser: Browser, written: Any, tmp_path: Path, complaint: str) -> None:
    good, harm = written(full).read_text(encoding="utf-8"), BROKEN[complaint]
    bad = good.replace("</style>", f"{harm}</style>", 1) if isinstance(harm, str) else harm(good)
    (tmp_path / "bad.html").write_text(bad, encoding="utf-8")
    browser.open(tmp_path / "bad.html")
    assert any(fault.startswith(complaint) for fault in faults(browser))


def test_the_policy_runs_no_other_script_and_loads_nothing(browser: Browser, written: Any, tmp_path: Path) -> None:
    added = "<script>document.title = 'run'</script><img src='http://127.0.0.1:9/seen.png' alt=''></body>"
    text = written(full).read_text(encoding="utf-8").replace("</body>", added)
    for name, changed in {"held": text, "open": text.replace("Content-Security-Policy", "x-none")}.items():
        (tmp_path / f"{name}.html").write_text(changed, encoding="utf-8")
    browser.open(tmp_path / "held.html")
    assert browser.evaluate("document.title") != "run" and len(browser.complaints()) == 2
    browser.wait_for("Network.loadingFailed", blockedReason="csp")
    browser.open(tmp_path / "open.html")
    assert browser.evaluate("document.title") == "run"
    assert "http://127.0.0.1:9/seen.png" in browser.requests()


def test_without_scripts_the_page_is_complete(browser: Browser, written: Any) -> None:
    said = []
    for scripts in (True, False):
        browser.open(written(full), scripts=scripts)
        assert faults(browser) == []
        assert bool(browser.evaluate("document.querySelectorAll('button').length")) == scripts
        browser.evaluate("document.querySelectorAll('.save').forEach(button => button.remove())")
        said.append(browser.evaluate("document.querySelector('main').innerText.split(/\\s+/)"))
    assert said[0] == said[1] and len(said[0]) > 500
