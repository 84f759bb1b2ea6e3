"""Digits: 1,797 handwritten digits of 8 × 8 pixels that come with scikit-learn (Alpaydin & Kaynak, 1998)."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from ssal.data.listing import Item, Listing, content_id
from ssal.fingerprints import fingerprint
from ssal.registry import dataset


@dataset
def digits() -> Listing:
    """Digits: 1,797 handwritten digits of 8 × 8 pixels that come with scikit-learn (Alpaydin & Kaynak, 1998)."""
    bunch = load_digits()
    # 0 … 16 in the file.
    arrays = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    items = [Item(f"digits/{number:04d}", str(label)) for number, label in enumerate(bunch.target)]
    return Listing(items, lambda number: arrays[number], fingerprint("digits", content_id(arrays)))
