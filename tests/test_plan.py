"""The plan counts what scoring forwards, and says which strategy asks when."""

from __future__ import annotations

from pathlib import Path

from tiny_runs import recipe, small, write_pictures

from ssal.plan import plan


def test_what_is_fitted_in_every_round_is_said(tmp_path: Path) -> None:
    data = {"source": "folder", "path": str(write_pictures(tmp_path / "pictures")), "size": 8, "flip": False}
    begin, cases = "  fitted anew in 1 rounds of each seed: ", dict[str, list[str]]()
    cases["margin"], cases["vaal"] = [], [begin + "vaal for 1,000 steps"]
    cases["loss_prediction"] = [begin + "the head of loss_prediction for 500 steps"]  # the learner is a linear probe
    for strategy, expected in cases.items():
        loaded = recipe(tmp_path / "tiny.yaml", data=data, acquisition={"strategy": strategy})
        assert [line for line in plan(loaded, tmp_path) if "fitted anew" in line] == expected


def test_views_are_forwarded_too_and_tod_has_no_one_to_compare_with_at_first(tmp_path: Path) -> None:
    data = {"source": "folder", "path": str(write_pictures(tmp_path / "pictures")), "size": 8, "flip": False}
    learner = small("learner", "supervised")

    def planned(strategy: str, **sections: object) -> str:
        acquisition = {"strategy": strategy, "budget": 16}
        loaded = recipe(tmp_path / "tiny.yaml", data=data, learner=learner, acquisition=acquisition, **sections)
        return "\n".join(plan(loaded, tmp_path))

    once, trainings = (60 + 24) * 3, "3 trainings × 1 seeds"
    said = planned("margin")
    assert f"scoring: {once} forward images per seed" in said and trainings in said
    assert "(random first, then margin" in said
    said = planned("consistency", signals={"views": {"views": 5}})
    assert f"scoring: {once + 5 * 60 * 2} forward images per seed" in said and trainings in said
    said = planned("tod")
    assert f"scoring: {once} forward images per seed" in said
    assert "(random first and in the first round with a learner, which has none to compare with, then tod" in said
    assert "mind:" not in planned("margin")
    assert "mind: tod compares learners, and these start afresh; type learner.warm_start=true" in said
    learner["warm_start"] = True
    assert "mind:" not in planned("tod")


def test_two_views_are_forwarded_for_every_draw_of_a_pretext_s_loss(tmp_path: Path) -> None:
    data = {"source": "folder", "path": str(write_pictures(tmp_path / "pictures")), "size": 8, "flip": False}
    loaded = recipe(
        tmp_path / "tiny.yaml",
        data=data,
        pretext=small("pretext", "simclr"),
        signals={"contrast_loss": {"draws": 3}},
        acquisition={"strategy": "contrast_loss"},
    )
    assert f"scoring: {2 * 3 * 60} forward images per seed" in "\n".join(plan(loaded, tmp_path))
