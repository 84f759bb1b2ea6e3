"""Probabilities of views: drawn by row, one forward per view, and less alike where an image is noise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from small_learner import halves, supervised
from torch import Tensor

from ssal import loop, registry
from ssal.acquisition.disagreement import consistency
from ssal.backbones import Identity
from ssal.data import batches
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.learner.base import Learner, Network
from ssal.signals.one_pass import OnePass

TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
SOURCE = registry.find("signal", "views")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learner, ImageSet]:
    """Return a learner that tells bright upper halves from bright lower ones, and its 60 images."""
    images, labels = halves()
    learner = supervised(images, steps=60, batch_size=16)
    rows = torch.arange(40)
    learner.see(images, rows, labels[rows])

    def feed(steps: range) -> Iterator[dict[str, Any]]:
        return batches.labelled_and_unlabelled(images, steps, rows, labels[rows], 16, 0, (0, "t"))

    learner.fit(feed, tmp_path_factory.mktemp("training"), (0, "t"), TRAINER)
    return learner, images


def scored(learner: Learner, given: Any, pool: int, views: int = 6, names: tuple[int | str, ...] = (0, "s")) -> Tensor:
    keywords = {"names": names, "pool_size": pool, "views": views}
    outputs = registry.find("signal", "outputs")
    found = loop.predict(OnePass(learner, [(outputs, {}), (SOURCE, keywords)]), given, TRAINER)
    return found["view_probabilities"]


def test_a_row_has_its_views_in_any_batch_and_any_order(trained: tuple[Learner, ImageSet]) -> None:
    learner, images = trained
    whole = scored(learner, batches.numbered(images), 60)
    assert whole.shape == (60, 6, 2) and torch.allclose(whole.sum(2), torch.ones(60, 6))
    assert torch.allclose(scored(learner, batches.numbered(images, 7), 60), whole, atol=1e-6)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    moved = [{"rows": rows, "images": images.fetch(rows)} for rows in order.split(11)]
    assert torch.allclose(scored(learner, moved, 60), whole[order], atol=1e-6)
    twins = [{"rows": torch.tensor([3, 4]), "images": images.fetch(torch.tensor([3, 3]))}]
    assert not torch.allclose(*scored(learner, twins, 60), atol=1e-4), "a draw follows from the row, not the image"
    assert (whole.std(dim=1) > 1e-4).any(), "views differ"
    assert not torch.allclose(scored(learner, batches.numbered(images), 60, names=(1, "s")), whole, atol=1e-4)


def test_a_view_is_the_weak_one_of_the_averaged_weights_unsharpened(trained: tuple[Learner, ImageSet]) -> None:
    learner, images = trained
    found = scored(learner, batches.numbered(images), 60)
    everything = torch.arange(60)
    learner.eval()
    with torch.no_grad():
        view = learner.views.weak(images.fetch(everything), 0, "s", 2, places=(everything, 60))
        expected = learner.average(view)[0].softmax(dim=1)
    assert torch.allclose(found[:, 2], expected, atol=1e-6)


def test_outputs_take_one_pass_and_views_as_many_as_there_are(
    trained: tuple[Learner, ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, images = trained
    forward, seen = Network.forward, []

    def counted(self: Network, batch: Tensor) -> Any:
        seen.append(len(batch))
        return forward(self, batch)

    monkeypatch.setattr(Network, "forward", counted)
    scored(learner, batches.numbered(images, 25), 60, views=6)
    assert sum(seen) == 60 * (1 + 6) and max(seen) == 25, "never more images at once than a batch holds"


def test_consistency_grows_with_noise(trained: tuple[Learner, ImageSet]) -> None:
    learner, images = trained
    clean = images.fetch(torch.arange(60)).float()
    noise = 255 * torch.rand(clean.shape, generator=torch.Generator().manual_seed(2))
    means = []
    for share in (0.0, 0.35, 0.7):
        noisy = torch.lerp(clean, noise, share).round().to(torch.uint8)
        given = [{"rows": torch.arange(60), "images": noisy}]
        means.append(float(consistency(scored(learner, given, 60, views=20)).mean()))
    assert means[0] < means[1] < means[2]


def test_features_have_no_views() -> None:
    learner = registry.find("learner", "linear_probe").call(Identity(4), Views((), (), flip=False), 2)
    call = partial(SOURCE.call, learner, torch.zeros(2, 4), torch.arange(2))
    with pytest.raises(BadInput, match="view_probabilities: expected a learner that sees images, got one of an enc"):
        call(names=(0,), pool_size=2)
