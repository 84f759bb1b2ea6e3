"""Adversarial signals: what looks unlabelled to a discriminator is asked for first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fitted import TRAINER, area_under_curve, embeddings_of, scored, two_clusters
from torch import Tensor

from ssal.data import batches
from ssal.errors import BadInput, Diverged
from ssal.signals import adversarial, membership
from ssal.signals.aalu import ranking_loss

SOURCES = ("aalu", "vaal", "ta_vaal", "sraal", "waal")
every_source = pytest.mark.parametrize("source", SOURCES)
CLUSTERS = two_clusters(100, distance=8.0)
LABELLED = [row for row in range(100) if row % 5]
"""Four fifths of the first of two clusters; the second has no label."""


def test_the_membership_loss_is_the_cross_entropy_of_both_sets() -> None:
    odds = torch.tensor([0.9, 0.1]).logit()
    expected = -torch.tensor([0.1, 0.9]).log().mean() - torch.tensor(0.2).log()
    found = adversarial.membership_loss(odds, torch.tensor([0.2]).logit(), (0.0, 1.0))
    assert float(found) == pytest.approx(float(expected), abs=1e-6)
    soft = adversarial.membership_loss(odds, odds, (0.0, torch.tensor([0.25, 0.75])))
    of_soft = -0.25 * torch.tensor(0.9).log() - 0.75 * torch.tensor(0.1).log()
    assert float(soft + torch.tensor([0.1, 0.9]).log().mean()) == pytest.approx(float(of_soft), abs=1e-6)


def test_the_ranking_loss_of_the_papers_assistant() -> None:
    answers, losses = torch.tensor([0.2, 0.6, 0.5, 0.55]), torch.tensor([2, 0.3, 0.1, 0.5])
    assert float(ranking_loss(answers, losses, 0.1)) == pytest.approx(0.275, abs=1e-6)
    with_one_more = ranking_loss(torch.cat([answers, answers[:1]]), torch.cat([losses, losses[:1]]), 0.1)
    assert float(with_one_more) == pytest.approx(0.275, abs=1e-6), "the odd one out has no partner"


def test_features_are_standardised_and_constant_ones_are_nought() -> None:
    features = torch.cat([3 + 5 * torch.randn(50, 3), torch.full((50, 1), 7.0)], dim=1)
    found = membership.standardised(features)
    assert torch.allclose(found.mean(dim=0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(found.std(dim=0, correction=0), torch.tensor([1.0, 1.0, 1.0, 0.0]), atol=1e-5)


FITTED: dict[str, Any] = {"steps": 100, "on": "features", "hidden": 64, "batch_size": 32, "learning_rate": 3e-3}


@pytest.fixture(scope="module", params=SOURCES)
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Tensor]:
    """Return a source, and what it says of two clusters of features, only one of which has labels, after 100 steps."""
    return request.param, scored(request.param, tmp_path_factory.mktemp("fitted"), CLUSTERS, LABELLED, **FITTED)


def test_what_lies_far_from_the_labels_is_asked_for(fitted: tuple[str, Tensor]) -> None:
    _, scores = fitted
    unlabelled = scores.clone()
    unlabelled[LABELLED] = -torch.inf
    assert area_under_curve(scores[100:], scores[:100]) > 0.95
    assert (unlabelled.topk(50).indices >= 100).float().mean() > 0.95


def test_a_fit_follows_from_its_own_stream_whatever_the_batches_of_scoring(
    fitted: tuple[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at its 75th step it goes on from the checkpoint, to the same scores, row i being of image i."""
    source, expected = fitted
    given = {**FITTED, "trainer": {**TRAINER, "checkpoint_seconds": 0.0}}
    steps, rows, numbered = list[int](), batches.step_rows, batches.numbered

    def killed(*of: Any) -> Tensor:
        if of[2] == 75:
            raise KeyboardInterrupt
        return rows(*of)

    def counted(*of: Any) -> Tensor:
        steps.append(of[2])
        return rows(*of)

    torch.manual_seed(5)
    with monkeypatch.context() as patched:
        patched.setattr(batches, "step_rows", killed)
        with pytest.raises(KeyboardInterrupt):
            scored(source, tmp_path, CLUSTERS, LABELLED, **given)
    monkeypatch.setattr(batches, "step_rows", counted)
    monkeypatch.setattr(batches, "numbered", lambda images: numbered(images, 7))
    found = scored(source, tmp_path, CLUSTERS, LABELLED, **given)
    assert min(steps) == 50, "a leg that was whole is not trained again"
    assert torch.allclose(found, expected, atol=1e-5) and expected.std() > 1e-2


def test_another_seed_is_another_fit(tmp_path: Path) -> None:
    first, second = (scored("vaal", tmp_path / str(n), CLUSTERS, LABELLED, n, steps=2, on="features") for n in (0, 1))
    assert not torch.allclose(first, second, atol=1e-3)


@every_source
@pytest.mark.parametrize(
    ("labelled", "message"),
    [
        ([], "there is no labelled one; type acquisition.first_round=random"),
        (list(range(8)), "there is no unlabelled one; there is nothing left to ask for"),
    ],
)
def test_an_empty_set_is_named(source: str, labelled: list[int], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"signals.{source}: .*{message}"):
        scored(source, tmp_path, CLUSTERS[:8], labelled, steps=2, on="features")


@every_source
def test_the_fewest_images(source: str, tmp_path: Path) -> None:
    """One labelled image stands against one unlabelled one, which is all of the pool, and both are alike."""
    alike = scored(source, tmp_path, torch.ones(2, 4), [0], steps=3, on="features")
    assert alike.isfinite().all() and alike.std() < 1e-6, "equal images get equal scores, and the draw is random"


@pytest.mark.parametrize("source", ["vaal", "waal"])
def test_a_fit_that_diverges_says_so(source: str, tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=f"signals.{source}: .* not finite at step .* smaller learning_rate"):
        scored(source, tmp_path, CLUSTERS, LABELLED, steps=5, on="features", learning_rate=1e30)


def test_features_of_an_encoder_that_learned_nothing_are_refused(tmp_path: Path) -> None:
    encoder, images = embeddings_of(CLUSTERS)
    with pytest.raises(BadInput, match="signals.vaal.on: .* type signals.vaal.on=images"):
        scored("vaal", tmp_path, CLUSTERS, LABELLED, encoder=replace(encoder, ready=False))


def test_the_assistant_ranks_images_that_the_learner_gets_wrong(tmp_path: Path) -> None:
    """All images lie in one cluster, so that only the probabilities of labelled ones, wrong or right, tell apart."""
    points = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    said = torch.tensor([[0.95, 0.05], [0.55, 0.45]])[torch.arange(200) % 2]
    found = [
        scored("aalu", tmp_path / str(weight), points, range(60), probabilities=said, ranking_weight=weight, **FITTED)
        for weight in (10.0, 0.0)
    ]
    ranked, unranked = (area_under_curve(scores[61::2], scores[60::2]) for scores in found)
    assert ranked > 0.95 and unranked < 0.9, "unsure images have a larger loss"
