"""Whether a source can serve at all: names that are known, classes and labels where they are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ssal.data.listing import Listing
from ssal.data.split import Divided
from ssal.errors import BadInput, counted, nearest
from ssal.errors import listing as some


def check_manifest(listing: Listing, classes: list[str] | None, others: Sequence[str] = ()) -> None:
    """Raise BadInput with all that is wrong in the source's manifest, names outside `classes` and `others` among it."""
    if classes is not None and (len(set(classes)) != len(classes) or len(classes) < 2):
        raise BadInput(f"data.classes: expected two or more different names, got {classes}")
    problems = list(listing.problems)
    if classes is not None:
        unknown = Counter(
            (item.line, item.label) for item in listing.items if item.label not in (None, *classes, *others)
        )
        for (line, label), count in unknown.items():
            images = "" if line else f" ({counted(count, 'image')})"
            hint = "" if line else "; name it there, or call its folder as the class is called"
            told = f"class {label!r}{images} is not in data.classes{nearest(str(label), classes)}{hint}"
            problems.append((line, told))
    if problems:
        lines = [f"line {line}: {problem}" if line else problem for line, problem in sorted(problems)]
        more = [f"and {len(lines) - 20} more"] if len(lines) > 20 else []
        title = f"{listing.manifest or 'data'}: {counted(len(lines), 'problem')}"
        raise BadInput("\n  ".join([title, *lines[:20], *more]))


def check_sides(sides: Divided, names: list[str], labels: str, *, own_parts: bool) -> None:
    """Raise BadInput where these images cannot serve: too few classes, or no labels where they are needed."""
    if not sides.pool:
        raise BadInput("data: no image is left to learn from; type a lower data.test_fraction, or add train images")
    if labels == "hidden":
        if not any(entry.label is not None for entry in sides.pool + sides.test):
            raise BadInput(
                "data.labels: hidden means that known labels answer, but no image has a label; put the images into one "
                "folder per class, or type data.labels=given for a project that people label"
            )
        only_test = sorted({str(e.label) for e in sides.test} - {str(e.label) for e in sides.pool})
        if own_parts and only_test:
            raise BadInput(f"data: the test part has classes without any image to learn from: {some(only_test)}")
    if len(names) == 1:
        raise BadInput(
            f"data: there is a single class, {names[0]!r}; a classifier needs two or more (one folder each), or name "
            f"the others that people may answer: data.labels=given data.classes=[{names[0]}, …]"
        )
    if not sides.test and (labels == "hidden" or own_parts):
        why = "no image of the test part has a label" if own_parts else "the split left no image for testing"
        raise BadInput(f"data: {why}; give the test images labels, or type a higher data.test_fraction")
