"""MoCo v2: worked numbers, the queue in a checkpoint, and the network of the keys."""

from __future__ import annotations

import pytest
import torch
from tiny_pretexts import make
from torch import Tensor, nn
from torch.nn.functional import normalize

from ssal.backbones import Identity, build
from ssal.data.images import Images
from ssal.pretext.moco_v2 import MoCoV2


def bare(queue: Tensor, temperature: float) -> MoCoV2:
    """Return MoCo whose queries and keys are its inputs, with a queue of two unit vectors of two values."""
    module = make("moco_v2", Identity(2), temperature=temperature, queue=len(queue), projection=2)
    assert isinstance(module, MoCoV2)
    module.projection = nn.Linear(2, 2, bias=False)  # type: ignore[assignment]
    module.key_projection = nn.Identity()  # type: ignore[assignment]
    with torch.no_grad():
        module.projection.weight.copy_(torch.eye(2))  # type: ignore[operator, union-attr]
    module.criterion.memory_bank.bank.copy_(queue)
    module.track = lambda *given: None  # type: ignore[method-assign]  # a batch of one has no spread
    return module


def test_worked_number() -> None:
    module = bare(torch.tensor([[0.0, 1], [-1, 0]]), 0.2)
    loss = module.loss(torch.tensor([[1.0, 0]]), torch.tensor([[0.8, 0.6]]))
    assert loss.item() == pytest.approx(0.0182711, abs=1e-6)
    module = bare(torch.tensor([[0.0, 1], [-1, 0]]), 0.2)
    loss = module.loss(torch.tensor([[3.0, 0]]), torch.tensor([[4.0, 3]]))
    assert loss.item() == pytest.approx(0.0182711, abs=1e-6), "lengths do not count"


def test_negatives_come_from_the_queue_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    queue = normalize(torch.randn(7, 2, generator=generator), dim=1)
    first, second = torch.randn(5, 2, generator=generator), torch.randn(5, 2, generator=generator)
    queries, keys = normalize(first, dim=1).double(), normalize(second, dim=1).double()
    positive, negative = ((queries * keys).sum(1) / 0.3).exp(), (queries @ queue.double().T / 0.3).exp().sum(1)
    expected = -(positive / (positive + negative)).log().mean()
    assert bare(queue, 0.3).loss(first, second).item() == pytest.approx(expected.item(), abs=1e-5)


def test_keys_join_the_queue_after_the_loss_in_place_of_the_oldest() -> None:
    queue = torch.tensor([[0.0, 1], [-1, 0], [0, -1], [1, 0]])
    module = bare(queue, 1.0)
    keys = [torch.tensor([[3.0, 4]]), torch.tensor([[4.0, 3], [-3, 4]]), torch.tensor([[-4.0, 3]])]
    for key in keys:
        module.loss(torch.ones(len(key), 2), key)
    assert torch.allclose(module.criterion.memory_bank.bank, torch.cat(keys) / 5)
    module.loss(torch.ones(1, 2), torch.tensor([[0.0, -7]]))
    assert torch.allclose(module.criterion.memory_bank.bank[:2], torch.tensor([[0.0, -1], [0.8, 0.6]]))


def test_checkpoints_hold_the_queue_and_its_place(few: Images) -> None:
    module = make("moco_v2", build((3, 8, 8), name="wrn_10_1"), queue=40)
    state = module.state_dict()
    assert state["criterion.memory_bank.bank"].shape == (40, 128)
    module.loss(*module.two_views(few.pool.fetch(torch.arange(16)), 1, 2))
    other = make("moco_v2", build((3, 8, 8), name="wrn_10_1", seed=1), queue=40)
    other.load_state_dict(module.state_dict())
    assert isinstance(module, MoCoV2) and isinstance(other, MoCoV2)
    assert other.criterion.memory_bank.bank_ptr.item() == 16
    assert torch.equal(other.criterion.memory_bank.bank, module.criterion.memory_bank.bank)


def test_keys_have_no_gradient_and_their_network_follows(few: Images) -> None:
    module = make("moco_v2", build((3, 8, 8), name="wrn_10_1"), queue=40, key_decay=0.9)
    assert isinstance(module, MoCoV2)
    module.loss(*module.two_views(few.pool.fetch(torch.arange(16)), 1, 2)).backward()
    followers = [*module.key_backbone.parameters(), *module.key_projection.parameters()]
    leaders = [*module.backbone.parameters(), *module.projection.parameters()]
    assert all(p.grad is None for p in followers) and all(p.grad is not None for p in leaders)
    with torch.no_grad():
        for parameter in leaders:
            parameter += 1.0
    before = [p.clone() for p in followers]
    module.on_train_batch_end(None, None, 0)
    for slow, fast, old in zip(followers, leaders, before, strict=True):
        assert torch.allclose(slow, 0.9 * old + 0.1 * fast, atol=1e-6)
