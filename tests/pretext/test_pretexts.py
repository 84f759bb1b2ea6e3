"""Pretexts: worked numbers of the losses, and the contract that every registered one keeps."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_pretexts import BACKBONE, PRETEXTS, TRAINER, first_images, make, options_of, trained
from torch import Tensor, nn
from torch.nn.functional import normalize

from ssal import backbones, loop
from ssal.artefacts import write_tensors
from ssal.backbones import Identity, build
from ssal.data import batches
from ssal.data.images import Images, ImageSet
from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.pretext.base import Pretext, half_cosine, spread, warm_cosine
from ssal.pretext.byol import BYOL
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import encoder_of, pretrain
from ssal.pretext.simclr import SimCLR


def bare_simclr(temperature: float) -> SimCLR:
    """Return SimCLR whose projections are its inputs."""
    module = make("simclr", Identity(2), temperature=temperature)
    assert isinstance(module, SimCLR)
    module.projection = nn.Identity()  # type: ignore[assignment]
    return module


@pytest.mark.parametrize(
    ("first", "second", "temperature", "expected"),
    [
        ([[1.0, 0], [0, 1]], [[1.0, 0], [0, 1]], 0.5, 0.2395448),
        ([[3.0, 4], [0, 2]], [[4.0, 3], [1, 0]], 1.0, 1.2774737),
        ([[3.0, 4], [0, 2]], [[4.0, 3], [1, 0]], 0.5, 1.5107137),
    ],
)
def test_simclr_worked_numbers(
    first: list[list[float]], second: list[list[float]], temperature: float, expected: float
) -> None:
    module = bare_simclr(temperature)
    views = torch.tensor(first), torch.tensor(second)
    assert module.criterion(*views).item() == pytest.approx(expected, abs=1e-6)
    assert module.loss(*views).item() == pytest.approx(expected, abs=1e-6)
    assert module.loss(3 * views[0], 7 * views[1]).item() == pytest.approx(expected, abs=1e-6), "lengths do not count"


def test_simclr_is_the_formula_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(6, 4, generator=generator), torch.randn(6, 4, generator=generator)
    unit = normalize(torch.cat([first, second]), dim=1).double()
    similar = (unit @ unit.T / 0.3).exp()
    terms = []
    for i in range(12):
        others = [k for k in range(12) if k != i]
        terms.append(-torch.log(similar[i, (i + 6) % 12] / similar[i, others].sum()))
    assert bare_simclr(0.3).loss(first, second).item() == pytest.approx(float(torch.stack(terms).mean()), abs=1e-5)


def bare_byol() -> BYOL:
    """Return BYOL whose predictions and targets are its inputs."""
    module = make("byol", Identity(2))
    assert isinstance(module, BYOL)
    for part in ("projection", "prediction", "target_projection"):
        setattr(module, part, nn.Identity())
    return module


def test_byol_worked_numbers() -> None:
    module, p, z = bare_byol(), torch.tensor([[3.0, 4]]), torch.tensor([[4.0, 3]])
    loss = module.loss(p.repeat(2, 1), z.repeat(2, 1)).item()
    assert loss == pytest.approx(-0.96, abs=1e-6)
    assert 2 + 2 * loss == pytest.approx(0.08, abs=1e-6), "the term of the paper, 2 - 2 cos, for one direction"


def test_byol_compares_each_view_with_the_target_of_the_other() -> None:
    module = bare_byol()
    module.prediction = nn.Linear(2, 2, bias=False)  # type: ignore[assignment]
    module.target_projection = nn.Linear(2, 2, bias=False)  # type: ignore[assignment]
    with torch.no_grad():
        module.prediction.weight.copy_(torch.tensor([[0.0, 1], [1, 0]]))  # type: ignore[operator, union-attr]
        module.target_projection.weight.copy_(torch.tensor([[1.0, 0], [0, 2]]))  # type: ignore[operator, union-attr]
    first, second = torch.tensor([[3.0, 4], [1, 0]]), torch.tensor([[1.0, 1], [0, 2]])

    def cosine(predicted: Tensor, target: Tensor) -> Tensor:
        return (normalize(predicted, dim=1) * normalize(target, dim=1)).sum(1).mean()

    stretched = torch.tensor([1.0, 2])
    expected = -0.5 * (cosine(first.flip(1), second * stretched) + cosine(second.flip(1), first * stretched))
    assert module.loss(first, second).item() == pytest.approx(expected.item(), abs=1e-6)


def test_byol_target_decay_rises_to_one() -> None:
    assert [half_cosine(0.97, 1, progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([0.97, 0.985, 1.0])
    assert half_cosine(0.996, 1, 0.25) == pytest.approx(1 - 0.004 * (math.sqrt(0.5) + 1) / 2)


def test_warm_up_is_linear_and_the_cosine_ends_at_zero() -> None:
    factors = [warm_cosine(step, 100, 10) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert [factors[step] for step in (10, 55, 100)] == pytest.approx([1.0, 0.5, 0.0])
    assert factors[25] == pytest.approx(0.5 * (1 + math.cos(math.pi * 15 / 90)))
    assert warm_cosine(0, 4, 0) == 1.0 and warm_cosine(1, 1, 1) == pytest.approx(1.0)


def test_learning_rates_follow_batch_size_and_schedule(few: Images) -> None:
    module = make("simclr", build((3, 8, 8), name="wrn_10_1"), steps=20, learning_rate=0.12, batch_size=64, warm_up=0.2)
    configured = module.configure_optimizers()
    optimiser, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    assert configured["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(20):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert rates[:5] == pytest.approx([0.0075, 0.015, 0.0225, 0.03, 0.03]) and rates[-1] < 0.001
    kernels, others = optimiser.param_groups
    assert {p.ndim for p in others["params"]} == {1} and others["weight_decay"] == 0
    assert 1 not in {p.ndim for p in kernels["params"]} and kernels["weight_decay"] == 1e-4


def test_spread_tells_a_sphere_from_a_point() -> None:
    generator = torch.Generator().manual_seed(0)
    around = torch.randn(512, 64, generator=generator)
    assert float(spread(around)) == pytest.approx(1.0, abs=0.05)
    assert float(spread(9 * around)) == pytest.approx(float(spread(around)), abs=1e-4)
    point = torch.randn(1, 64, generator=generator)
    assert float(spread(point.expand(512, -1))) == pytest.approx(0.0, abs=1e-6)
    assert float(spread(point + 0.01 * around)) < 0.05


# ------------------------------------------------------------------------------ the contract of every registered one


@pytest.mark.parametrize("name", PRETEXTS)
def test_a_step_is_finite_and_reaches_every_weight_of_the_backbone(name: str, few: Images) -> None:
    backbone = build((3, 8, 8), name="wrn_10_1")
    module = make(name, backbone)
    images = few.pool.fetch(torch.arange(32))
    first, second = module.two_views(images, 1, 2)
    assert first.shape == second.shape == (32, 3, 8, 8) and not torch.equal(first, second)
    again, _ = module.two_views(images, 1, 2)
    assert torch.equal(again, first), "views follow from their seed"
    loss = module.loss(first, second)
    assert loss.ndim == 0 and torch.isfinite(loss)
    loss.backward()
    for key, parameter in backbone.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all() and parameter.grad.any(), key
    optimised = {id(p) for group in module.configure_optimizers()["optimizer"].param_groups for p in group["params"]}
    assert {id(p) for p in backbone.parameters()} <= optimised
    assert optimised == {id(p) for p in module.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", PRETEXTS)
def test_mixed_precision_gives_nearly_the_same_loss(name: str, few: Images) -> None:
    module = make(name, build((3, 8, 8), name="wrn_10_1"))
    views = module.two_views(few.pool.fetch(torch.arange(32)), 1, 2)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    plain = module.loss(*views)
    module.load_state_dict(state)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = module.loss(*views)
    assert mixed.item() == pytest.approx(plain.item(), rel=0.03, abs=0.03)
    mixed.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.backbone.parameters())
    assert all(value.dtype == state[key].dtype for key, value in module.state_dict().items())


@pytest.mark.parametrize("name", PRETEXTS)
def test_a_training_killed_in_the_middle_resumes_to_the_same_weights(
    name: str, few: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    honest, dies_at = batches.unlabelled_only, [-1]

    def fed(images: ImageSet, steps: range, size: int, names: tuple[int | str, ...]) -> Any:
        for batch in honest(images, steps, size, names):
            if batch["step"] == dies_at[0]:
                raise Killed
            yield batch

    monkeypatch.setattr(batches, "unlabelled_only", fed)
    how = {"epochs": 14, "batch_size": 12, "hidden": 32, "often": True}
    whole = trained(name, few, tmp_path / "whole", **how)
    assert whole.record["steps"] == 70
    dies_at[0] = 63
    with pytest.raises(Killed):
        trained(name, few, tmp_path / "killed", **how)
    folder = tmp_path / "killed" / "encoders" / whole.fingerprint
    assert (folder / "training" / "last.ckpt").exists() and not (folder / "record.json").exists()
    dies_at[0], drawn = -1, []
    monkeypatch.setattr(batches, "unlabelled_only", lambda *given: (drawn.append(given[1]), fed(*given))[1])
    torch.rand(7)  # a resumed process has another global random state
    resumed = trained(name, few, tmp_path / "killed", **how)
    assert [steps for steps in drawn if len(steps)] == [range(50, 70)], "steps before the checkpoint are not done again"
    weights = [(one.folder / "encoder.safetensors").read_bytes() for one in (whole, resumed)]
    assert weights[0] == weights[1]
    facts = [{key: value for key, value in one.record.items() if key != "seconds"} for one in (whole, resumed)]
    assert facts[0] == facts[1]
    assert not (folder / "training").exists(), "what was only needed to resume is cleared"


def neighbour_accuracy(encoder: Encoder, images: Images, labelled: int = 50, neighbours: int = 5) -> float:
    """Return test accuracy of weighted cosine neighbours among few labelled images, mean of 20 draws of them."""
    features = encoder.features(images)
    pool, test = normalize(features["pool"], dim=1), normalize(features["test"], dim=1)
    known = torch.tensor([int(images.hidden[id]) for id in images.pool.ids])
    truth = torch.tensor([int(name) for name in images.test_labels])
    found = []
    for draw in range(20):
        rows = torch.randperm(len(pool), generator=torch.Generator().manual_seed(draw))[:labelled]
        near, order = (test @ pool[rows].T).topk(neighbours, dim=1)
        votes = torch.zeros(len(test), 10).scatter_add_(1, known[rows][order], (near / 0.1).exp())
        found.append(float((votes.argmax(1) == truth).float().mean()))
    return sum(found) / len(found)


@pytest.mark.parametrize("name", PRETEXTS)
def test_a_short_training_beats_random_weights(name: str, digits: Images, tmp_path: Path) -> None:
    """Features of a few epochs on digits group the classes better than those of the same network untrained."""
    encoder = trained(name, digits, tmp_path)
    untrained = pretrain(digits, tmp_path, seed=0, trainer=TRAINER, method="none", options={}, backbone=BACKBONE)
    after, before = neighbour_accuracy(encoder, digits), neighbour_accuracy(untrained, digits)
    print(f"{name}: accuracy of neighbours {before:.3f} untrained, {after:.3f} trained")
    assert after > before + 0.05
    assert encoder.record["spread"] > (0.15 if name == "dino" else 0.5), "no collapse"
    assert not untrained.ready and encoder.ready


# --------------------------------------------------------------------------------------------------- BYOL's target


def test_byols_target_follows_and_keeps_statistics_of_its_own(few: Images) -> None:
    backbone = build((3, 8, 8), name="wrn_10_1")
    module = make("byol", backbone, steps=10, target_decay_base=0.9)
    assert isinstance(module, BYOL)
    module.train()
    assert all(part.training for part in (*module.target_backbone.modules(), *module.target_projection.modules()))
    assert not any(
        p.requires_grad for p in (*module.target_backbone.parameters(), *module.target_projection.parameters())
    )
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter += 1.0
    before = [p.clone() for p in module.target_backbone.parameters()]
    module.on_train_batch_end(None, None, 0)  # step 0 of 10: the decay is its base
    for slow, fast, old in zip(module.target_backbone.parameters(), backbone.parameters(), before, strict=True):
        assert torch.allclose(slow, 0.9 * old + 0.1 * fast, atol=1e-6)
    images = few.pool.fetch(torch.arange(32))
    module.loss(*module.two_views(images, 1, 2))
    means = {key: value for key, value in module.target_backbone.named_buffers() if key.endswith("running_mean")}
    own = dict(backbone.named_buffers())
    assert means and all(not torch.equal(value, own[key]) for key, value in means.items())
    assert all(value.any() for value in means.values()), "batch statistics of the target's own forward"


def test_byols_target_is_in_train_mode_while_training(few: Images, tmp_path: Path) -> None:
    modes, module = set(), make("byol", build((3, 8, 8), name="wrn_10_1"), steps=3, hidden=32)
    assert isinstance(module, BYOL)
    module.target_backbone.register_forward_hook(lambda part, given, out: modes.add(part.training))
    module.names = (0, "t")
    loop.fit(module, 3, lambda leg: batches.unlabelled_only(few.pool, leg, 16, (0, "t")), tmp_path, (0, "t"), TRAINER)
    assert modes == {True}
    assert not any(
        torch.equal(slow, fast)
        for slow, fast in zip(module.target_backbone.parameters(), module.backbone.parameters(), strict=True)
    )


# ------------------------------------------------------------------------------------------- the stage and its cache


def test_an_encoder_is_trained_once(few: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits, honest = [], loop.fit
    monkeypatch.setattr(loop, "fit", lambda *given: (fits.append(given), honest(*given))[1])
    first, again = trained("simclr", few, tmp_path, epochs=1), trained("simclr", few, tmp_path, epochs=1)
    assert len(fits) == 1 and first.folder == again.folder
    module = fits[0][0]
    assert all(torch.equal(rows, again.build().state_dict()[key]) for key, rows in module.backbone.state_dict().items())
    for changes in ({"epochs": 2}, {"temperature": 0.3}, {"seed": 1}):
        assert trained("simclr", few, tmp_path, **{"epochs": 1, **changes}).fingerprint != first.fingerprint
    assert len(fits) == 4
    other = first_images(few, 50)
    assert trained("simclr", other, tmp_path, epochs=1).fingerprint != first.fingerprint, "other images, other encoder"


def test_features_are_computed_once_and_are_the_networks(
    few: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = trained("simclr", few, tmp_path, epochs=1)
    features = encoder.features(few)
    network = encoder.build().eval()
    with torch.no_grad():
        alone = torch.cat([network(Views.of(few).plain(few.pool.fetch(torch.tensor([row])))) for row in range(60)])
    assert torch.allclose(features["pool"], alone, atol=1e-5) and len(features["test"]) == len(few.test)
    monkeypatch.setattr(loop, "predict", None)
    assert torch.equal(encoder.features(few)["pool"], features["pool"])
    embedded = encoder.embedded(few)
    assert embedded.pool.ids == few.pool.ids and torch.equal(
        embedded.pool.fetch(torch.tensor([5]))[0], features["pool"][5]
    )


def test_collapsed_projections_are_reported(
    few: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Pretext, "track", lambda self, projections: self.spread.fill_(0.02))
    with caplog.at_level(logging.WARNING, logger="ssal"):
        encoder = trained("simclr", few, tmp_path, epochs=1)
    assert "simclr: the projections have collapsed (spread 0.020 of 1)" in caplog.text
    assert encoder.record["spread"] == pytest.approx(0.02)


def test_tracking_forgets_the_start_slowly(few: Images) -> None:
    module = make("simclr", build((3, 8, 8), name="wrn_10_1"))
    point = torch.ones(8, 16)
    for _ in range(50):
        module.track(point)
    assert float(module.spread) == pytest.approx(0.9**50, abs=1e-4)  # type: ignore[arg-type]


@pytest.mark.parametrize("network", ["wrn_10_1", "test_resnet", "resnet10t"])
def test_ready_weights_take_the_place_of_a_pretext(network: str, few: Images, tmp_path: Path) -> None:
    made = build((3, 8, 8), name=network, seed=5)
    path = tmp_path / "w.safetensors"
    write_tensors(path, made.state_dict())

    def ready() -> Encoder:
        backbone = {"name": network, "weights": str(path)}
        return pretrain(few, tmp_path, seed=0, trainer=TRAINER, method="none", options={}, backbone=backbone)

    encoder = ready()
    assert encoder.ready
    assert all(torch.equal(rows, made.state_dict()[key]) for key, rows in encoder.build().state_dict().items())
    with torch.no_grad():
        expected = made.eval()(Views.of(few).plain(few.pool.fetch(torch.arange(60))))
    assert torch.allclose(encoder.features(few)["pool"], expected, atol=1e-4)
    write_tensors(path, build((3, 8, 8), name=network, seed=6).state_dict())
    assert ready().fingerprint != encoder.fingerprint, "other weights in the same file are another encoder"


def test_a_trained_encoder_serves_as_a_file_of_weights(few: Images, tmp_path: Path) -> None:
    first = trained("simclr", few, tmp_path, epochs=1)
    weights = {"name": "wrn_10_1", "weights": str(first.folder / "encoder.safetensors")}
    again = pretrain(few, tmp_path, seed=3, trainer=TRAINER, method="none", options={}, backbone=weights)
    assert torch.equal(again.features(few)["pool"], first.features(few)["pool"])


def test_weights_of_another_network_are_refused(few: Images, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_tensors(path, backbones.build((3, 8, 8), name="wrn_10_2").state_dict())
    weights = {"name": "wrn_10_1", "weights": str(path)}
    with pytest.raises(BadInput, match="backbone.weights: .* does not fit the backbone 'wrn_10_1'; name the network"):
        encoder_of(few, tmp_path, seed=0, trainer=TRAINER, method="none", options={}, backbone=weights).build()
    with pytest.raises(BadInput, match="does not fit the backbone"):
        pretrain(
            few,
            tmp_path,
            seed=0,
            trainer=TRAINER,
            method="simclr",
            options=options_of("simclr", epochs=1),
            backbone=weights,
        )


def test_lars_without_decay_would_be_plain_sgd_at_a_huge_rate(few: Images) -> None:
    backbone = build(few.pool.shape, name="wrn_10_1")
    with pytest.raises(BadInput, match=r"pretext.weight_decay: LARS scales only what decays.*optimiser=sgd"):
        make("simclr", backbone, optimiser="lars", weight_decay=0.0)
