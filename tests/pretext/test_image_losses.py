"""The loss of a single image: worked numbers, agreement with the loss of a batch, and no batch mates."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity
from tiny_pretexts import BACKBONE, PRETEXTS, TRAINER, make, trained
from torch.nn.functional import normalize

from ssal import registry
from ssal.artefacts import read_tensors
from ssal.backbones import build
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.pretext.base import Pretext
from ssal.pretext.encoder import HEADS
from ssal.pretext.image_losses import cross_entropy_among, mutual_cosines
from ssal.pretext.pretrain import pretrain

TELLS = registry.with_trait("pretext", "image_losses")


def test_cosines_are_lightlys() -> None:
    found = mutual_cosines([torch.tensor([[3.0, 4]]), torch.tensor([[1.0, 0]])], [torch.tensor([[0.0, 2]])] * 2)
    assert found.tolist() == pytest.approx([-0.4])
    generator = torch.Generator().manual_seed(0)
    predictions, targets = ([torch.randn(9, 5, generator=generator) for _ in range(2)] for _ in range(2))
    peer = NegativeCosineSimilarity()
    expected = 0.5 * (peer(predictions[0], targets[1]) + peer(predictions[1], targets[0]))
    assert mutual_cosines(predictions, targets).mean().item() == pytest.approx(expected.item(), abs=1e-6)


def test_cross_entropy_worked_numbers() -> None:
    """The number of MoCo's own test; then negatives that stand for more, that are the image's own, that are none."""
    query, key, others = torch.tensor([[3.0, 0]]), torch.tensor([[4.0, 3]]), torch.tensor([[0.0, 1], [-1, 0]])
    assert cross_entropy_among(query, key, others, 0.2, 2).item() == pytest.approx(0.0182711, abs=1e-6)
    twice = cross_entropy_among(query, key, others.repeat(3, 1), 0.2, 2)
    assert twice.item() == pytest.approx(0.0182711, abs=1e-6), "their mean counts, however many there are"
    doubled = cross_entropy_among(query, key, others, 0.2, 4).item()
    assert doubled == pytest.approx(0.0362140, abs=1e-6), "log(1 + 2 (e^0 + e^-5) / e^4)"
    own = torch.tensor([[True, False]])
    assert cross_entropy_among(query, key, others, 0.2, 1, own).item() == pytest.approx(0.0001234, abs=1e-6)
    assert cross_entropy_among(query, key, others, 0.2, 2, own | True).item() == 0
    assert cross_entropy_among(query, key, others[:0], 0.2, 2).item() == 0


def test_simclr_among_its_own_batch_is_nt_xent(few: Images) -> None:
    module = make("simclr", build((3, 8, 8), name="wrn_10_1"), batch_size=24).eval()
    views, rows = module.two_views(few.pool.fetch(torch.arange(24)), 1, 2), torch.arange(24)
    with torch.no_grad():
        module.refer(*views, rows)
        losses = module.image_losses(*views, rows)
        projections = module.project(*views).chunk(2)  # type: ignore[operator]
    assert losses.mean().item() == pytest.approx(module.loss(*views).item(), abs=1e-5)
    unit = normalize(torch.cat(projections), dim=1).double()
    similar = (unit @ unit.T / 0.2).exp().fill_diagonal_(0)
    places = torch.arange(48)
    each = -(similar[places, (places + 24) % 48] / similar.sum(1)).log()
    assert torch.allclose(losses.double(), 0.5 * (each[:24] + each[24:]), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in TELLS if name != "simclr"])
def test_their_mean_is_the_loss_of_the_batch(name: str, few: Images) -> None:
    module = make(name, build((3, 8, 8), name="wrn_10_1")).eval()
    views = module.two_views(few.pool.fetch(torch.arange(24)), 1, 2)
    with torch.no_grad():
        mean = module.image_losses(*views, torch.arange(24)).mean()
        assert mean.item() == pytest.approx(module.loss(*views).item(), abs=1e-5)


@pytest.mark.parametrize("name", TELLS)
def test_an_image_does_not_depend_on_its_batch_mates(name: str, few: Images) -> None:
    module = make(name, build((3, 8, 8), name="wrn_10_1"), batch_size=16).eval()
    rows = torch.arange(40)
    first, second = module.two_views(few.pool.fetch(rows), 1, 2)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    with torch.no_grad():
        module.refer(first[:16], second[:16], rows[:16])
        together = module.image_losses(first, second, rows)
        order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
        moved = module.image_losses(first[order], second[order], rows[order])
        alone = torch.cat([module.image_losses(first[[row]], second[[row]], rows[[row]]) for row in range(40)])
    assert together.shape == (40,) and together.isfinite().all() and together.std() > 0
    assert torch.allclose(moved, together[order], atol=1e-5) and torch.allclose(alone, together, atol=1e-5)
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items()), "nothing is learned"


@pytest.mark.parametrize("name", PRETEXTS)
def test_heads_are_kept_where_they_serve(name: str, few: Images, tmp_path: Path) -> None:
    assert (PRETEXTS[name].call.image_losses is not Pretext.image_losses) == (name in TELLS)
    encoder = trained(name, few, tmp_path, epochs=1, hidden=32)
    assert (encoder.folder / HEADS).exists() == (name in TELLS)
    if name not in TELLS:
        with pytest.raises(BadInput, match=f"{name!r} has no loss of single images; use one of: {', '.join(TELLS)}"):
            encoder.pretext(few)
        return
    assert not any(key.startswith("backbone.") for key in read_tensors(encoder.folder / HEADS))
    module, network = encoder.pretext(few), encoder.build().state_dict()
    assert not module.training
    assert all(torch.equal(value, network[key]) for key, value in module.backbone.state_dict().items())
    assert float(module.spread) == pytest.approx(encoder.record["spread"])  # type: ignore[arg-type]
    fresh = make(name, build((3, 8, 8), name="wrn_10_1"), hidden=32).state_dict()
    heads = {key: value for key, value in module.state_dict().items() if value.ndim > 1 and key not in network}
    assert heads.keys() > {f"backbone.{key}" for key in network if network[key].ndim > 1}
    (encoder.folder / HEADS).unlink()
    with pytest.raises(BadInput, match="this file is gone; run the same command again"):
        encoder.pretext(few)
    again = trained(name, few, tmp_path, epochs=1, hidden=32).pretext(few).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in module.state_dict().items())
    assert any(not torch.equal(heads[key], fresh[key]) for key in heads if not key.startswith("backbone."))


def test_an_encoder_that_no_pretext_trained_has_no_heads(few: Images, tmp_path: Path) -> None:
    encoder = pretrain(few, tmp_path, seed=0, trainer=TRAINER, method="none", options={}, backbone=BACKBONE)
    with pytest.raises(BadInput, match="pretext.method: 'none' has no loss of single images"):
        encoder.pretext(few)
