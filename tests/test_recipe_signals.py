"""What the strategies of an arm make of the options of signal sources, before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_runs import recipe, small

from ssal.errors import BadInput


@pytest.mark.parametrize(
    ("written", "ranking"),
    [
        ({}, "bce"),
        ({"loss_prediction": {}}, "bce"),
        ({"loss_prediction": {"weight": 2.0}}, "bce"),
        ({"loss_prediction": {"ranking": "hinge"}}, "hinge"),
    ],
)
def test_ta_vaal_ranks_as_its_paper_does_unless_the_recipe_says_otherwise(
    written: dict[str, Any], ranking: str, tmp_path: Path
) -> None:
    sections = {"learner": small("learner", "fixmatch"), "signals": written}
    arm = recipe(tmp_path / "tiny.yaml", acquisition={"strategy": "ta_vaal"}, **sections).arms["main"]
    assert arm.companions["loss_prediction"]["ranking"] == ranking
    assert arm.record["signals"]["loss_prediction"]["ranking"] == ranking
    assert arm.companions["loss_prediction"]["weight"] == written.get("loss_prediction", {}).get("weight", 1.0)
    alone = recipe(tmp_path / "tiny.yaml", acquisition={"strategy": "loss_prediction"}, **sections).arms["main"]
    assert alone.companions["loss_prediction"]["ranking"] == "hinge"


@pytest.mark.parametrize("strategy", ["vaal", "ta_vaal", "sraal"])
def test_features_of_no_encoder_are_refused_before_anything_runs(strategy: str, tmp_path: Path) -> None:
    sections: dict[str, Any] = {"acquisition": {"strategy": strategy}, "learner": small("learner", "supervised")}
    recipe(tmp_path / "tiny.yaml", signals={strategy: {"on": "images"}}, **sections)
    told = f"{strategy!r} needs {strategy}_unlabelled, but nothing gives an encoder; set pretext"
    with pytest.raises(BadInput, match=told):
        recipe(tmp_path / "tiny.yaml", signals={strategy: {"on": "features"}}, **sections)
    with pytest.raises(BadInput, match=told):
        blend = {"strategy": "blend", "options": {"weights": {"margin": 1.0, strategy: 1.0}}}
        recipe(tmp_path / "tiny.yaml", signals={strategy: {"on": "features"}}, **{**sections, "acquisition": blend})
    ready = small("pretext", "simclr")
    recipe(tmp_path / "tiny.yaml", signals={strategy: {"on": "features"}}, pretext=ready, **sections)
