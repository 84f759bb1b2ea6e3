"""Loss prediction: worked numbers, one pass, what a reader is told of a head, and that it ranks losses it never saw."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from real_images import shared_data
from rich.console import Console
from scipy.stats import spearmanr
from sklearn.metrics import hinge_loss, log_loss
from tiny_runs import pictures, recipe, run, small, write_pictures
from torch import Tensor
from torch.nn.functional import cross_entropy

from ssal import compare
from ssal.artefacts import read_tensors
from ssal.conclude import conclude
from ssal.data import batches
from ssal.data.images import Images
from ssal.data.load import load as load_images
from ssal.errors import BadInput
from ssal.evaluation.results import read_results
from ssal.evaluation.table import final_table
from ssal.labelling.ledger import Entry, Ledger
from ssal.learner.base import Network
from ssal.learner.train import train
from ssal.plan import plan
from ssal.pretext.pretrain import pretrain
from ssal.recipe import load
from ssal.signals.collect import collect
from ssal.signals.loss_prediction import LossPrediction, cross_entropy_ranking, hinge_ranking, pair_differences

TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
PREDICTED, LOSSES = torch.tensor([0.2, 1.0, 0.5, 0.1]), torch.tensor([2.0, 0.3, 0.1, 0.5])


def test_worked_numbers() -> None:
    assert pair_differences(PREDICTED).tolist() == pytest.approx([0.1, 0.5])
    assert float(hinge_ranking(PREDICTED, LOSSES, 1.0)) == pytest.approx(0.70)
    assert float(cross_entropy_ranking(PREDICTED, LOSSES)) == pytest.approx(0.559237, abs=1e-6)


@pytest.mark.parametrize("count", [5, 64])
def test_rankings_are_scikit_learns_losses_of_the_pairs(count: int) -> None:
    """Of an odd batch the middle image, its own partner, drops."""
    generator = torch.Generator().manual_seed(count)
    predicted, losses = torch.randn(count, generator=generator), torch.rand(count, generator=generator)
    half = count // 2
    differences = predicted[:half] - predicted.flip(0)[:half]
    larger = (losses[:half] > losses.flip(0)[:half]).int()
    ours = hinge_ranking(predicted, losses, 1.0), cross_entropy_ranking(predicted, losses)
    assert float(ours[0]) == pytest.approx(hinge_loss(2 * larger - 1, differences, labels=[-1, 1]), abs=1e-6)
    assert float(ours[1]) == pytest.approx(log_loss(larger, differences.double().sigmoid(), labels=[0, 1]), abs=1e-6)


@pytest.mark.parametrize("ranking", ["hinge", "bce"])
def test_true_losses_get_no_gradient_and_the_weight_counts(ranking: Any) -> None:
    torch.manual_seed(0)
    maps = [torch.randn(8, width, requires_grad=True) for width in (3, 4, 5, 6)]
    logits, labels = torch.randn(8, 4, requires_grad=True), torch.arange(8) % 4
    head = LossPrediction([3, 4, 5, 6], ranking=ranking, weight=1.0)
    heavy = LossPrediction([3, 4, 5, 6], ranking=ranking, weight=2.5)
    heavy.load_state_dict(head.state_dict())
    loss = head.loss(maps, logits, labels, 0.0)
    assert torch.allclose(heavy.loss(maps, logits, labels, 0.0), 2.5 * loss)
    loss.backward()
    assert logits.grad is None and all(part.grad is not None and part.grad.any() for part in maps)


def from_folder(root: Path, images: Images, labels: int, steps: int, seed: int, **head: Any) -> dict[str, Tensor]:
    """Train a supervised learner with the head on random labels; return its table with the true losses of the pool."""
    ledger = Ledger(root / f"ledger_{seed}.sqlite")
    order = torch.randperm(len(images.pool), generator=torch.Generator().manual_seed(seed))
    if not ledger.labels():
        asked = [images.pool.ids[row] for row in order[:labels]]
        ledger.append(Entry(id, images.hidden[id], "oracle", 0, "random") for id in asked)
    backbone = {"name": "wrn_10_1", "weights": None}
    encoder = pretrain(images, root, seed=seed, trainer=TRAINER, method="none", options={}, backbone=backbone)
    options = {"steps": steps, "batch_size": 32}
    learner = train(
        *(encoder, images, ledger, 1, root, seed, TRAINER),
        method="supervised",
        options=options,
        companions={"loss_prediction": head},
    )
    assert learner
    folder = root / f"round_{seed}"
    folder.mkdir(exist_ok=True)
    needs = ("predicted_loss", "logits")
    table = collect(needs, learner, encoder, images, ledger, folder, None, names=(seed,), options={})
    numbers = ledger.class_numbers(images.classes)
    truth = torch.tensor([numbers[images.hidden[images.pool.ids[row]]] for row in table["rows"].tolist()])
    return {**table, "true_loss": cross_entropy(table["logits"], truth, reduction="none")}


def mean_correlation(root: Path, images: Images, labels: int, steps: int) -> float:
    """Return Spearman's correlation of predicted and true losses of unlabelled images, mean of three seeds."""
    tables = [from_folder(root, images, labels, steps, seed) for seed in range(3)]
    return sum(float(spearmanr(one["predicted_loss"], one["true_loss"]).statistic) for one in tables) / 3


