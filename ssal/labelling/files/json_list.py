"""A JSON list element by element, so that every problem can name the line of its element."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ssal.labelling.files.reading import Reading, content_of, decoded
from ssal.labelling.files.words import Unclear

_BLANK = re.compile(r"[ \t\r\n]*")


def elements(reading: Reading) -> Iterator[tuple[int, Any]]:
    """Give (line it begins on, value) of every element of the JSON list in a file, or of the one value that is no list.

    Raises Unclear where it is no text; where it is damaged, that is a problem of `reading` and all there is.
    """
    try:
        text = decoded(content_of(reading.file))
    except UnicodeDecodeError as error:
        raise Unclear("expected JSON in UTF-8, as Label Studio exports it; export it again") from error
    decoder, line, counted = json.JSONDecoder(), 1, 0
    end = _blank(text, 0)
    several = text.startswith("[", end)
    more = not (several and text.startswith("]", _blank(text, end + 1)))
    end = _blank(text, end + 1) if several else end
    while more:
        line, counted = line + text.count("\n", counted, end), end
        try:
            value, end = decoder.raw_decode(text, end)
        except (ValueError, RecursionError) as error:
            at = error.lineno if isinstance(error, json.JSONDecodeError) else line
            with reading.at(at):
                raise Unclear(
                    f"expected a JSON export of Label Studio; it is damaged ({error}); export it again"
                ) from error
            return
        yield line, value
        end = _blank(text, end)
        more = several and text.startswith(",", end)
        end = _blank(text, end + 1) if more else end
    if text[end:].strip(" \t\r\n") != ("]" if several else ""):
        with reading.at(text.count("\n", 0, end) + 1):
            raise Unclear("expected a whole JSON export of Label Studio, got a damaged end; export it again")


def _blank(text: str, position: int) -> int:
    """Return where the blanks from `position` on end."""
    found = _BLANK.match(text, position)
    return found.end() if found else position
