"""The pretext's loss as a signal: rows belong to ids, draws to rows, and recipes that cannot have it are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import pictures, recipe, run, small, write_pictures
from torch import Tensor

from ssal import registry
from ssal.artefacts import write_tensors
from ssal.backbones import build
from ssal.data import batches
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.labelling.ledger import Ledger
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import pretrain
from ssal.signals import contrast_loss
from ssal.signals.collect import collect
from ssal.streams import stream

TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
NAMES = (0, "round", 1, "signals")
TELLS = registry.with_trait("pretext", "image_losses")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def images(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Images:
    return pictures(root, tmp_path_factory.mktemp("images"))


def encoder_of(images: Images, folder: Path, name: str = "simclr", **options: Any) -> Encoder:
    section = small("pretext", name)
    given = {**registry.find("pretext", name).options, **section, **options}
    del given["method"]
    backbone = {"name": "wrn_10_1", "weights": None}
    return pretrain(images, folder, seed=0, trainer=TRAINER, method=name, options=given, backbone=backbone)


def losses(encoder: Encoder, images: Images, folder: Path, **options: Any) -> Tensor:
    """Return what `collect` fills before the first label, when all images are rows to choose from."""
    folder.mkdir()
    given: dict[str, Any] = {"names": NAMES, "options": {"contrast_loss": options}}
    table = collect(("contrast_loss",), None, encoder, images, Ledger(folder / "ledger.sqlite"), folder, None, **given)
    assert table["rows"].tolist() == list(range(len(images.pool)))
    return table["contrast_loss"]


def test_every_image_has_the_loss_of_its_own_views(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: blocks of 17 rows, views from the block's stream, negatives from a batch drawn from the pool."""
    monkeypatch.setattr(contrast_loss, "BLOCK", 17)
    encoder = encoder_of(images, tmp_path, batch_size=24)
    found = losses(encoder, images, tmp_path / "a")
    module, names = encoder.pretext(images), (*NAMES, "contrast_loss")

    def views(of: Tensor, *more: Any) -> tuple[Tensor, Tensor]:
        return module.two_views(of, *(stream(*names, *more, "view", view) for view in (1, 2)))

    with torch.no_grad():
        order = torch.randperm(60, generator=torch.Generator().manual_seed(stream(*names, "others")))
        others = order[:24].sort().values
        module.refer(*views(images.pool.fetch(others), "others"), others)
        expected = []
        for number, rows in enumerate(torch.arange(60).split(17)):
            first, second = views(images.pool.fetch(rows), "block", number, "draw", 0)
            expected += [module.image_losses(first[[i]], second[[i]], rows[[i]]) for i in range(len(rows))]
    assert torch.allclose(found, torch.cat(expected), atol=1e-5)
    assert found.std() > 0.01, "rows can be told apart"


@pytest.mark.parametrize("name", TELLS)
def test_it_follows_from_the_stream_alone(
    name: str, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = encoder_of(images, tmp_path, name, projection=32)
    found = losses(encoder, images, tmp_path / "a")
    assert found.shape == (60,) and found.isfinite().all() and found.std() > 0
    honest = batches.numbered
    monkeypatch.setattr(batches, "numbered", lambda images, size=7: honest(images, size))  # of the other signals
    torch.manual_seed(9)
    assert torch.equal(losses(encoder, images, tmp_path / "b"), found)
    more = losses(encoder, images, tmp_path / "c", draws=3)
    assert not torch.allclose(more, found, atol=1e-4) and torch.corrcoef(torch.stack([more, found]))[0, 1] > 0


@pytest.mark.parametrize(
    ("name", "weights"), [("barlow_twins", False), ("vicreg", False), ("dino", False), ("none", False), ("none", True)]
)
def test_a_recipe_without_heads_is_refused(name: str, weights: bool, tmp_path: Path) -> None:
    ready = tmp_path / "ready.safetensors"
    write_tensors(ready, build((3, 8, 8), name="wrn_10_1").state_dict())
    with pytest.raises(BadInput) as error:
        recipe(
            tmp_path / "tiny.yaml",
            acquisition={"strategy": "contrast_loss", "first_round": "contrast_loss"},
            pretext={"method": name},
            backbone={"name": "wrn_10_1", "weights": str(ready) if weights else None},
        )
    told = f"'contrast_loss' needs contrast_loss, but pretext {name!r} has no loss of single images"
    assert str(error.value).count(f"{told}; set pretext.method to one of: byol, moco_v2, simclr, simsiam") == 2


def test_it_chooses_the_first_images_too(root: Path, images: Images, tmp_path: Path) -> None:
    loaded = recipe(
        tmp_path / "tiny.yaml",
        acquisition={"strategy": "contrast_loss", "first_round": "contrast_loss"},
        pretext=small("pretext", "byol"),
        signals={"contrast_loss": {"draws": 2}},
    )
    left = run(loaded.arms["main"], images, tmp_path)
    assert len(set(left.asked())) == 12
    for text in left.chosen.values():
        scores = [float(line.split(",")[2]) for line in text.splitlines()[1:]]
        assert scores == sorted(scores, reverse=True) and -1 <= scores[-1] < scores[0] <= 1
