"""CEAL: images of the pool that the network has no doubt about are trained on as if they were labelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.batches import step_rows
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.whole_pool import over_pool
from ssal.registry import learner


def sure_classes(probabilities: Tensor, threshold: float) -> Tensor:
    """Return the likeliest class (M,) of probabilities (M,C) with an entropy, in nats, below `threshold`; else -1."""
    entropy = torch.special.entr(probabilities).sum(dim=1)
    return torch.where(entropy < threshold, probabilities.argmax(dim=1), -1)


def threshold_of_round(names: tuple[int | str, ...], threshold: float, decay: float) -> float:
    """Return threshold − decay × round; a training that is no round's, by its stream's `names`, counts as round 0."""
    number = int(names[names.index("round") + 1]) if "round" in names else 0
    return threshold - decay * number


@learner("ceal")
class CEAL(Learner):
    """Trains on labels, then also on pool images whose predictions have next to no entropy (Wang et al., 2017).

    The pool is pseudo-labelled once in a training, by the averaged weights on deterministic views, where the entropy in
    nats is below `threshold` − `decay` × round; the next round's training makes its own and knows nothing of these.
    True and pseudo-labelled images count alike: batches of one size are drawn from both and weighted by how many there
    are.
    Differs from the paper: the network that labels the pool is the one in training, after the share `alone` of its
    steps, not the one of the round before that training goes on from; `warm_start: true` with `alone: 0` is the paper's
    way. Optimiser, schedule and averaged weights are FixMatch's. With `swa_from` the network in training labels the
    pool, not its average, which has no BatchNorm statistics before the end.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        steps: Annotated[int, Field(gt=0)] = 1000,
        threshold: Annotated[float, Field(ge=0)] = 0.05,
        decay: Annotated[float, Field(ge=0)] = 0.0033,
        alone: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `class_balanced` concerns true labels alone."""
        super().__init__(encoder, views, classes, steps=steps, **shared)
        self.threshold, self.decay = threshold, decay
        self.alone = min(steps - 1, round(alone * steps))

    def see(self, pool: ImageSet, rows: Tensor, labels: Tensor, unlabelled_rows: Tensor | None = None) -> None:
        """Be shown the pool, of which nothing is pseudo-labelled yet."""
        super().see(pool, rows, labels, unlabelled_rows)
        self.register_buffer("pseudo_labels", torch.full((len(pool),), -1))  # checkpoints hold them
        self.pseudo_labels: Tensor

    def fit(
        self,
        batches: Callable[[range], Iterable[Any]],
        folder: Path,
        names: tuple[int | str, ...],
        trainer_options: dict[str, Any],
    ) -> list[float]:
        """Train with pseudo-labelled images beside the labelled ones from step `alone` on."""
        return super().fit(lambda steps: self._joined(batches, steps, names), folder, names, trainer_options)

    def _joined(
        self, batches: Callable[[range], Iterable[Any]], steps: range, names: tuple[int | str, ...]
    ) -> Iterator[dict[str, Any]]:
        """Yield the batches of a leg, which ends at step `alone`: batches are drawn ahead, but not over legs."""
        if steps.start < self.alone:
            yield from batches(range(steps.start, min(steps.stop, self.alone)))
            return
        if steps.start == self.alone:
            self._pseudo_label(threshold_of_round(names, self.threshold, self.decay))
        rows = (self.pseudo_labels >= 0).nonzero().squeeze(1).cpu()
        if not len(rows):
            yield from batches(steps)
            return
        drawn = [step_rows(rows, self.batch_size, step, *names, "pseudo") for step in steps]
        for batch, picked, images in zip(batches(steps), drawn, self.pool.stream(drawn), strict=True):
            labels = self.pseudo_labels[picked.to(self.device)].to(images.device)
            yield {**batch, "pseudo_labelled": images, "pseudo_labels": labels}

    def _pseudo_label(self, threshold: float) -> None:
        """Keep the class of every pool image that is sure and not labelled."""
        network = self.average if self.swa_from is None else self.network  # SWA's average has no statistics of its own
        found = over_pool(self, network, lambda logits, _: sure_classes(logits.softmax(dim=1), threshold))
        self.pseudo_labels[self.unlabelled_rows.to(self.device)] = found
        self.pseudo_labels[self.labelled_rows.to(self.device)] = -1

    def normalised_rows(self) -> Tensor:
        """Return the rows with a label or pseudo-label."""
        return torch.cat([self.labelled_rows.cpu(), (self.pseudo_labels >= 0).nonzero()[:, 0].cpu()])

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return the mean cross-entropy over all images with a label or pseudo-label."""
        labelled = self.views.weak(batch["labelled"], *names, "labelled")
        if "pseudo_labelled" not in batch:
            return self.labelled_loss(self.network(labelled)[0], batch["labels"])
        pseudo_labelled = self.views.weak(batch["pseudo_labelled"], *names, "pseudo")
        logits, _ = self.network(torch.cat([labelled, pseudo_labelled]))
        known, guessed = logits.split([len(labelled), len(pseudo_labelled)])
        count = (self.pseudo_labels >= 0).sum()
        share = count / (count + len(self.labelled_rows))
        return torch.lerp(
            self.labelled_loss(known, batch["labels"]), self.labelled_loss(guessed, batch["pseudo_labels"]), share
        )

    def facts(self) -> dict[str, Any]:
        """Return how many images were pseudo-labelled."""
        return {"pseudo_labelled": int((self.pseudo_labels >= 0).sum())}
