"""TOD: the loss by hand, what learns from it, and rounds that go on from each other."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from on_vectors import batch, learner_of_logits
from tiny_runs import left_in, pictures, recipe, run, small, write_pictures

from ssal.artefacts import read_tensors
from ssal.labelling.ledger import Ledger
from ssal.learner.schedules import early_decay
from ssal.learner.tod import TemporalOutputDiscrepancy, output_discrepancy

LABELLED = [[1.0, -1.0], [0.5, 0.0]]
UNLABELLED = [[2.0, 0.0], [0.0, 0.0]]
GIVEN = batch(LABELLED, [0, 1], UNLABELLED)
SUPERVISED = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(0.5))) / 2


def tod(**options: object) -> TemporalOutputDiscrepancy:
    """Return a learner whose second head doubles the vectors that the first one passes on; the teacher negates them."""
    learner = learner_of_logits("tod", 2, 4, [0, 1], [0, 1], **options)
    assert isinstance(learner, TemporalOutputDiscrepancy)
    with torch.no_grad():
        for head, times in ((learner.network.second_head, 2.0), (learner.average.head, -1.0)):
            head.weight.copy_(times * torch.eye(2))
            head.bias.zero_()
    return learner


def test_the_discrepancy_by_hand() -> None:
    scores, second, teacher = (torch.tensor(rows) for rows in ([[1.0, 0.0]], [[0.0, 2.0]], [[0.0, -1.0]]))
    assert output_discrepancy(scores, second, teacher).item() == pytest.approx((1 + 4) / 2 + (0 + 9) / 2)
    twice = (rows.repeat(5, 3) for rows in (scores, second, teacher))
    assert output_discrepancy(*twice).item() == pytest.approx(7), "a mean over images and classes"


def test_the_loss_by_hand() -> None:
    # On vectors v: mean (v − 2v)² + mean (2v + v)² = 10 · mean v², for labelled and unlabelled images apart.
    labelled, unlabelled = 10 * 2.25 / 4, 10 * 4.0 / 4
    weighted = 0.02 * (labelled + unlabelled)
    assert tod().loss(GIVEN, "t").item() == pytest.approx(SUPERVISED + weighted, abs=1e-6)
    assert tod(unlabelled_weight=0.0).loss(GIVEN, "t").item() == pytest.approx(SUPERVISED, abs=1e-6)
    assert tod(unlabelled_weight=1.0).loss(GIVEN, "t").item() == pytest.approx(SUPERVISED + labelled + unlabelled)


def test_both_heads_learn_from_unlabelled_images_and_the_teacher_does_not() -> None:
    learner = tod(unlabelled_weight=1.0)
    with torch.no_grad():
        for parameter in learner.network.parameters():
            parameter.requires_grad_(True)
    _, apart = learner.discrepancy(torch.tensor(UNLABELLED))
    apart.backward()
    vectors = torch.tensor(UNLABELLED)
    squares = vectors.T @ vectors / vectors.numel()  # of the mean over B·C
    assert torch.allclose(learner.network.head.weight.grad, -2 * squares), "towards the second head"
    assert torch.allclose(learner.network.second_head.weight.grad, (2 + 6) * squares), "to the first and the teacher"
    assert all(parameter.grad is None for parameter in learner.average.parameters())


def test_a_round_goes_on_from_the_one_before_with_its_count_and_both_heads() -> None:
    before, now, later = (tod(steps=steps) for steps in (30, 40, 50))
    with torch.no_grad():
        before.average.second_head.weight.fill_(7.0)
    before.see(before.pool, torch.tensor([0]), torch.tensor([0]))  # class 1 had no label yet
    now.start_from(before)
    for part in (now.network, now.average):
        assert torch.equal(part.second_head.weight[0], torch.full((2,), 7.0))
        assert torch.equal(part.second_head.weight[1], torch.tensor([0.0, 2.0])), "its first weights"
        assert torch.equal(part.head.weight[0], before.average.head.weight[0])
    later.start_from(now)
    assert (now.steps_before, later.steps_before) == (30, 70)
    assert int(later.average.steps_taken) == 120


@pytest.mark.parametrize(("earlier", "step"), [(0, 1), (0, 9), (90, 9)])
def test_how_far_the_teacher_follows(earlier: int, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = tod()
    learner.steps_before = earlier
    monkeypatch.setattr(TemporalOutputDiscrepancy, "global_step", step)
    with torch.no_grad():
        learner.network.head.bias.fill_(1.0)
    learner.on_train_batch_end(None, None, 0)
    kept = early_decay(earlier + step, 0.999)
    assert kept == pytest.approx(1 - 1 / (earlier + step + 1))
    assert learner.average.head.bias.tolist() == pytest.approx([1 - kept, 1 - kept])


def test_scores_of_a_run_are_half_the_squared_difference_of_two_stored_tables(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Until two learners stand, first_round asks and says why; each training goes on from the one before."""
    caplog.set_level("INFO", "ssal")
    images = pictures(write_pictures(tmp_path / "pictures"), tmp_path)
    acquisition = {"strategy": "tod", "first_size": 8, "query_size": 4, "budget": 20}
    arm = recipe(tmp_path / "tiny.yaml", learner=small("learner", "tod"), acquisition=acquisition).arms["main"]
    assert arm.learner["warm_start"]
    run(arm, images, tmp_path)
    folder = tmp_path / "run/main/seed_0"
    asked = [json.loads((folder / f"round_{number}/asked.json").read_text()) for number in range(4)]
    assert [facts["strategy"] for facts in asked] == ["random", "random", "tod", "tod"]
    why = "tod compares two learners, and this is the first one, so first_round chooses"
    assert [facts["because"] for facts in asked] == [None, why, None, None]
    assert f"random asks: {why}" in caplog.text
    ledger = Ledger(folder / "ledger.sqlite")
    for number in (2, 3):
        before, now = (
            read_tensors(folder / f"round_{place}/outputs.safetensors")["probabilities"]
            for place in (number - 1, number)
        )
        names = [list(ledger.before(place).class_numbers(images.classes)) for place in (number - 1, number)]
        before = before[:, [names[0].index(name) for name in names[1]]]
        expected = (now - before).square().sum(dim=1) / 2
        labelled = ledger.before(number).labels()
        free = [row for row, id in enumerate(images.pool.ids) if id not in labelled]
        lines = (folder / f"round_{number}/chosen.csv").read_text().splitlines()[1:]
        chosen = {id: float(score) for id, _, score, _ in (line.split(",") for line in lines)}
        for id, score in chosen.items():
            assert score == pytest.approx(float(expected[images.pool.row(id)]), abs=1e-7)
        assert min(chosen.values()) >= float(expected[free].topk(4).values.min()) - 1e-7 and len(chosen) == 4
    found = left_in(folder, tmp_path)
    records = [
        json.loads((tmp_path / "learners" / facts["learner_folder"] / "record.json").read_text())
        for facts in found.metrics.values()
    ]
    folders = [facts["learner_folder"] for facts in found.metrics.values()]
    assert [record["starts_from"] for record in records] == [None, *folders[:-1]]
