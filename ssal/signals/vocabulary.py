"""Every name a strategy may ask for: its shape and its meaning. Read this first.

Shapes: N pool images (not yet labelled), L labelled images, O images that were answered to be of none of the classes,
C classes, D features of the learner, E features of the encoder, V views, K dropout masks. Row i of every N-tensor
belongs to pool id i, row i of every L-tensor to labelled id i, row i of every O-tensor to id i of those out of class.
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
        Signal("out_of_class_probabilities", "O,C", "probabilities of the images found to be of none of the classes"),
        Signal("out_of_class_logits", "O,C", "logits of the images found to be of none of the classes"),
        Signal("out_of_class_features", "O,D", "features of the images found to be of none of the classes"),
        Signal("labels", "L", "class number of every labelled image, as the ledger holds it"),
        Signal("ssl_features", "N,E", "features of the pretrained encoder, the same in every round"),
        Signal("labelled_ssl_features", "L,E", "encoder features of the images that have labels"),
        Signal("out_of_class_ssl_features", "O,E", "encoder features of those found to be of none of the classes"),
        Signal("previous_probabilities", "N,C", "probabilities that the last round's learner gave the same images"),
        Signal("contrast_loss", "N", "the pretext's own loss on two random views of the image"),
        Signal("view_probabilities", "N,V,C", "probabilities of V weak views of every image"),
        Signal("mc_probabilities", "N,K,C", "probabilities under K dropout masks, the same K for every image"),
        Signal("graph_confidence", "N", "how sure a graph network over features is that the image has a label, 0 to 1"),
        Signal("graph_features", "N,G", "the G = 128 hidden features of that network"),
        Signal("labelled_graph_features", "L,G", "its hidden features of the images that have labels"),
        Signal("out_of_class_graph_features", "O,G", "its hidden features of those found to be of none of the classes"),
        Signal("aalu_unlabelled", "N", "log-odds that an image is unlabelled, of AALU's assistant on features"),
        Signal("vaal_unlabelled", "N", "log-odds that an image is unlabelled, of VAAL's discriminator"),
        Signal("ta_vaal_unlabelled", "N", "the same of TA-VAAL's, which is told the predicted losses"),
        Signal("sraal_unlabelled", "N", "the same of SRAAL's, for which an unlabelled image counts by its uncertainty"),
        Signal("waal_critic", "N", "WAAL's critic on features, from 0, like labelled images, to 1"),
        Signal(
            "predicted_loss",
            "N",
            "how large the learner's companion head ranks the loss; only the order means anything",
        ),
        Signal("oracle_rank", "N", "how early a greedy search that reads hidden and test labels takes the image"),
        Signal("child_scores", "dict of N", "the scores of the strategies a wrapper names, computed first"),
    )
}

PARTS = ("labelled_", "out_of_class_")
"""What begins the names of a signal's rows of other images than the pool's: no source gives them by themselves."""


def whole(signal: str) -> str:
    """Return the signal that a part's rows are of: `features` for `labelled_features`."""
    for part in PARTS:
        signal = signal.removeprefix(part)
    return signal


SUPPLIED = {
    "batch": {
        "learner": "the trained learner, in eval mode on the batch's device",
        "images": "the batch of stored images",
        "rows": "their rows among all training images",
    },
    "round": {
        "encoder": "the pretrained encoder",
        "images": "the data set",
        "pool": "all training images, labelled ones included, without labels",
        "views": "the augmentations of the data set",
        "learner": "the trained learner, for sources that fit something on it",
        "previous": "probabilities of the last round's learner, a row per training image",
        "labelled_rows": "rows of the labelled images among all training images",
        "labels": "their class numbers",
        "unlabelled_rows": "rows of the others, without those of the audit and those of none of the classes",
        "class_numbers": "class name -> its number, for oracles: others have no use for names",
    },
}
"""What a source may name as positional parameters, by what it is called for: each `batch` of the one predict pass, or
each `round`. Sources of a round may also name signals that other sources give; in a source a signal has one row per
training image."""
SOURCE_NAMES = ("names", "classes", "pool_size", "budget", "trainer", "folder")
"""Keyword-only names without default that a source may ask for: its random stream, number of classes, number of
training images, how many will be chosen, and for what is fitted the trainer's options and a folder for its
checkpoint."""

ROUND_NAMES = ("budget", "generator", "classes", "pool_size")
"""Keyword-only names without default that the round supplies: rows to choose, random stream, number of classes, N."""
