"""What people are shown of a round's images: pictures, what the model thinks, and labelled images that look alike."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.nn.functional import normalize

from ssal import registry
from ssal.acquisition.chosen import Choice
from ssal.artefacts import make_folder, read_json, write_json, writing
from ssal.data.decode import Unreadable, within
from ssal.data.images import Images
from ssal.data.listing import Content
from ssal.errors import BadInput
from ssal.labelling.ledger import Ledger
from ssal.labelling.settle import shared_by_two
from ssal.pretext.encoder import Encoder
from ssal.recipe import Arm
from ssal.signals.kept import OUTPUTS, of_these, realigned

QUESTION = "question"
"""Folder in a round's folder that the labelling page reads; nothing else of the data is open to it."""
LARGEST, LARGEST_NEIGHBOUR = 1600, 320
"""Pixels of the longer side."""
SMALL = "_small"
LOSSLESS_UP_TO = 256
SUGGESTIONS, NEIGHBOURS = 3, 3
UNSURE = 0.2
"""Two best classes closer than this are told together."""
THREADS = 4


def prepare_question(
    chosen: Sequence[Choice], arm: Arm, images: Images, encoder: Encoder, ledger: Ledger, number: int, folder: Path
) -> dict[str, tuple[str, float]]:
    """Leave question.json and the pictures that it names in `folder`/question; return the best suggestions by id.

    Pictures that stand there are kept, and what is said of them is brought up to date: images that are gone since are
    left out, and classes may have joined or have other names. The images stand in the order of their ids, which is
    random: those of the audit slice are told from others by nothing. Without pixels, as with embeddings, nothing is
    left.
    """
    ids = sorted(choice.id for choice in chosen if choice.id in images.pool)
    suggested = _suggestions(ids, images, ledger, folder)
    if len(images.pool.shape) == 3:
        place = make_folder(folder / QUESTION)
        near, files = _standing(place, ids) or _made(place, ids, arm, images, encoder, ledger)
        labels = ledger.labels()
        two = shared_by_two([choice.id for choice in chosen], arm.labelling.get("asked_of_two", 0.0))
        write_json(
            place / "question.json",
            {
                "round": number,
                "position": ledger.chain.last(),
                "classes": list(images.classes),
                "chosen_by": _chosen_by(chosen, arm),
                "images": [
                    {
                        "id": id,
                        "path": images.pool.paths[images.pool.row(id)],
                        **files[id],
                        "suggestions": suggested.get(id, []),
                        "why": _why(suggested.get(id, [])),
                        "neighbours": [
                            {"id": other, "file": files[other]["file"], "label": labels[other]}
                            for other in near.get(id, ())
                            if other in labels
                        ],
                        "people": 1 + (id in two),
                    }
                    for id in ids
                ],
            },
        )
    return {id: found[0] for id, found in suggested.items()}


def _standing(place: Path, ids: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]] | None:
    """Return neighbours and pictures by id as they stand; None where an image or its picture is not there."""
    try:
        shown = {image["id"]: image for image in read_json(place / "question.json")["images"]}
        files = {id: {name: shown[id][name] for name in ("file", "width", "height")} for id in ids}
        near = {id: [one["id"] for one in shown[id]["neighbours"]] for id in ids}
        files |= {
            one["id"]: {"file": one["file"]} for id in ids for one in shown[id]["neighbours"] if one["id"] not in files
        }
    except (BadInput, FileNotFoundError, KeyError, TypeError):  # of an older ssal, or not whole: it is made anew
        return None
    return (near, files) if all((place / one["file"]).is_file() for one in files.values()) else None


