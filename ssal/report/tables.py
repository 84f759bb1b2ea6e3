"""What the page's tables can do: the script that sorts and saves them, and the rows of results.csv to save."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from ssal.evaluation.results import Row, results_text

ROWS_BYTES = 200_000
"""What the rows of results.csv may take on the page."""


def script() -> Markup:
    """Return the one script of the page, as it is."""
    return Markup(Path(__file__).with_name("tables.js").read_text(encoding="utf-8"))


def script_source(script: str) -> Markup:
    """Return what a Content-Security-Policy says to run `script` and no other."""
    return Markup("'sha256-%s'") % base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def rows_text(results: Sequence[Row]) -> str:
    """Return results.csv word for word; nothing where there is no row, or where it would take more than ROWS_BYTES."""
    text = results_text(results) if results else ""
    return text if len(text.encode()) <= ROWS_BYTES else ""
