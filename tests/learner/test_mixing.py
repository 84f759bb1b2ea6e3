"""MixUp, interleaved batches and kept BatchNorm statistics, by hand and against torchvision and scipy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats
from torch import nn
from torchvision.transforms import v2

from ssal import registry
from ssal.backbones import build
from ssal.data.views import Views
from ssal.learner.mixing import interleave, mixing_shares, mixup, statistics_kept


def test_mixup_by_hand() -> None:
    images, targets = torch.tensor([[0.0, 8.0], [4.0, 0.0]]), torch.eye(2)
    mixed, labels = mixup(images, targets, torch.tensor([1, 0]), torch.tensor([0.75, 0.5]))
    assert mixed.tolist() == [[1.0, 6.0], [2.0, 4.0]]
    assert labels.tolist() == [[0.75, 0.25], [0.5, 0.5]]


def test_mixup_is_torchvisions_where_all_share_one_number() -> None:
    torch.manual_seed(0)
    images, labels = torch.rand(3, 3, 4, 4), torch.tensor([0, 1, 2])
    theirs, their_labels = v2.MixUp(alpha=0.75, num_classes=3)(images, labels)
    share = their_labels[0, 0].item()
    assert 0.01 < share < 0.99
    ours, our_labels = mixup(images, torch.eye(3), torch.arange(3).roll(1), torch.full((3,), share))
    assert torch.allclose(ours, theirs, atol=1e-6) and torch.allclose(our_labels, their_labels, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 0.75, 4.0])
def test_shares_are_the_larger_part_of_a_beta_draw(alpha: float) -> None:
    shares = mixing_shares(4000, alpha, 3).numpy()
    beta = stats.beta(alpha, alpha)
    assert stats.kstest(shares, lambda x: (beta.cdf(x) - beta.cdf(1 - x)).clip(0)).pvalue > 0.01
    assert torch.equal(mixing_shares(9, alpha, 5), mixing_shares(9, alpha, 5))
    assert not torch.equal(mixing_shares(9, alpha, 5), mixing_shares(9, alpha, 6))


def test_interleaved_by_hand() -> None:
    groups = [torch.tensor(row) for row in ([1, 2, 3], [10, 20, 30], [100, 200, 300])]
    first, second, third = interleave(groups)
    assert first.tolist() == [1, 20, 300]
    assert second.tolist() == [10, 2, 30] and third.tolist() == [100, 200, 3]


@pytest.mark.parametrize(("count", "length"), [(1, 4), (2, 5), (3, 64), (5, 3)])
def test_interleaved_twice_is_as_before(count: int, length: int) -> None:
    groups = list(torch.arange(count * length).view(count, length))
    once = interleave(groups)
    assert torch.equal(torch.cat(once).sort().values, torch.arange(count * length))
    assert all(torch.equal(a, b) for a, b in zip(interleave(once), groups, strict=True))


def test_groups_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"equal length, got \[2, 3\]"):
        interleave([torch.zeros(2), torch.zeros(3)])


def test_kept_statistics_do_not_move_and_do_not_serve() -> None:
    images = torch.randn(8, 3, 8, 8) * 5 + 2
    network = build((3, 8, 8), name="wrn_10_1", seed=0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with statistics_kept(network):
        kept = network(images)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    moving = network(images)
    assert torch.allclose(kept, moving), "normalised by the batch in both cases"
    moved = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert moved and all("running" in name or "tracked" in name for name in moved)


def test_layers_without_statistics_stay_so_and_an_error_leaves_none_frozen() -> None:
    with_statistics, without = nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False)
    with pytest.raises(ZeroDivisionError), statistics_kept(nn.Sequential(with_statistics, without)):
        raise ZeroDivisionError
    assert with_statistics.track_running_stats and not without.track_running_stats


@pytest.mark.parametrize("name", ["pseudo_label", "pi_model", "mean_teacher", "mixmatch"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_unlabelled_images_move_the_first_weight(name: str, precision: torch.dtype) -> None:
    """Autocast keeps the weights that it casts: cast without gradient, they would learn nothing all step."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (12, 3, 8, 8), generator=generator, dtype=torch.uint8)
    batch = {"labelled": pixels[:4], "labels": torch.tensor([0, 1, 1, 0]), "unlabelled": pixels[4:]}

    def gradient(weight: float) -> torch.Tensor:
        torch.manual_seed(0)
        options: dict[str, Any] = {"unlabelled_weight": weight, "mu": 2, "batch_size": 4}
        options["warm_up_steps" if name == "mixmatch" else "warm_up"] = 0
        if name == "pseudo_label":
            options["threshold"] = 0.0
        method = registry.find("learner", name)
        learner = method.call(
            build((3, 8, 8), name="wrn_10_1", seed=1), Views((0.5,) * 3, (0.25,) * 3, flip=True), 2, **options
        )
        with torch.no_grad():
            learner.network.head.weight.mul_(30)  # far from equal probabilities, where the squared loss is flat
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
            loss = learner.loss(batch, "t")
        loss.backward()
        found: torch.Tensor = next(learner.network.parameters()).grad
        assert found is not None and found.isfinite().all() and found.any()
        return found

    labelled, both = gradient(0.0), gradient(50.0)
    assert (both - labelled).norm() > 0.1 * labelled.norm()