def test_predicted_losses_rank_the_true_losses_of_unlabelled_digits(tmp_path: Path) -> None:
    images = load_images(tmp_path, source="digits", options={}, size=8, flip=False)
    assert mean_correlation(tmp_path, images, labels=100, steps=60) > 0.3


@pytest.mark.slow
def test_predicted_losses_rank_the_true_losses_of_unlabelled_garments(tmp_path: Path) -> None:
    """1,000 images of fashion-mnist at 28 pixels, 100 of them labelled."""
    kept: dict[str, int] = {}
    with tarfile.open(shared_data("fashion-mnist/fashion-mnist-12k.tar")) as tar:
        for member in tar:
            part = str(Path(member.name).parent)
            kept[part] = kept.get(part, 0) + member.isfile()
            if member.isfile() and kept[part] <= (100 if part.startswith("train") else 2):
                path = tmp_path / "garments" / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(tar.extractfile(member).read())  # type: ignore[union-attr]
    options = {"path": str(tmp_path / "garments")}
    images = load_images(tmp_path, source="folder", options=options, size=28, flip=False)
    assert len(images.pool) == 1000 and images.pool.shape == (3, 28, 28)
    assert mean_correlation(tmp_path, images, labels=100, steps=120) > 0.3


def test_one_pass_gives_the_signal_and_row_i_is_image_i(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(write_pictures(tmp_path / "pictures"), tmp_path)
    forwarded, honest, numbered = [], Network.forward, batches.numbered

    def counted(self: Network, batch: Tensor) -> Any:
        forwarded.append(len(batch))
        return honest(self, batch)

    whole = from_folder(tmp_path, images, 12, 6, 0)
    monkeypatch.setattr(Network, "forward", counted)
    for size in (1, 7):
        for table in tmp_path.glob("round_0/table_*"):
            table.unlink()
        forwarded.clear()
        monkeypatch.setattr(batches, "numbered", lambda images, size=size: numbered(images, size))
        again = from_folder(tmp_path, images, 12, 6, 0)
        assert sum(forwarded) == len(images.pool), "the pass that gives the outputs gives the predicted losses too"
        assert torch.allclose(again["predicted_loss"], whole["predicted_loss"], atol=1e-4)
    assert len(whole["predicted_loss"].unique()) > 20


def test_a_learner_that_goes_on_keeps_its_head(tmp_path: Path) -> None:
    """With a warm start the second learner begins with the first one's head: a step of rate 0 leaves it there."""
    images = pictures(write_pictures(tmp_path / "pictures"), tmp_path)
    section = small("learner", "supervised", learning_rate=1e-12, weight_decay=0.0) | {"warm_start": True}
    arm = recipe(tmp_path / "tiny.yaml", acquisition={"strategy": "loss_prediction"}, learner=section).arms["main"]
    left = run(arm, images, tmp_path)
    folders = [tmp_path / "learners" / facts["learner_folder"] for facts in left.metrics.values()]
    heads = [read_tensors(folder / "learner.safetensors") for folder in folders]
    names = [name for name in heads[0] if name.startswith("companions.")]
    assert names and all(torch.allclose(heads[0][name], heads[1][name], atol=1e-8) for name in names)
    assert [text.splitlines()[1].rpartition(",")[2] for text in left.chosen.values()] == ["random", "loss_prediction"]


ARMS = """
name: heads
data: {source: folder, path: PATH, size: 8, flip: false}
backbone: {name: wrn_10_1}
learner: {method: supervised, steps: 4, batch_size: 8}
acquisition: {strategy: random, first_size: 8, query_size: 4, budget: 12}
trainer: {accelerator: cpu, precision: 32-true}
compare: {baseline: plain, treatment: head}
arms:
  plain: {}
  head: {signals: {loss_prediction: {}}}
  detached: {signals: {loss_prediction: {detach: always}}}
  loss: {acquisition: {strategy: loss_prediction}}
"""


def test_a_head_does_not_change_an_arm_in_silence(tmp_path: Path) -> None:
    """Random with the head is one line; table, plan and report name it, and only a detached one leaves the weights."""
    path = tmp_path / "heads.yaml"
    path.write_text(ARMS.replace("PATH", str(write_pictures(tmp_path / "pictures"))))
    loaded = load(path)
    ended = compare.run_all(loaded, [], tmp_path, jobs=1)
    said = conclude(loaded, ended, tmp_path, "the command").comparisons[0].verdict
    rows = read_results(tmp_path / "heads" / "results.csv")
    notes = {row["arm"]: row["companions"] for row in rows}
    assert notes == {
        "plain": "",
        "head": "loss_prediction",
        "detached": "loss_prediction (detach: always)",
        "loss": "loss_prediction",
    }
    weights = {
        row["arm"]: read_tensors(tmp_path / "learners" / row["learner_folder"] / "learner.safetensors")
        for row in rows
        if row["labels"] == 12
    }
    plain = weights["plain"]
    equal = {arm: all(torch.equal(found[name], plain[name]) for name in plain) for arm, found in weights.items()}
    assert equal == {"plain": True, "head": False, "detached": True, "loss": False}
    folders = {(row["arm"], row["labels"]): row["learner_folder"] for row in rows}
    assert folders["head", 8] == folders["loss", 8] != folders["plain", 8], "arms share what is the same for both"

    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(final_table(rows))
    printed = " ".join(console.export_text().split())
    assert "The learner of head, loss is trained with a companion head: loss_prediction." in printed
    assert "The learner of detached is trained with a companion head: loss_prediction (detach: always)." in printed
    assert "plain is trained" not in printed
    report = (tmp_path / "heads" / "report.html").read_text()
    assert "supervised + loss_prediction → random" in report and "head, loss is trained with a companion" in report
    assert any(
        "head and plain do not train the same heads beside the learner (loss_prediction; none)" in detail
        for detail in said["details"]
    )
    assert "  supervised with loss_prediction: 2 trainings" in "\n".join(plan(loaded, tmp_path))


def test_every_child_of_a_wrapper_brings_its_head(tmp_path: Path) -> None:
    blend = {"strategy": "blend", "options": {"weights": {"margin": 1.0, "loss_prediction": 1.0}}}
    loaded = recipe(tmp_path / "tiny.yaml", acquisition=blend, learner=small("learner", "fixmatch"))
    assert loaded.arms["main"].companions.keys() == {"loss_prediction"}
    wrong = recipe(tmp_path / "tiny.yaml", learner=small("learner", "fixmatch")).arms["main"]
    assert wrong.companions == {} and wrong.companion_note() == ""
    with pytest.raises(BadInput, match="signals.loss_prediction.detach: expected 'late' or 'always', got 'never'"):
        recipe(tmp_path / "tiny.yaml", signals={"loss_prediction": {"detach": "never"}}, learner={"method": "fixmatch"})
