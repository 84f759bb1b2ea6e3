from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import class_folders, folder_images, pack, parted, picture, save
from safetensors.numpy import save_file
from scipy.io import savemat
from torchvision import datasets

from ssal.data.load import load
from ssal.errors import BadInput
from ssal.registry import methods


def test_every_source_is_found_and_says_what_is_missing(tmp_path: Path) -> None:
    found = methods("dataset")
    assert set(found) >= {
        "digits", "folder", "csv", "embeddings", "cifar10", "cifar100", "svhn", "stl10", "fashion_mnist"
    }  # fmt: skip
    for name in ("folder", "csv", "embeddings"):
        with pytest.raises(BadInput, match="data.path: say where"):
            load(tmp_path, source=name, options={})
        with pytest.raises(BadInput, match="does not exist"):
            load(tmp_path, source=name, options={"path": str(tmp_path / "missing.csv")})


def test_folder_leaves_other_things_aside_and_says_so(tmp_path: Path) -> None:
    source = parted(tmp_path / "data")
    (source / "README.md").write_text("about")
    (source / "train" / "red" / "notes.txt").write_text("about")
    (source / "train" / "red" / "._00.png").write_bytes(b"what macOS leaves")
    save(picture(9), source / "validation" / "red" / "1.png")
    images = folder_images(tmp_path / "checkpoints", source)
    assert len(images.pool) == 18
    notes = "\n".join(images.report["notes"])
    assert "validation/ (1 image)" in notes and "1 × .md" in notes and "1 × .txt" in notes


def test_folders_within_class_folders_and_upper_case_endings(tmp_path: Path) -> None:
    for index in range(12):
        save(picture(index), tmp_path / "data" / "ab"[index % 2] / f"day {index // 4}" / f"{index}.PNG", format="PNG")
    images = folder_images(tmp_path / "checkpoints", tmp_path / "data")
    assert images.classes == ("a", "b") and len(images.pool) + len(images.test) == 12


