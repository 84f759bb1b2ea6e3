"""Every name a strategy may ask for: its shape and its meaning. Read this first.

Shapes: N pool images (not yet labelled), L labelled images, C classes, D features of the learner,
E features of the encoder. Row i of every N-tensor belongs to pool id i, row i of every L-tensor to labelled id i.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Signal:
    """One named tensor of the table that `collect` fills and `choose` hands to a strategy."""

    name: str
    shape: str
    meaning: str


VOCABULARY: dict[str, Signal] = {
    signal.name: signal
    for signal in (
        Signal("probabilities", "N,C", "softmax outputs of the evaluated learner on the deterministic view"),
        Signal("logits", "N,C", "the same before softmax"),
        Signal("features", "N,D", "the learner's last hidden features; the encoder's while there is no learner"),
        Signal("labelled_probabilities", "L,C", "probabilities of the images that have labels"),
        Signal("labelled_logits", "L,C", "logits of the images that have labels"),
        Signal("labelled_features", "L,D", "features of the images that have labels"),
        Signal("labels", "L", "class number of every labelled image, as the ledger holds it"),
        Signal("ssl_features", "N,E", "features of the pretrained encoder, the same in every round"),
        Signal("labelled_ssl_features", "L,E", "encoder features of the images that have labels"),
        Signal("previous_probabilities", "N,C", "probabilities that the last round's learner gave the same images"),
        Signal("child_scores", "dict of N", "the scores of the strategies a wrapper names, computed first"),
    )
}

ROUND_NAMES = ("budget", "generator", "classes", "pool_size")
"""Keyword-only names without default that the round supplies: rows to choose, random stream, number of classes, N."""
