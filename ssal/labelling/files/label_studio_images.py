"""Which image a task of Label Studio is about."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ssal.labelling.files.asked import Asked, unique
from ssal.labelling.files.label_studio_tasks import ID
from ssal.labelling.files.words import Unclear

_UPLOAD = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio writes before the name of a file that was uploaded."""


class Images:
    """Finds the image that a task's data are of."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._by_name = unique((_name(path.rpartition("/")[2]), id) for id, path in asked.paths.items())

    def find(self, data: dict[str, Any], upload: Any) -> str:
        """Return the id that the data hold, or the one image whose file they name. Raises Unclear."""
        if isinstance(id := data.get(ID, data.get("id")), str):
            return self._asked.find(id)
        texts = [text for text in (*data.values(), upload) if isinstance(text, str) and not text.startswith("data:")]
        if len(found := {id for text in texts for id in self._named(text)}) == 1:
            return found.pop()
        raise Unclear(
            f"expected the image's id as {ID!r} in the task's data, or the name of one file that was asked for; import "
            "the tasks that were written for Label Studio, or leave this one out"
        )

    def _named(self, text: str) -> set[str]:
        """Return the images that an address or path may be of: by its path, else by its file's name."""
        texts = {text}
        try:
            address = urlsplit(text)
            texts |= {address.path, *parse_qs(address.query).get("d", ())}
        except ValueError:
            pass
        paths = [unquote(text).replace("\\", "/").split("/") for text in texts]
        ends = ("/".join(parts[start:]) for parts in paths for start in range(len(parts)))
        if found := {self._asked.by_path[end] for end in ends if end in self._asked.by_path}:
            return found
        names = {name for parts in paths for name in (parts[-1], _UPLOAD.sub("", parts[-1], count=1))}
        by_id = {id for name in names for id in self._asked.in_name(name)}
        return by_id or {self._by_name[key] for key in map(_name, names) if key in self._by_name}


def _name(name: str) -> str:
    """Return a file's name as it is after an upload, which keeps letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_")).casefold()
