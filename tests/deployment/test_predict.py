"""`ssal predict`: a folder or tar of images in, a CSV out, whatever else lies in it."""

from __future__ import annotations

import csv
import os
import tarfile
from pathlib import Path

import pytest
import torch
from command_line import CommandLine, refused
from PIL import Image
from stood import EXACT, own_probabilities, stood
from tiny_runs import digits, recipe, write_pictures

from ssal.deployment import predict as predicting
from ssal.deployment.predict import batches, predict
from ssal.deployment.write import write_model
from ssal.registry import find


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stood")
    loaded, stand = stood(folder, "supervised")
    return write_model(loaded, stand, folder / "model", onnx=False).folder


def rows(path: Path = Path("predictions.csv")) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_run_model_and_predict_from_the_command_line(command_line: CommandLine) -> None:
    """What `predict` says of the test images is what the run's own learner said of them."""
    write_pictures(Path("pictures"))
    data = {"source": "folder", "path": "pictures", "size": 8, "flip": False}
    recipe(Path("tiny.yaml"), data=data, trainer=EXACT)
    refused(
        command_line("model", "tiny.yaml", "--to", "model"), "has no round with a learner yet", "ssal run tiny.yaml"
    )
    assert command_line("run", "tiny.yaml", "--jobs", "1").code == 0
    refused(command_line("model", "tiny.yaml", "--to", "pictures/m", "--no-onnx"), "where the images come from")
    assert not Path("pictures/m").exists()
    refused(command_line("model", "tiny.yaml", "--to", "x" * 300, "--no-onnx"), "it cannot be written")
    said = command_line("model", "tiny.yaml", "--to", "model", "--no-onnx")
    assert said.code == 0 and "model/config.json" in said.out
    broken = Path("pictures/test/one/broken.png")
    broken.write_bytes(b"\x89PNG but no more")
    said = command_line("predict", "model", "pictures", "--top", "4")
    assert (said.code, said.err.strip()) == (
        0,
        "unreadable: test/one/broken.png (no image that can be read (JPEG, PNG, WebP, BMP or TIFF))",
    )
    assert "85 images: predictions.csv" in said.out and "predicted 85 of 85 images" in said.log
    found = {row["path"]: row for row in rows()}
    assert list(found) == sorted(found) and len(found) == 85
    assert set(found.pop("test/one/broken.png").values()) == {"test/one/broken.png", ""}
    broken.unlink()
    from ssal.cells import cells_of, images_of
    from ssal.recipe import load
    from ssal.standing import standing

    loaded = load(Path("tiny.yaml"))
    (cell,) = cells_of(loaded, Path("checkpoints"))
    images_of(cell.arm, Path("checkpoints"))
    stand = standing(loaded, cell, Path("checkpoints"), None)
    _, own = own_probabilities(stand)
    classes = list(stand.ledger.class_numbers(stand.images.classes))
    for path, probabilities in zip(stand.images.test.paths, own, strict=True):
        row = found[path]
        assert row["label"] == classes[int(probabilities.argmax())]
        for end in ("", "_2", "_3", "_4"):
            own_share = float(probabilities[classes.index(row[f"label{end}"])])
            assert float(row[f"confidence{end}"]) == pytest.approx(own_share, abs=1e-5)


def test_a_tar_a_folder_and_other_formats_are_read_alike(model: Path, tmp_path: Path) -> None:
    """A picture twice as large and in colour is brought to the model's size, as in training."""
    folder = write_pictures(tmp_path / "pictures")
    Image.fromarray(digits()[0][0]).resize((32, 16)).convert("RGBA").save(folder / "train" / "wide.webp")
    (folder / "train" / "notes.txt").write_text("no image")
    (folder / "train" / "empty.jpg").write_bytes(b"")
    with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
        tar.add(folder, arcname=".")
    found = [predict(model, place, tmp_path / "out.csv", 1) for place in (folder, tmp_path / "pictures.tar")]
    assert found[0] == found[1] and found[0].unreadable == [("train/empty.jpg", "the file is empty")]
    written = rows(tmp_path / "out.csv")
    assert len(written) == found[0].images == 86 and list(written[0]) == ["path", "label", "confidence"]
    assert [row["label"] == "" for row in written if row["path"] in ("train/empty.jpg", "train/wide.webp")] == [
        True,
        False,
    ]


