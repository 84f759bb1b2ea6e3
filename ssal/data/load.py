"""The stage door of data: a source's name and options in, Images out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from ssal.data.cache import Contents, examine
from ssal.data.checks import check_manifest, check_sides
from ssal.data.images import Images, ImageSet
from ssal.data.listing import Listing, content_id
from ssal.data.near_duplicates import with_near_duplicates
from ssal.data.pixel_statistics import pixel_statistics
from ssal.data.pool import Imbalance, by_content, check_benchmark, put_out, thinned
from ssal.data.split import Entry, divide, merge
from ssal.errors import BadInput
from ssal.fingerprints import fingerprint
from ssal.registry import find


def load(
    checkpoints: Path,
    *,
    source: str,
    options: dict[str, Any],
    size: Annotated[int, Field(ge=4, le=4096)] | None = None,
    labels: Literal["hidden", "given"] = "hidden",
    flip: bool = True,
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2,
    group_by: str | None = None,
    conflicts: Literal["error", "skip"] = "error",
    classes: list[str] | None = None,
    imbalance: Imbalance | None = None,
    out_of_class: list[str] | None = None,
    redundancy: Annotated[int, Field(ge=0, le=1000)] = 0,
    pool_seed: Annotated[int, Field(ge=0)] = 0,
    resident_limit_gib: Annotated[float, Field(ge=0)] = 4.0,
    workers: Annotated[int, Field(ge=1, le=64)] = 4,
) -> Images:
    """Return the images of `source` (called with `options`), decoded at most once under `checkpoints`.

    `size`: side in pixels, None where all images have one size; `test_fraction` and `group_by` (a regular expression
    on the path) split a source that has no test part; `classes` fixes the names. `imbalance`, `out_of_class` (pool.py)
    and `redundancy` (near_duplicates.py) change a benchmark's pool alone; `pool_seed` draws for them. Raises BadInput.
    """
    check_benchmark(labels, imbalance=imbalance, out_of_class=out_of_class, redundancy=redundancy)
    told: list[str] = []
    listing: Listing = find("dataset", source).call(**options)
    check_manifest(listing, classes, out_of_class or ())
    if not listing.items:
        raise BadInput(f"data: the source {source!r} holds no image")
    contents = _embeddings(listing) if listing.features is not None else None
    contents = contents or examine(checkpoints, listing, size=size, limit_gib=resident_limit_gib, workers=workers)
    merged = merge(listing.items, contents.ids, skip_conflicts=conflicts == "skip")
    sides = divide(merged.entries, test_fraction=test_fraction, group_by=group_by)
    names = list(classes) if classes else sorted({e.label for e in merged.entries if e.label is not None})
    if out_of_class:
        sides, names, told = put_out(sides, names, out_of_class)
    check_sides(sides, names, labels, own_parts=any(entry.part == "test" for entry in merged.entries))
    if imbalance is not None:
        sides.pool, more = thinned(sides.pool, sorted(names), imbalance, pool_seed)
        told += more
    known = {entry.id: entry.label for entry in sides.pool if entry.label is not None}
    pool, test = _image_set(listing, contents, sides.pool), _image_set(listing, contents, sides.test)
    mean, std = pixel_statistics(contents, sides.pool)
    if redundancy:
        pool, whose, more = with_near_duplicates(pool, redundancy, pool_seed, resident_limit_gib)
        known |= {id: known[original] for id, original in whose.items() if original in known}
        told += more
    mib = (len(contents.ids) + len(pool) - len(sides.pool)) * int(np.prod(pool.shape)) / 2**20
    mode = f"resident: {mib:,.0f} MiB in memory"
    report = {
        "pool": len(pool),
        "test": len(test),
        "labelled": len(known),
        "shape": list(pool.shape),
        "classes": names,
        "order": by_content(sides.pool, names),
        "split": sides.sentence,
        "mode": mode if pool.resident else f"lazy: decoded when needed by {workers} threads",
        "duplicates": merged.duplicates,
        "also_in_test": merged.also_in_test,
        "group_in_test": sides.group_in_test,
        "conflicts": merged.conflicts,
        "test_without_label": sides.test_without_label,
        "unreadable": contents.unreadable,
        "notes": [*listing.notes, *told],
    }
    return Images(
        pool=pool,
        test=test,
        classes=tuple(names),
        mean=mean,
        std=std,
        hidden=known if labels == "hidden" else {},
        given=known if labels == "given" else {},
        test_labels=tuple(str(entry.label) for entry in sides.test),
        # Ids that came with embeddings are the images': two encoders of one set differ in the values alone.
        fingerprint=fingerprint(
            pool.ids, test.ids, size, *([] if listing.features is None else [content_id(listing.features)])
        ),
        flip=flip,
        report=report,
    )


def _image_set(listing: Listing, contents: Contents, entries: Sequence[Entry]) -> ImageSet:
    places = torch.from_numpy(contents.places[[entry.numbers[0] for entry in entries]].astype(np.int64))
    return ImageSet([e.id for e in entries], [e.paths[0] for e in entries], contents.pixels, places)


def _embeddings(listing: Listing) -> Contents:
    assert listing.features is not None
    ids, none = list(listing.ids or map(content_id, listing.features)), np.zeros((0, 3), np.uint64)
    return Contents(ids, np.arange(len(ids)), none, none, torch.from_numpy(listing.features), [])