def test_folder_follows_links_but_not_in_circles(tmp_path: Path) -> None:
    class_folders(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    for name in ("blue", "green", "red"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "data" / "blue" / "up").symlink_to(tmp_path / "data")
    images = folder_images(tmp_path / "checkpoints", tmp_path / "data")
    assert len(images.pool) + len(images.test) == 30 and not images.report["duplicates"]


def test_tar_with_links_and_long_names(tmp_path: Path) -> None:
    source = parted(tmp_path / "data")
    long = source / "train" / "red" / ("n" * 120 + ".png")
    save(picture(55), long)
    (source / "train" / "red" / "zlink.png").hardlink_to(long)
    images = folder_images(tmp_path / "checkpoints", pack(source, tmp_path / "data.tar"))
    assert len(images.pool) == 19 and len(images.report["duplicates"]) == 1


def test_tar_that_cannot_be_used(tmp_path: Path) -> None:
    source = parted(tmp_path / "data")
    with tarfile.open(tmp_path / "data.tar.gz", "w:gz") as tar:
        tar.add(source, arcname=".")
    with pytest.raises(BadInput, match="is compressed.*unpack it"):
        folder_images(tmp_path / "checkpoints", tmp_path / "data.tar.gz")
    whole = pack(source, tmp_path / "data.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2 + 100])
    with pytest.raises(BadInput, match="cut.tar is damaged, or no tar"):
        folder_images(tmp_path / "checkpoints", tmp_path / "cut.tar")


def manifest(tmp_path: Path, text: str) -> Path:
    class_folders(tmp_path / "data")
    (tmp_path / "data" / "labels.csv").write_text(text)
    return tmp_path / "data" / "labels.csv"


def csv_images(tmp_path: Path, path: Path, **keys):
    return load(tmp_path / "checkpoints", source="csv", options={"path": str(path)}, **keys)


def test_csv(tmp_path: Path) -> None:
    lines = [f"{name}/{n:02d}.png,{name if n < 5 else ''}" for name in ("blue", "red") for n in range(10)]
    images = csv_images(tmp_path, manifest(tmp_path, "\n".join(["path,label", *lines, ""])), labels="given")
    assert len(images.pool) + len(images.test) == 20 and len(images.given) + len(images.test) == 10
    assert images.classes == ("blue", "red")
    folder = folder_images(tmp_path / "checkpoints", tmp_path / "data")
    assert set(images.pool.ids + images.test.ids) < set(folder.pool.ids + folder.test.ids)


def test_csv_with_parts_byte_order_mark_spaces_and_quotes(tmp_path: Path) -> None:
    text = "\ufeffpath, label, split, note\n"
    for name in ("red", "blue"):
        text += "".join(f'"{name}/{n:02d}.png", "{name}, all",{"TEST" if n == 9 else ""},x\n' for n in range(10))
    images = csv_images(tmp_path, manifest(tmp_path, text))
    assert images.classes == ("blue, all", "red, all")
    assert (len(images.pool), len(images.test)) == (18, 2)


def test_csv_reports_all_problems_with_their_lines(tmp_path: Path) -> None:
    text = (
        "path,label,split\nred/00.png,red,train\nred/99.png,red,train\nred/01.png,rde,train\n,red,train\n"
        "blue/00.png,blue,val\nred/00.png,red,test\nblue/01.png,blue,test\n"
    )
    with pytest.raises(BadInput) as caught:
        csv_images(tmp_path, manifest(tmp_path, text), classes=["red", "blue"])
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("labels.csv: 5 problems")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [f"line {n}" for n in (3, 4, 5, 6, 7)]
    assert "red/99.png does not exist" in lines[1]
    assert "class 'rde' is not in data.classes; did you mean 'red'?" in lines[2]
    assert "path is empty" in lines[3]
    assert "'val' is neither train nor test" in lines[4]
    assert "stands in line 2 already" in lines[5]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file;label\na;b\n", "line 1: the column 'path' is missing"),
        ("", "line 1: the column 'path' is missing"),
        ("path,label\n", "names no image"),
        ("path,label\nred/00.png,red,extra\n", "line 2: 3 values, but the header names 2"),
    ],
)
def test_csv_that_is_no_manifest(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        csv_images(tmp_path, manifest(tmp_path, text))


def test_csv_names_the_lines_of_a_conflict(tmp_path: Path) -> None:
    path = manifest(tmp_path, "path,label\nred/00.png,red\nblue/00.png,blue\nred/copy.png,blue\n")
    (path.parent / "red" / "copy.png").write_bytes((path.parent / "red" / "00.png").read_bytes())
    with pytest.raises(BadInput, match=r"line 4: red/copy.png \(blue\) and line 2: red/00.png \(red\)"):
        csv_images(tmp_path, path)


def embedded(tmp_path: Path, path: Path, **keys):
    return load(tmp_path / "checkpoints", source="embeddings", options={"path": str(path)}, **keys)


def test_embeddings_with_a_manifest(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float64)
    ids = [f"{(number * 7919) % 50:016x}" for number in range(50)]
    np.save(tmp_path / "features.npy", rows)
    text = "".join(f"{id},photo {n}.jpg,{'ab'[n % 2]},{'test' if n >= 40 else 'train'}\n" for n, id in enumerate(ids))
    (tmp_path / "features.csv").write_text("id,path,label,split\n" + text)
    images = embedded(tmp_path, tmp_path / "features.npy")
    assert (len(images.pool), len(images.test), images.pool.shape) == (40, 10, (7,))
    assert images.pool.ids == tuple(sorted(ids[:40]))
    got = images.pool.fetch(torch.tensor([images.pool.row(ids[3])]))
    assert got.dtype == torch.float32 and np.array_equal(got[0].numpy(), rows[3].astype(np.float32))
    assert images.pool.paths[images.pool.row(ids[3])] == "photo 3.jpg" and images.hidden[ids[3]] == "b"
    assert torch.allclose(images.mean, torch.tensor(rows[:40].mean(0)).float(), atol=1e-6)
    assert "embeddings of 7 values" in images.summary()[0]


def test_embeddings_without_ids_get_the_hash_of_their_values(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    labels = np.arange(60) % 3
    labels[50:] = -1
    save_file({"features": rows, "labels": labels}, tmp_path / "one.safetensors")
    save_file({"features": rows[::-1].copy(), "labels": labels[::-1].copy()}, tmp_path / "other.safetensors")
    one, other = (embedded(tmp_path, tmp_path / f"{name}.safetensors", labels="given") for name in ("one", "other"))
    assert one.pool.ids == other.pool.ids and one.given == other.given
    assert torch.equal(one.pool.fetch(torch.arange(len(one.pool))), other.pool.fetch(torch.arange(len(one.pool))))
    assert len(one.given) + len(one.test) == 50 and one.classes == ("0", "1", "2")


def test_embeddings_that_cannot_be_used(tmp_path: Path) -> None:
    rows = np.zeros((3, 2), np.float32)
    rows[1, 0] = np.nan
    np.save(tmp_path / "nan.npy", rows)
    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.save(tmp_path / "short.npy", np.zeros((3, 2)))
    (tmp_path / "text.npy").write_text("no")
    (tmp_path / "short.csv").write_text("label\na\nb\n")
    save_file({"embedding": rows}, tmp_path / "names.safetensors")
    for name, says in {
        "nan.npy": "1 of 3 rows hold values that are not finite",
        "flat.npy": "expected floats in rows of one length",
        "short.npy": "one line for each of 3 rows of features, got 2",
        "text.npy": "expected a .npy or .safetensors file",
        "names.safetensors": "expected a tensor named features, got",
    }.items():
        with pytest.raises(BadInput, match=says):
            embedded(tmp_path, tmp_path / name)
    (tmp_path / "short.csv").write_text("id,label\n0123456789abcdef,a\nIMG_1,b\n0123456789abcdef,a\n")
    with pytest.raises(BadInput, match=r"2 problems\n  line 3: id 'IMG_1' is not 16.*\n  line 4: .* line 2 already"):
        embedded(tmp_path, tmp_path / "short.npy")


def arrays(count: int, seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def test_cifar10_and_cifar100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The files as torchvision keeps them, with few images; their checksums are of course others.
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *args: True)
    for name, key, batches in (
        ("cifar-10-batches-py", "labels", [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]),
        ("cifar-100-python", "fine_labels", ["train", "test"]),
    ):
        (tmp_path / name).mkdir()
        for seed, batch in enumerate(batches):
            content = {"data": arrays(10, seed, 3072), key: list(range(10))}
            (tmp_path / name / batch).write_bytes(pickle.dumps(content))
        names = [f"class {letter}" for letter in "abcdefghij"]
        meta = "batches.meta" if "10-" in name else "meta"
        label_key = "label_names" if meta == "batches.meta" else "fine_label_names"
        (tmp_path / name / meta).write_bytes(pickle.dumps({label_key: names}))
    for source, train in (("cifar10", 50), ("cifar100", 10)):
        images = load(tmp_path / "checkpoints", source=source, options={"root": str(tmp_path)})
        assert (len(images.pool), len(images.test), images.pool.shape) == (train, 10, (3, 32, 32))
        assert images.classes[0] == "class a"
    original = datasets.CIFAR100(tmp_path, train=False)
    image, label = original[4]
    row = images.test_labels.index(original.classes[label])
    assert np.array_equal(images.test.fetch(torch.tensor([row]))[0].numpy(), np.asarray(image).transpose(2, 0, 1))


def test_svhn_stl10_and_fashion_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.STL10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)
    for part, seed in (("train", 0), ("test", 1)):
        labels = np.arange(12) % 10 + 1  # 10 stands for 0 in the file
        savemat(tmp_path / f"{part}_32x32.mat", {"X": arrays(32, seed, 32, 3, 12), "y": labels[:, None]})
    (tmp_path / "stl10_binary").mkdir()
    for part, seed in (("train", 2), ("test", 3), ("unlabeled", 4)):
        arrays(12, seed, 3, 96, 96).tofile(tmp_path / "stl10_binary" / f"{part}_X.bin")
        (np.arange(12) % 10 + 1).astype(np.uint8).tofile(tmp_path / "stl10_binary" / f"{part}_y.bin")
    names = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
    (tmp_path / "stl10_binary" / "class_names.txt").write_text("\n".join(names))
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, seed in (("train", 5), ("t10k", 6)):
        header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (20, 28, 28))
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + arrays(20, seed, 28, 28).tobytes())
        labels = b"\0\0\x08\x01" + (20).to_bytes(4, "big") + bytes(range(10)) * 2
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    for source, pool, test, side, labelled in (
        ("svhn", 12, 12, 32, 12), ("stl10", 24, 12, 96, 12), ("fashion_mnist", 20, 20, 28, 20)
    ):  # fmt: skip
        images = load(tmp_path / "checkpoints", source=source, options={"root": str(tmp_path)})
        assert (len(images.pool), len(images.test), images.pool.shape) == (pool, test, (3, side, side)), source
        assert len(images.classes) == 10 and len(images.hidden) == labelled
    stl10 = load(tmp_path / "checkpoints", source="stl10", options={"root": str(tmp_path)})
    image, label = datasets.STL10(tmp_path, split="test")[3]
    row = stl10.test.paths.index("stl10/test/000003")
    assert np.array_equal(stl10.test.fetch(torch.tensor([row]))[0].numpy(), np.asarray(image).transpose(2, 0, 1))
    assert stl10.test_labels[row] == names[label]


