"""`ssal model`: what is written answers as the run's learner does, in torch and in onnxruntime, or is not written."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stood import WITHOUT, digits, own_probabilities, stood
from torch import Tensor, nn

import ssal
from ssal import registry
from ssal.backbones import build
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.deployment import graph, write
from ssal.deployment.card import _came, shown
from ssal.deployment.classifier import Classifier, load
from ssal.deployment.heads import NEEDS_POOL, described
from ssal.deployment.write import write_model
from ssal.errors import BadInput
from ssal.labelling.ledger import Entry
from ssal.report.citing import Citing

LEARNERS = list(registry.methods("learner"))
FILES = ["README.md", "config.json", "model.onnx", "model.safetensors"]


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_is_written_or_refused_in_words(learner: str, tmp_path: Path) -> None:
    recipe, stand = stood(tmp_path, learner)
    if registry.find("learner", learner).traits.get(NEEDS_POOL):
        with pytest.raises(
            BadInput, match=f"{learner} tells an image's class from the pool.*learner.method=linear_probe"
        ):
            write_model(recipe, stand, tmp_path / "model", onnx=False)
        assert not (tmp_path / "model").exists()
        return
    written = write_model(recipe, stand, tmp_path / "model", onnx=False)
    assert sorted(path.name for path in written.files) == [name for name in FILES if name != "model.onnx"]
    loaded = load(tmp_path / "model")
    assert loaded.config["classes"] == list(stand.ledger.class_numbers(stand.images.classes))
    pixels, own = own_probabilities(stand)
    with torch.inference_mode():
        said = loaded.classifier(pixels)
        alone = torch.cat([loaded.classifier(image[None]) for image in pixels])
    assert torch.allclose(said, own, atol=1e-5)
    assert torch.allclose(said, alone, atol=1e-5)


def test_learners_that_need_the_pool_are_few() -> None:
    assert registry.with_trait("learner", NEEDS_POOL) == ["label_propagation"]


@pytest.mark.parametrize(
    ("learner", "options"),
    [
        ("fixmatch", {}),
        ("linear_probe", {"temperature_scaling": True}),
        ("gp_head", {"kernel": "linear", "samples": 16}),
        ("gp_head", {"kernel": "rbf", "samples": 16, "temperature_scaling": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("kernel", ""),
)
def test_onnxruntime_answers_as_the_run_did(learner: str, options: dict[str, Any], tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    recipe, stand = stood(tmp_path, learner, **options)
    write_model(recipe, stand, tmp_path / "model")
    running = graph.session(tmp_path / "model" / "model.onnx")
    pixels, own = own_probabilities(stand)
    for count in (1, 7, len(pixels)):
        (said,) = running.run(None, {"pixels": pixels[:count].numpy()})
        assert torch.allclose(torch.from_numpy(said), own[:count], atol=1e-5)
    (given,) = running.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("pixels", "tensor(uint8)", [3, 8, 8])
    whole = onnx.load(tmp_path / "model" / "model.onnx")
    assert [(one.domain, one.version) for one in whole.opset_import] == [("", graph.OPSET)]
    facts = {one.key: json.loads(one.value) for one in whole.metadata_props}
    assert facts["classes"] == list(stand.ledger.class_numbers(stand.images.classes))
    assert str(Path(ssal.__file__).parent).encode() not in (tmp_path / "model" / "model.onnx").read_bytes()


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100", "convnextv2_atto", "vit_tiny_patch16_224"])
def test_timms_backbones_are_written_for_batches_of_any_size(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = build((3, 32, 32), name=name)
        pixels = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8)
        for module in encoder.modules():  # statistics that no image has moved would hide a wrong epsilon
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        head = nn.Linear(encoder.num_features, 4)  # type: ignore[arg-type]
        nn.init.normal_(head.weight)
    views = Views((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), flip=False)
    classifier = Classifier(encoder, head, torch.tensor(1.0), views).eval()
    graph.write_onnx(tmp_path / "model.onnx", classifier, (3, 32, 32), {})
    running = graph.session(tmp_path / "model.onnx")
    for count in (1, 2, 9):
        (said,) = running.run(None, {"pixels": pixels[:count].numpy()})
        with torch.inference_mode():
            assert torch.allclose(torch.from_numpy(said), classifier(pixels[:count]), atol=1e-5)
    assert said.std(axis=0).max() > 1e-4, "images have different answers"


def test_the_same_run_gives_the_same_bytes_and_the_backbone_serves_another_recipe(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    recipe, stand = stood(tmp_path, "supervised")
    for name in ("one", "two"):
        write_model(recipe, stand, tmp_path / name)
    assert bytes_in(tmp_path / "one") == bytes_in(tmp_path / "two")
    encoder = build((3, 8, 8), name="wrn_10_1", weights=str(tmp_path / "one" / "model.safetensors"))
    assert all(
        torch.equal(own, kept)
        for own, kept in zip(
            encoder.state_dict().values(), stand.learner.learner.average.encoder.state_dict().values(), strict=True
        )
    )


def test_what_disagrees_is_not_written_and_the_model_of_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    recipe, stand = stood(tmp_path, "linear_probe")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "labels.csv").write_text("mine")
    write_model(recipe, stand, tmp_path / "model")
    before = bytes_in(tmp_path / "model")
    assert sorted(before) == sorted([*FILES, "labels.csv"])

    def wrong(*given: Any) -> dict[str, Tensor]:
        tensors = right(*given)
        tensors["ssal.head.bias"] = tensors["ssal.head.bias"].roll(1) + torch.arange(4)
        return tensors

    right = write.tensors_of
    with monkeypatch.context() as patched:
        patched.setattr(write, "tensors_of", wrong)
        for to in ("model", "other"):
            with pytest.raises(BadInput, match=r"the run's learner differ by .* nothing was written"):
                write_model(recipe, stand, tmp_path / to)
    exported = graph.write_onnx

    def wrong_graph(path: Path, classifier: Any, *rest: Any) -> None:
        classifier.head.bias.data += torch.arange(4)
        exported(path, classifier, *rest)
        classifier.head.bias.data -= torch.arange(4)

    with monkeypatch.context() as patched:
        patched.setattr(graph, "write_onnx", wrong_graph)
        with pytest.raises(BadInput, match="the ONNX file and the classifier differ.*--no-onnx"):
            write_model(recipe, stand, tmp_path / "model")
    assert bytes_in(tmp_path / "model") == before and not (tmp_path / "other").exists()


def test_without_its_packages_all_but_onnx_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, stand = stood(tmp_path, "linear_probe")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("# Mine")
    monkeypatch.setattr(graph, "missing", lambda: ["onnxscript"])
    with pytest.raises(BadInput, match=r"README.md would be replaced.*name another folder"):
        write_model(recipe, stand, tmp_path / "model")
    assert bytes_in(tmp_path / "model") == {"README.md": b"# Mine"}
    written = write_model(recipe, stand, tmp_path / "free")
    assert "pip install 'ssal[onnx]'" in written.notes[0]
    (tmp_path / "free" / "model.onnx").write_text("of an earlier model")
    write_model(recipe, stand, tmp_path / "free")
    assert sorted(bytes_in(tmp_path / "free")) == [name for name in FILES if name != "model.onnx"]
    assert "model.onnx" not in (tmp_path / "free" / "README.md").read_text(encoding="utf-8")


def test_a_run_on_features_and_a_foreign_head_are_refused_in_words(tmp_path: Path) -> None:
    images = digits()
    flat = {
        part: ImageSet(whole.ids, whole.paths, whole.fetch(torch.arange(len(whole))).flatten(1) / 255)
        for part, whole in {"pool": images.pool, "test": images.test}.items()
    }
    recipe, stand = stood(tmp_path, "linear_probe", replace(images, **flat, fingerprint="vectors"))
    with pytest.raises(BadInput, match="features in place of images.*write a model from a run on the images"):
        write_model(recipe, stand, tmp_path / "model")
    with pytest.raises(BadInput, match="head is a Sequential.*ssal list learners"):
        described(nn.Sequential())


def test_a_damaged_or_foreign_folder_is_no_model(tmp_path: Path) -> None:
    recipe, stand = stood(tmp_path, "linear_probe")
    write_model(recipe, stand, tmp_path / "model", onnx=False)
    with (tmp_path / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\1\2\3\4")
    with pytest.raises(BadInput, match="model.safetensors: this is not the file.*write the model anew"):
        load(tmp_path / "model")
    with pytest.raises(BadInput, match="there is no model here.*ssal model RECIPE --to FOLDER"):
        load(tmp_path)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(BadInput, match="update ssal"):
        load(tmp_path / "model")


def test_the_card_has_the_ledgers_numbers(tmp_path: Path) -> None:
    recipe, stand = stood(tmp_path, "linear_probe")
    audit = {"accuracy": 0.875, "low": 0.7, "high": 0.95, "images": 32}
    write_model(recipe, stand, tmp_path / "model", onnx=False, audit=audit)
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    entries, labels = stand.ledger.entries(), list(stand.ledger.labels().values())
    said = f"{len(entries)} answers on {len(stand.images.pool)} images: {len(labels)} with a class, {WITHOUT} without"
    assert said in card
    assert "- 4 came with the data\n" in card
    assert "- 20 were asked for by random and answered by the labels that the data came with" in card
    assert "- 8 were asked for by margin (Scheffer et al., 2001) and answered by one person" in card
    assert "Ada" not in card
    table = {
        name: (int(count), int(test)) for name, count, test in re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \|", card, re.M)
    }
    tested = list(stand.images.test_labels)
    assert table == {name: (labels.count(name), tested.count(name)) for name in stand.images.classes}
    metrics = json.loads((stand.cell.folder / "round_0" / "metrics.json").read_text())
    assert f"test: {100 * metrics['accuracy']:.1f} % of {len(tested)} images right" in card
    assert "87.5 % of 32 images drawn at random" in card and "from 70.0 % to 95.0 %" in card
    assert max(entry.at for entry in entries) == "2026-01-32" and "last answer 2026-01-32" in card
    assert "Answers without a class were not learned from: none of the classes (1) and cannot tell (1)" in card
    assert "Chen, T." in card.partition("## References")[2]
    assert str(tmp_path) not in card, "no path of this machine"


def test_the_card_names_nobody_and_shows_names_as_text() -> None:
    asked = [Entry(str(n), "a", who, 0, "margin") for n, who in enumerate(("Ada", "ada ", "<b>@x.org", "oracle"))]
    told = " ".join(_came([*asked, Entry("9", "a", "Ada", 0, "gone.py:<i>[x](y)")], 9, Citing()))
    assert "4 were asked for by margin (Scheffer et al., 2001) and answered by 2 people" in told
    assert "1 was asked for by gone.py:&lt;i&gt;\\[x\\](y) and answered by one person" in told
    assert "da" not in told and "x.org" not in told
    assert shown("<img src=x> a|b\n# `c` *d* _e_ & ~~f~~") == (
        "&lt;img src=x&gt; a\\|b \\# \\`c\\` \\*d\\* \\_e\\_ &amp; \\~\\~f\\~\\~"
    )
