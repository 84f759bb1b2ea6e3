"""What a recipe does to a benchmark's pool: classes put out of it, classes made rare. The test set stays clean.

This makes the world that methods are tried in, so it may look at hidden labels; methods see no more than which images
there are. Draws go by content ids, and classes stand by their least id: names and paths move nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from ssal.data.split import Divided, Entry
from ssal.errors import BadInput, nearest
from ssal.errors import listing as some
from ssal.streams import stream

Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Shares = dict[str, Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]]
Imbalance = Annotated[
    Annotated[Ratio, Tag("a ratio")] | Annotated[Shares, Tag("shares by class")],
    Discriminator(lambda given: "shares by class" if isinstance(given, dict) else "a ratio"),
]
"""Images of the most frequent class per image of the rarest; or class -> share of its images that stay."""


def check_benchmark(labels: str, **options: object) -> None:
    """Raise BadInput where a real project, which takes its pool as it is, has one of these options set."""
    for key, value in options.items():
        if value and labels != "hidden":
            raise BadInput(
                f"data.{key}: this makes the pool of a benchmark, but data.labels is {labels}; type data.labels=hidden "
                f"to compare strategies, or leave data.{key} out"
            )


def by_content(pool: Sequence[Entry], names: Collection[str]) -> list[str]:
    """Return `names` by the least id among each one's pool images; those without an image follow by name."""
    known = set(names)
    seen = dict.fromkeys(e.label for e in pool if e.label in known)  # entries are sorted by id
    return [*filter(None, seen), *sorted(known - set(seen))]


def put_out(sides: Divided, names: Sequence[str], out: Sequence[str]) -> tuple[Divided, list[str], list[str]]:
    """Return sides whose test part lacks the classes `out`, the other names, and what to tell of it.

    Their images stay in the pool under their own names, which are then none of the classes': they are trained on
    without a label until somebody is asked, whose answer costs budget and gives none, as in a pool nobody has sorted.
    Raises BadInput for a class without images there, and where fewer than two classes are left.
    """
    of = [entry for entry in sides.pool if entry.label in out]
    seen = sorted({entry.label for entry in sides.pool if entry.label is not None})
    for name in out:
        if name not in seen:
            hint = nearest(name, seen) or f" (classes: {some(seen, 10)})"
            raise BadInput(f"data.out_of_class: no pool image is of a class {name!r}{hint}")
    left = [name for name in names if name not in out]
    if len(left) < 2:
        raise BadInput(
            f"data.out_of_class: {len(names) - len(left)} of {len(names)} classes are put out, and a classifier needs "
            "two or more that are left; name fewer"
        )
    test = [entry for entry in sides.test if entry.label not in out]
    told = f"{len(of)} of {len(sides.pool)} pool images are of none of the classes ({some(sorted(set(out)), 10)})"
    gone = f"{len(sides.test) - len(test)} test images of theirs are left out"
    return replace(sides, test=test), left, [f"out of class: {told}; {gone}"]


def profile(available: Sequence[int], ratio: float) -> list[int]:
    """Return how many images of each class stay, n · ratio^(-c / (C - 1)) for c = 0 … C - 1, rounded down.

    That is the exponential profile of long-tailed CIFAR (Cui et al., 2019; Cao et al., 2019). n is the most for which
    every class has enough of its `available` images; where these are equally many, it is their number, as there.
    """
    shares = [ratio ** (-rank / max(1, len(available) - 1)) for rank in range(len(available))]
    most = min(have / share for have, share in zip(available, shares, strict=True))
    return [int(most * share + 1e-6) for share in shares]


def thinned(
    pool: Sequence[Entry], names: Collection[str], imbalance: float | dict[str, float], seed: int
) -> tuple[list[Entry], list[str]]:
    """Return the entries that stay where classes are made rare, and what to tell of it; others than `names` all stay.

    A ratio makes an exponential `profile`; `seed` draws which classes are frequent. In a mapping each class keeps its
    share of its images, and one that is not named keeps all. Which images stay follows from `seed` and each one's id
    alone, so those of a higher ratio are among those of a lower one. Raises BadInput where a pool image has no label,
    a class is not known, or none of its images would stay.

    Differs from the paper: classes are frequent in a drawn order, not in that of their numbers (Cao et al., 2019).
    """
    without = [entry.paths[0] for entry in pool if entry.label is None]
    if without:
        raise BadInput(
            f"data.imbalance: {len(without)} of {len(pool)} pool images have no label, so nobody knows what is rare "
            f"among them (first: {without[0]}); label them, or move them away"
        )
    ids: dict[str, list[str]] = defaultdict(list)
    known = set(names)
    for entry in pool:
        if entry.label in known:
            ids[str(entry.label)].append(entry.id)
    order = sorted(ids, key=lambda name: stream(seed, "imbalance", "class", ids[name][0]))
    if isinstance(imbalance, dict):
        for name in imbalance:
            if name not in ids:
                hint = nearest(name, ids) or f" (classes: {some(sorted(ids), 10)})"
                raise BadInput(f"data.imbalance: no pool image is of a class {name!r}{hint}")
        what, instead = "so small a share", "a larger one"
        counts = {name: int(imbalance.get(name, 1.0) * len(ids[name]) + 1e-6) for name in order}
    else:
        what, instead = f"a ratio of {imbalance:g}", "a lower one"
        counts = dict(zip(order, profile([len(ids[name]) for name in order], imbalance), strict=True))
    for name, count in counts.items():
        if not count:
            raise BadInput(
                f"data.imbalance: {what} leaves none of the {len(ids[name])} pool images of class {name!r}; "
                f"type {instead}, or add images"
            )
    stay = {
        id
        for name, count in counts.items()
        for id in sorted(ids[name], key=lambda id: stream(seed, "imbalance", "image", id))[:count]
    }
    shown = some((f"{name}: {count}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])), 10)
    told = f"imbalance: {len(stay)} of {sum(map(len, ids.values()))} pool images of the classes stay ({shown})"
    return [entry for entry in pool if entry.id in stay or entry.label not in known], [told]