@pytest.mark.parametrize("source", ["cifar10", "cifar100", "svhn", "stl10", "fashion_mnist"])
def test_torchvision_sets_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    with pytest.raises(BadInput, match=rf"holds no {source}; type data.download=true"):
        load(tmp_path / "checkpoints", source=source, options={"root": str(tmp_path / "none")})
    assert not (tmp_path / "none").exists()

    def offline(*args, **kwargs):
        raise OSError("Temporary failure in name resolution")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(BadInput, match=rf"data.download: {source} could not be fetched .* copy the files"):
        load(tmp_path / "checkpoints", source=source, options={"root": str(tmp_path / "none"), "download": True})


@pytest.mark.parametrize(
    ("paths", "classes", "unlabelled"),
    [
        (["bus/1.png", "bus/2.png", "train/1.png", "train/2.png"], ("bus", "train"), 0),
        (["outer/cat/1.png", "outer/dog/1.png", "outer/dog/2.png", "outer/3.png"], ("cat", "dog"), 1),
        (["train/cat/1.png", "train/dog/1.png", "train/dog/more/2.png"], ("cat", "dog"), 0),
        (["a/b/train/cat/1.png", "a/b/train/dog/1.png", "a/b/train/dog/2.png"], ("cat", "dog"), 0),
        (["cat/1.png", "dog/1.png", "unlabeled/2.png", "unlabeled/3.png"], ("cat", "dog"), 2),
    ],
)
def test_folder_layouts(tmp_path: Path, paths: list[str], classes: tuple[str, ...], unlabelled: int) -> None:
    for number, path in enumerate(paths):
        save(picture(number), tmp_path / "data" / path)
    images = folder_images(tmp_path / "checkpoints", tmp_path / "data", labels="given", test_fraction=1e-9)
    assert images.classes == classes
    assert (len(images.pool), len(images.given)) == (len(paths), len(paths) - unlabelled)
