"""Fixtures of the tests that look at the page in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser

Page = Callable[[Path], Path]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("no Chromium; `make browser` installs it where apt-get may")
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Page], Path]:
    """Return the path of a page of synthetic_pages, which is written once."""
    pages: dict[Page, Path] = {}

    def find(page: Page) -> Path:
        return pages.get(page) or pages.setdefault(page, page(tmp_path_factory.mktemp(page.__name__)))

    return find
