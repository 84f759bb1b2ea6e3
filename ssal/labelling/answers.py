"""Answer: what somebody said of one image, whichever way it came; every kind of it has one name everywhere."""

from __future__ import annotations

from dataclasses import dataclass

LABEL, NONE, CANNOT_TELL, SKIPPED = KINDS = ("label", "none", "cannot_tell", "skipped")
"""One of the classes; none of them; a person cannot tell which; not now, so that it may be asked again later."""
SHOWN = {NONE: "none of the classes", CANNOT_TELL: "cannot tell", SKIPPED: "skipped"}
"""Kind of an answer without a label -> what it is called where people read and write it."""


@dataclass(frozen=True)
class Answer:
    """What `who` said of the image `id`."""

    id: str
    kind: str
    """One of KINDS."""
    label: str | None = None
    """Class name of a `label`; None for the other kinds."""
    who: str = ""
    seconds: float | None = None
    """How long the image was looked at; None where nobody measured it."""
    at: str = ""
    """When it was said, ISO 8601 in UTC; empty where that is not known, which means now."""

    def __post_init__(self) -> None:
        """Hold kind and label together."""
        if self.kind not in KINDS or (self.label is not None) != (self.kind == LABEL):
            raise ValueError(f"expected a label, or one of {KINDS[1:]} without one; got {self.kind!r}, {self.label!r}")
