"""Fixtures of the pretext tests."""

from __future__ import annotations

import pytest
from tiny_pretexts import first_images

from ssal.data.images import Images
from ssal.data.load import load


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return load(tmp_path_factory.mktemp("digits"), source="digits", options={}, size=8, flip=False)


@pytest.fixture(scope="session")
def few(digits: Images) -> Images:
    """Return the first 60 images of the pool."""
    return first_images(digits, 60)