def test_no_name_is_computed_by_a_spreadsheet(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("=cmd.png", "plain.png"):
        Image.fromarray(digits()[0][0]).save(folder / name)
    predict(model, folder, tmp_path / "out.csv", 1)
    assert [row["path"] for row in rows(tmp_path / "out.csv")] == ["'=cmd.png", "plain.png"]


def test_only_a_few_batches_are_in_memory(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pictures(tmp_path / "pictures")
    whole = predict(model, folder, tmp_path / "whole.csv", 2)
    monkeypatch.setattr(predicting, "BATCH", 5)
    decoded: list[int] = []
    decode = predicting.decode
    monkeypatch.setattr(predicting, "decode", lambda *given: decoded.append(1) or decode(*given))
    stream = batches(find("dataset", "folder").call(path=str(folder)), (3, 8, 8))
    for number in range(1, 4):
        assert next(stream).pixels.shape == (5, 3, 8, 8)
        assert len(decoded) <= 5 * (number + predicting.AHEAD)
    stream.close()
    assert predict(model, folder, tmp_path / "parts.csv", 2) == whole and len(decoded) >= 84
    for one, other in zip(rows(tmp_path / "whole.csv"), rows(tmp_path / "parts.csv"), strict=True):
        assert one["label"] == other["label"]
        assert float(one["confidence"]) == pytest.approx(float(other["confidence"]), abs=2e-6)


def test_what_cannot_be_predicted_leaves_no_file(model: Path, command_line: CommandLine) -> None:
    refused(command_line("predict", "nowhere", "pictures"), "nowhere: there is no model here")
    refused(command_line("predict", model, "nowhere"), "nowhere does not exist")
    Path("pictures").mkdir()
    refused(command_line("predict", model, "pictures"), "pictures holds no image")
    Path("pictures/one.png").write_bytes(b"broken")
    Path("predictions.csv").write_text("path,label,confidence\nof before,one,1\n")
    refused(command_line("predict", model, "pictures"), "none of the 1 images can be read", "one.png")
    assert Path("predictions.csv").read_text().endswith("of before,one,1\n")
    assert not list(Path(".").glob(".*unfinished"))


def test_what_is_no_table_of_predictions_is_not_replaced(
    model: Path, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that stood there before may go; a file of the user's, a folder and what leads nowhere may not."""
    write_pictures(Path("pictures"), train=2, test=1)
    for top in ("1", "3"):
        assert command_line("predict", model, "pictures", "--top", top).code == 0
    saved = Path("predictions.csv").read_bytes().replace(b"\n", b"\r\n")  # as a spreadsheet does
    Path("predictions.csv").write_bytes(saved)
    assert command_line("predict", model, "pictures").code == 0
    refused(command_line("predict", model, "pictures", "--to", "x" * 300), "it cannot be written", "Name another place")
    monkeypatch.setattr(predicting, "load", None)
    photograph = next(Path("pictures").rglob("*.png"))
    Path("photograph.png").write_bytes(photograph.read_bytes())
    Path("notes.csv").write_text("path,label,confidence,mine\na.png,one,1,keep\n")
    Path("empty.csv").write_text("")
    Path("paths.csv").write_text("path\n")
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("link.csv").symlink_to("nowhere.csv")
    for to, got in (
        ("photograph.png", "a file that is no text"), ("folder", "a folder"), ("empty.csv", "without a header"),
        ("notes.csv", "a file that begins with 'path,label,confidence,mine'"), ("link.csv", "what is no file"),
        ("paths.csv", "a file that begins with 'path'"), ("pipe", "what is no file"),
    ):  # fmt: skip
        told = refused(command_line("predict", model, "pictures", "--to", to), f"{to}: ", got, "another file with --to")
        assert "path,label,confidence" in told and len(told.splitlines()) == 1
    before = sorted(Path("pictures").rglob("*"))
    refused(command_line("predict", model, "pictures", "--to", photograph), f"{photograph}: ", "a file that is no text")
    assert sorted(Path("pictures").rglob("*")) == before
    assert photograph.read_bytes() == Path("photograph.png").read_bytes()
    assert Path("notes.csv").read_text().endswith("keep\n") and Path("link.csv").is_symlink()


def test_pixels_that_no_run_could_take_are_told(model: Path, tmp_path: Path) -> None:
    """A model of images that are no squares takes that size alone: nothing says which part of another would count."""
    write_pictures(tmp_path / "pictures", train=2, test=1)
    listing = find("dataset", "folder").call(path=str(tmp_path / "pictures"))
    (batch,) = batches(listing, (3, 8, 12))
    assert batch.readable == [] and batch.pixels.shape == (0, 3, 8, 12)
    assert set(batch.reasons.values()) == {"8 × 8 pixels, and the model takes 8 × 12 alone"}


@pytest.mark.gpu
def test_a_gpu_says_the_same(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pictures(tmp_path / "pictures")
    predict(model, folder, tmp_path / "gpu.csv", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    predict(model, folder, tmp_path / "cpu.csv", 1)
    for one, other in zip(rows(tmp_path / "gpu.csv"), rows(tmp_path / "cpu.csv"), strict=True):
        assert float(one["confidence"]) == pytest.approx(float(other["confidence"]), abs=5e-3)
