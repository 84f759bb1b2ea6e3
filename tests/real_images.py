"""Tars of real images that lie beside some checkouts; tests of them skip where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_data(name: str) -> Path:
    """Return a tar of real images, or skip the test where it is not at hand."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"real images are not at hand: {path}")
    return path