def _made(
    place: Path, ids: Sequence[str], arm: Arm, images: Images, encoder: Encoder, ledger: Ledger
) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Return neighbours by id, and the pictures of all of them, which are written."""
    near = _neighbours(ids, images, encoder, ledger)
    wanted = dict.fromkeys([*ids, *(id for found in near.values() for id in found)])
    return near, _pictures(place, wanted, ids, arm, images)


def _suggestions(
    ids: Sequence[str], images: Images, ledger: Ledger, folder: Path
) -> dict[str, list[tuple[str, float]]]:
    """Return the likeliest classes of every image, with their probabilities; empty before the first learner."""
    if not of_these(folder / OUTPUTS, images.fingerprint):
        return {}
    numbers = ledger.class_numbers(images.classes)
    names = {number: name for name, number in numbers.items()}
    rows = torch.tensor([images.pool.row(id) for id in ids])
    best = realigned(folder / OUTPUTS, numbers, ledger.called_now)[rows].topk(min(SUGGESTIONS, len(numbers)), dim=1)
    return {
        id: [(names[number], round(value, 4)) for number, value in zip(columns, values, strict=True)]
        for id, columns, values in zip(ids, best.indices.tolist(), best.values.tolist(), strict=True)
    }


def _neighbours(ids: Sequence[str], images: Images, encoder: Encoder, ledger: Ledger) -> dict[str, list[str]]:
    """Return the labelled images that the encoder finds most alike, by cosine; empty without encoder or labels."""
    labelled = sorted(ledger.labels())
    if not encoder.ready or not labelled:
        return {}
    features = normalize(encoder.features(images)["pool"].float(), dim=1)
    theirs, own = (features[torch.tensor([images.pool.row(id) for id in some])] for some in (labelled, ids))
    best = (own @ theirs.T).topk(min(NEIGHBOURS, len(labelled)), dim=1).indices.tolist()
    return {id: [labelled[row] for row in rows] for id, rows in zip(ids, best, strict=True)}


def _why(suggestions: Sequence[tuple[str, float]]) -> str:
    """Say what the model makes of an image; chosen or drawn, the words are the same."""
    if len(suggestions) < 2:
        return ""
    (first, high), (second, low) = suggestions[:2]
    if high - low < UNSURE:
        return f"unsure between {first} ({100 * high:.0f} %) and {second} ({100 * low:.0f} %)"
    return f"taken for {first} ({100 * high:.0f} %)"


def _chosen_by(chosen: Sequence[Choice], arm: Arm) -> str:
    named = next((choice.strategy for choice in chosen), arm.strategy)
    drawn = f"; {100 * arm.audit:.0f} % are drawn at random, to measure accuracy, and look like the others" * bool(
        arm.audit
    )
    return f"{named}{drawn}"


def contents_of(arm: Arm, images: Images) -> Callable[[str], Content]:
    """Return what reads an image of the pool by id, as its source has it; pixels of one that a benchmark has made."""
    listing = registry.find("dataset", arm.data["source"]).call(**arm.data["options"])
    numbers: Mapping[str, int] = {item.path: number for number, item in enumerate(listing.items)}

    def read(id: str) -> Content:
        row = images.pool.row(id)
        number = numbers.get(images.pool.paths[row])
        if number is None and arm.data.get("redundancy"):
            return images.pool.fetch(torch.tensor([row]))[0].permute(1, 2, 0).cpu().numpy()
        if number is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), images.pool.paths[row])
        content: Content = listing.read(number)
        return content

    return read


def _pictures(
    place: Path, ids: Iterable[str], asked: Sequence[str], arm: Arm, images: Images
) -> dict[str, dict[str, Any]]:
    """Write every image anew as WebP, and return its file's name and size by id."""
    read, large = contents_of(arm, images), set(asked)

    def make(id: str) -> tuple[str, dict[str, Any]]:
        picture = _picture(read, id, LARGEST if id in large else LARGEST_NEIGHBOUR)
        # Named by what it shows, so that no page that is open, and no browser, ever has another image by this name.
        file = f"{id}{'' if id in large else SMALL}.webp"
        lossless = max(picture.size) <= LOSSLESS_UP_TO
        data = io.BytesIO()
        picture.save(data, "WEBP", lossless=lossless, quality=85, method=2)
        with writing(place / file) as temporary:
            temporary.write_bytes(data.getvalue())
        return id, {"file": file, "width": picture.width, "height": picture.height}

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(pool.map(make, ids))


def _picture(read: Callable[[str], Content], id: str, longest: int) -> Image.Image:
    """Return an image upright, at most `longest` pixels wide and high; one that is gone by now as a grey square."""
    try:
        return within(read(id), longest)
    except (OSError, Unreadable):
        return Image.new("RGB", (LOSSLESS_UP_TO, LOSSLESS_UP_TO), "grey")
