"""DINO: worked numbers, crops, schedules, the frozen last layer, and the teacher that is kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_pretexts import TRAINER, make
from torch import Tensor, nn
from torch.nn.functional import log_softmax, softmax

from ssal import loop
from ssal.backbones import Identity, build
from ssal.data import batches
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.pretext.dino import DINO, information

TINY = {"outputs": 32, "hidden": 16, "bottleneck": 8, "optimiser": "adamw", "learning_rate": 0.002}


def dino(backbone: nn.Module, **options: Any) -> DINO:
    module = make("dino", backbone, **{**TINY, **options})
    assert isinstance(module, DINO)
    return module


def bare(outputs: int = 2, **options: Any) -> DINO:
    """Return DINO whose student's and teacher's outputs are its inputs."""
    module = dino(Identity(outputs), outputs=outputs, **options)
    module.head, module.teacher_head = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    return module


def test_worked_number() -> None:
    module = bare()
    loss = module.loss(torch.tensor([[1.0, 0]]), torch.tensor([[0.0, 1]]))
    assert loss.item() == pytest.approx(10.000046, abs=1e-5)
    assert torch.allclose(module.criterion.center.flatten(), torch.tensor([0.05, 0.05]))


@pytest.mark.parametrize("crops", [0, 3])
def test_it_is_the_formula_of_the_paper(crops: int) -> None:
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(4, 6, generator=generator) for _ in range(2 + crops)]
    module = bare(6, local_crops=crops, teacher_temperature=0.3, student_temperature=0.5)
    centre = torch.randn(6, generator=generator)
    module.criterion.center.copy_(centre.view(1, 1, 6))
    terms = [
        -(softmax((views[teacher] - centre) / 0.3, 1) * log_softmax(views[student] / 0.5, 1)).sum(1).mean()
        for teacher in range(2)
        for student in range(2 + crops)
        if student != teacher
    ]
    local = torch.cat(views[2:]) if crops else None
    loss = module.loss(views[0], views[1], local)
    assert loss.item() == pytest.approx(float(torch.stack(terms).mean()), abs=1e-5)
    expected = 0.9 * centre + 0.1 * torch.cat(views[:2]).mean(0)
    assert torch.allclose(module.criterion.center.flatten(), expected, atol=1e-6), "of the teacher's global views"


def test_information_tells_both_kinds_of_collapse() -> None:
    assert float(information(torch.eye(6))) == pytest.approx(1.0)
    assert float(information(torch.eye(6)[[2] * 5])) == pytest.approx(0.0, abs=1e-6), "one output for all"
    assert float(information(torch.full((5, 6), 1 / 6))) == pytest.approx(0.0, abs=1e-6), "no output for any"
    half = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]]).repeat(4, 1)
    assert float(information(half)) == pytest.approx(math.log(2) / math.log(4))


def test_local_crops_are_smaller_and_drawn_anew_every_step(few: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    module = dino(build((3, 8, 8), name="wrn_10_1"), local_crops=3, local_size=0.5)
    images, drawn = few.pool.fetch(torch.arange(5)), []
    for step in (0, 0, 1):
        monkeypatch.setattr(DINO, "global_step", step)
        drawn.append(module.draw(images))
    assert [tuple(view.shape) for view in drawn[0]] == [(5, 3, 8, 8), (5, 3, 8, 8), (15, 3, 4, 4)]
    assert all(torch.equal(one, other) for one, other in zip(drawn[0], drawn[1], strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(drawn[0], drawn[2], strict=True))
    assert torch.isfinite(module.loss(*drawn[0]))
    local = drawn[0][2].view(3, 5, 3, 4, 4)
    assert not torch.equal(local[0], local[1]), "every crop has its own draw"
    assert len(dino(build((3, 8, 8), name="wrn_10_1"), local_crops=0).draw(images)) == 2


def test_a_backbone_of_one_image_size_says_what_to_type() -> None:
    class Fixed(Identity):
        def forward(self, features: Tensor) -> Tensor:
            if len(features) == 6:
                raise AssertionError("Input height (4) doesn't match model (8).")
            return features

    module = dino(Fixed(2), local_crops=3)
    with pytest.raises(BadInput, match=r"pretext.local_size: Input height \(4\).*type pretext.local_size=1"):
        module.loss(torch.randn(2, 2), torch.randn(2, 2), torch.randn(6, 2))


def test_gradients_are_clipped_parameter_by_parameter() -> None:
    module = dino(build((3, 8, 8), name="wrn_10_1"), clip=2.0)
    given = {}
    for place, (name, parameter) in enumerate(module.named_parameters()):
        if parameter.requires_grad:
            parameter.grad = given[name] = torch.full_like(parameter, (0.5, 7.0)[place % 2] / parameter.numel() ** 0.5)
    given = {name: gradient.clone() for name, gradient in given.items()}
    module.on_before_optimizer_step(module.configure_optimizers()["optimizer"])
    for name, parameter in module.named_parameters():
        if name in given:
            long = given[name].norm() > 2
            assert torch.allclose(parameter.grad, given[name] * (2 / 7 if long else 1), atol=1e-5), name


class Watched(DINO):
    """Remembers what every step did."""

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        super().on_before_optimizer_step(optimizer)
        self.seen.append([group["weight_decay"] for group in optimizer.param_groups])
        self.lengths.append(max(float(p.grad.norm()) for p in self.parameters() if p.grad is not None))
        self.last.append(self.head.last_layer.weight_v.detach().clone())


def test_decay_rises_the_last_layer_waits_and_the_teacher_is_kept(few: Images, tmp_path: Path) -> None:
    backbone = build((3, 8, 8), name="wrn_10_1")
    module = dino(backbone, steps=8, frozen_last_layer=0.25, clip=0.01, teacher_decay_base=0.5, local_crops=1)
    module.__class__ = Watched
    assert isinstance(module, Watched)
    module.seen, module.lengths, module.last = [], [], []
    module.names = (0, "t")
    before = [p.clone() for p in backbone.parameters()]
    loop.fit(module, 8, lambda leg: batches.unlabelled_only(few.pool, leg, 16, (0, "t")), tmp_path, (0, "t"), TRAINER)
    expected = [0.4 - 0.36 * (math.cos(math.pi * step / 8) + 1) / 2 for step in range(8)]
    assert [decays[0] for decays in module.seen] == pytest.approx(expected) and expected[0] == pytest.approx(0.04)
    assert all(decays[1] == 0 for decays in module.seen), "biases never decay"
    assert max(module.lengths) <= 0.01 + 1e-6
    assert torch.equal(module.last[0], module.last[2]) and not torch.equal(module.last[2], module.last[3])
    assert not module.head.last_layer.weight_g.requires_grad
    teacher = module.teacher_backbone.state_dict()
    assert all(torch.equal(rows, teacher[key]) for key, rows in backbone.state_dict().items())
    assert not any(torch.equal(now, old) for now, old in zip(backbone.parameters(), before, strict=True))


def test_the_teacher_starts_as_the_student_and_follows_it() -> None:
    module = dino(build((3, 8, 8), name="wrn_10_1"), teacher_decay_base=0.9)
    pairs = [(module.teacher_backbone, module.backbone), (module.teacher_head, module.head)]
    for slow, fast in pairs:
        assert all(torch.equal(rows, fast.state_dict()[key]) for key, rows in slow.state_dict().items())
        assert not any(p.requires_grad for p in slow.parameters())
    with torch.no_grad():
        for parameter in (*module.backbone.parameters(), *module.head.parameters()):
            parameter += 1.0
    before = [p.clone() for slow, _ in pairs for p in slow.parameters()]
    module.on_train_batch_end(None, None, 0)  # step 0 of 10: the decay is its base
    for (slow, fast), old in zip(
        [pair for one in pairs for pair in zip(one[0].parameters(), one[1].parameters(), strict=True)],
        before,
        strict=True,
    ):
        assert torch.allclose(slow, 0.9 * old + 0.1 * fast, atol=1e-6)
