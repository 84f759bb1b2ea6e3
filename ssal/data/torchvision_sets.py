"""Torchvision's small data sets by name, from a folder where they lie or after a download that the user asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets

from ssal.artefacts import locked
from ssal.data.listing import Item, Listing, content_id
from ssal.errors import BadInput
from ssal.fingerprints import fingerprint
from ssal.registry import dataset


@dataset
def cifar10(*, root: str = "data", download: bool = False) -> Listing:
    """CIFAR-10: 60,000 photographs of 32 × 32 pixels in 10 classes (Krizhevsky, 2009)."""
    return _cifar("cifar10", datasets.CIFAR10, root, download)


@dataset
def cifar100(*, root: str = "data", download: bool = False) -> Listing:
    """CIFAR-100: 60,000 photographs of 32 × 32 pixels in 100 classes (Krizhevsky, 2009)."""
    return _cifar("cifar100", datasets.CIFAR100, root, download)


@dataset
def svhn(*, root: str = "data", download: bool = False) -> Listing:
    """SVHN: 99,289 house-number digits of 32 × 32 pixels; without its extra part (Netzer et al., 2011)."""
    parts = _open("svhn", root, download, lambda **at: [datasets.SVHN(split=part, **at) for part in ("train", "test")])
    return _listing("svhn", root, [(part.data.transpose(0, 2, 3, 1), map(str, part.labels)) for part in parts])


@dataset
def stl10(*, root: str = "data", download: bool = False) -> Listing:
    """STL-10: 13,000 labelled and 100,000 unlabelled photographs of 96 × 96 pixels (Coates, Lee & Ng, 2011)."""
    splits = ("train+unlabeled", "test")
    parts = _open("stl10", root, download, lambda **at: [datasets.STL10(split=split, **at) for split in splits])
    named = [[part.classes[label] if label >= 0 else None for label in part.labels] for part in parts]
    arrays = [part.data.transpose(0, 2, 3, 1) for part in parts]
    return _listing("stl10", root, list(zip(arrays, named, strict=True)))


@dataset
def fashion_mnist(*, root: str = "data", download: bool = False) -> Listing:
    """Fashion-MNIST: 70,000 grey pictures of clothes, 28 × 28 pixels in 10 classes (Xiao, Rasul & Vollgraf, 2017)."""
    make = lambda **at: [datasets.FashionMNIST(train=train, **at) for train in (True, False)]  # noqa: E731
    parts = _open("fashion_mnist", root, download, make)
    named = [[part.classes[label] for label in part.targets.tolist()] for part in parts]
    return _listing("fashion_mnist", root, list(zip([part.data.numpy() for part in parts], named, strict=True)))


def _cifar(name: str, kind: type[datasets.CIFAR10], root: str, download: bool) -> Listing:
    parts = _open(name, root, download, lambda **at: [kind(train=train, **at) for train in (True, False)])
    return _listing(name, root, [(part.data, [part.classes[label] for label in part.targets]) for part in parts])


def _open(name: str, root: str, download: bool, make: Callable[..., list[Any]]) -> list[Any]:
    """Return the train and the test part. Raises BadInput where they are not in `root` and cannot be fetched."""
    folder = Path(os.path.expanduser(root))
    try:
        # One process downloads while the others wait for it.
        with locked(folder) if download else nullcontext():
            return make(root=folder, download=download)
    except (RuntimeError, OSError) as error:
        if download:
            raise BadInput(
                f"data.download: {name} could not be fetched into {folder.resolve()}: {error}; without a network, copy "
                f"the files that torchvision keeps from a machine that has them and type data.root=FOLDER"
            ) from error
        raise BadInput(
            f"data.root: {folder.resolve()} holds no {name}; type data.download=true to fetch it, "
            "or data.root=FOLDER where torchvision has put it before"
        ) from error


def _listing(name: str, root: str, parts: Sequence[tuple[NDArray[np.uint8], Any]]) -> Listing:
    """Return a Listing of (images n × H × W [× 3], labels) of the train and the test part."""
    (train, train_labels), (test, test_labels) = parts
    items = [Item(f"{name}/train/{number:06d}", label, "train") for number, label in enumerate(train_labels)]
    items += [Item(f"{name}/test/{number:06d}", label, "test") for number, label in enumerate(test_labels)]
    stamp = fingerprint(name, str(Path(root).resolve()), content_id(train), content_id(test))
    return Listing(items, lambda i: train[i] if i < len(train) else test[i - len(train)], stamp)
