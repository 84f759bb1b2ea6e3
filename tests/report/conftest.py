"""Fixtures of the tests that look at the page in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Page = Callable[[Path], Path]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Page], Path]:
    """Return the path of a page of synthetic_pages, which is written once."""
    pages: dict[Page, Path] = {}

    def find(page: Page) -> Path:
        return pages.get(page) or pages.setdefault(page, page(tmp_path_factory.mktemp(page.__name__)))

    return find
