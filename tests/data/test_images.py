from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import class_folders, folder_images, picture, save
from PIL import Image

from ssal.data.decode import Unreadable, decode, upright_size
from ssal.data.images import ImageSet
from ssal.errors import BadInput


def encoded(image: Image.Image, format: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **how)
    return buffer.getvalue()


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("format", "how", "apart"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 15),
        ("JPEG", {"quality": 98, "subsampling": 0}, 2),
    ],
)
def test_every_format(format: str, how: dict[str, object], apart: int) -> None:
    image = picture(3, (100, 150, 200), (20, 16))
    got = decode(encoded(image, format, **how), None)
    assert got.shape == (3, 16, 20)
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - pixels(image)).mean() <= apart


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_undone(orientation: int, format: str) -> None:
    upright = picture(1, size=(20, 14))
    # What a camera held that way stores: the inverse of the turn that a viewer makes.
    turn = Image.Transpose
    stored = {
        1: None, 2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE,
        6: turn.ROTATE_90, 7: turn.TRANSVERSE, 8: turn.ROTATE_270,
    }[orientation]  # fmt: skip
    image = upright if stored is None else upright.transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    assert np.array_equal(decode(content, None), pixels(upright))
    assert upright_size(content) == (14, 20)


def test_grey_becomes_three_equal_channels() -> None:
    grey = picture(2).convert("L")
    for content in (encoded(grey, "PNG"), np.asarray(grey)):
        got = decode(content, None)
        assert np.array_equal(got, np.stack([np.asarray(grey)] * 3))


def test_black_and_white() -> None:
    image = Image.fromarray(np.eye(8, dtype=bool))
    assert np.array_equal(decode(encoded(image, "PNG"), None)[0], np.eye(8) * 255)


def test_palette() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert decode(encoded(image, "PNG"), None)[:, 0, 0].tolist() == [10, 20, 30]


def test_transparent_pixels_lie_over_white() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(200, 0, 0, 255), (0, 0, 0, 0), (0, 100, 200, 51)])
    got = decode(encoded(image, "PNG"), None)[:, 0]
    # 51/255 = 0.2 of the colour, 0.8 of white.
    assert got.T.tolist() == [[200, 0, 0], [255, 255, 255], [204, 224, 244]]
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    assert decode(encoded(palette, "PNG", transparency=0), None).min() == 255


def test_sixteen_bit_grey_keeps_its_high_byte() -> None:
    values = np.array([[0, 255, 256, 32767, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(values), "PNG"), None)[0, 0].tolist() == [0, 0, 1, 127, 255]


def test_cmyk_jpeg() -> None:
    red = Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK")
    assert np.abs(decode(encoded(red, "JPEG", quality=95), None)[:, 8, 8].astype(int) - [250, 10, 10]).max() < 12


def test_size_takes_the_centre_square() -> None:
    wide = Image.new("RGB", (40, 20), (255, 0, 0))
    wide.paste((0, 0, 255), (12, 0, 28, 20))
    got = decode(encoded(wide, "PNG"), 10)
    assert got.shape == (3, 10, 10)
    # Columns 10 … 29 of 40 are the centre: 2 red, 16 blue, 2 red; halved that is 1, 8, 1.
    assert (got[2, :, 2:8] == 255).all() and (got[0, :, 0] > 150).all() and (got[0, :, 9] > 150).all()
    same = picture(5, size=(24, 24))
    expected = same.resize((10, 10), Image.Resampling.BICUBIC)
    assert np.array_equal(decode(encoded(same, "PNG"), 10), pixels(expected))
    assert decode(encoded(same, "PNG"), 60).shape == (3, 60, 60)


def test_a_large_jpeg_is_shrunk_as_a_full_decode_would() -> None:
    ramp = np.add.outer(np.arange(800), np.arange(1200)) // 8
    image = Image.fromarray(np.stack([ramp, 255 - ramp, ramp // 2], 2).astype(np.uint8))
    content = encoded(image, "JPEG", quality=95)
    got = decode(content, 50).astype(int)
    full = Image.open(io.BytesIO(content)).resize((50, 50), Image.Resampling.BICUBIC, box=(200, 0, 1000, 800))
    assert np.abs(got - pixels(full)).max() <= 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not an image at all", "no image that can be read"),
        (encoded(picture(1, size=(64, 64)), "JPEG")[:900], "truncated"),
        (encoded(picture(1, size=(64, 64)), "PNG")[:900], "truncated"),
        (encoded(picture(1), "GIF"), "no image that can be read"),
        (encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "32 bits"),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(content, None)


def test_a_decompression_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(Image.new("L", (300, 300)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Unreadable, match="more pixels than are safe"):
        decode(content, 8)


def test_rows_ids_and_places() -> None:
    pixels = torch.arange(4 * 3 * 2 * 2, dtype=torch.uint8).view(4, 3, 2, 2)
    images = ImageSet(["aaaa", "bbbb", "cccc"], ["x", "y", "z"], pixels, torch.tensor([3, 0, 2]))
    assert (len(images), images.shape, images.row("bbbb")) == (3, (3, 2, 2), 1)
    assert "bbbb" in images and "dddd" not in images
    assert torch.equal(images.fetch(torch.tensor([2, 0, 0])), pixels[[2, 3, 3]])
    with pytest.raises(BadInput, match="'bbbc'; did you mean 'bbbb'"):
        images.row("bbbc")
    with pytest.raises(ValueError, match="sorted"):
        ImageSet(["bb", "aa"], ["x", "y"], pixels)
    with pytest.raises(IndexError):
        images.fetch(torch.tensor([3]))


def test_moving_takes_only_the_own_rows() -> None:
    pixels = torch.arange(5 * 12, dtype=torch.uint8).view(5, 3, 2, 2)
    images = ImageSet(["aa", "bb"], ["x", "y"], pixels, torch.tensor([4, 1]))
    assert images.to("cpu") is images
    moved = images.to("meta")
    assert moved.device.type == "meta" and moved.fetch(torch.tensor([1, 0, 1])).shape == (3, 3, 2, 2)


@pytest.mark.gpu
def test_moving_to_a_gpu_changes_no_pixel(tmp_path: Path) -> None:
    images = folder_images(tmp_path / "checkpoints", class_folders(tmp_path / "data"))
    moved = images.to("cuda")
    rows = torch.tensor([3, 1, 7, 3])
    assert moved.pool.fetch(rows).is_cuda
    assert torch.equal(moved.pool.fetch(rows.cuda()).cpu(), images.pool.fetch(rows))
    assert moved.pool.ids == images.pool.ids


@pytest.mark.parametrize("size", [None, 8])
def test_lazy_batches_equal_resident_batches(tmp_path: Path, size: int | None) -> None:
    source = class_folders(tmp_path / "data")
    resident = folder_images(tmp_path / "checkpoints", source, size=size)
    lazy = folder_images(tmp_path / "checkpoints", source, size=size, resident_limit_gib=0.0, workers=3)
    assert (resident.pool.resident, lazy.pool.resident) == (True, False)
    assert (resident.pool.ids, resident.test.ids) == (lazy.pool.ids, lazy.test.ids)
    assert torch.equal(resident.mean, lazy.mean) and torch.equal(resident.std, lazy.std)
    batches = list(torch.randperm(len(lazy.pool), generator=torch.Generator().manual_seed(0)).split(4))
    batches.append(torch.tensor([], dtype=torch.long))
    for one, other in zip(resident.pool.stream(batches), lazy.pool.stream(batches), strict=True):
        assert torch.equal(one, other)
    rows = torch.arange(len(lazy.test))
    assert torch.equal(resident.test.fetch(rows), lazy.test.fetch(rows))
    assert lazy.to("meta").pool.device.type == "cpu"


def test_lazy_streams_may_be_left_early_and_run_side_by_side(tmp_path: Path) -> None:
    pool = folder_images(tmp_path / "checkpoints", class_folders(tmp_path / "data"), resident_limit_gib=0.0).pool
    batches = torch.arange(len(pool)).split(2)
    first = next(iter(pool.stream(batches)))
    for one, other in zip(pool.stream(batches), pool.stream(batches), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(first, pool.fetch(batches[0]))


def test_lazy_batches_are_decoded_ahead(tmp_path: Path) -> None:
    pool = folder_images(tmp_path / "checkpoints", class_folders(tmp_path / "data"), resident_limit_gib=0.0).pool
    taken = []

    def batches():
        for rows in torch.arange(len(pool)).split(2):
            taken.append(rows)
            yield rows

    stream = pool.stream(batches())
    next(stream)
    assert len(taken) == 3


def test_a_lazy_image_that_vanishes_is_named(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    pool = folder_images(tmp_path / "checkpoints", source, resident_limit_gib=0.0).pool
    (source / pool.paths[0]).unlink()
    with pytest.raises(BadInput, match=f"{pool.paths[0]}: could be read when the run began"):
        pool.fetch(torch.tensor([0]))
    save(picture(1, size=(9, 12)), source / pool.paths[1])
    with pytest.raises(BadInput, match="its size is now 12×9"):
        pool.fetch(torch.tensor([1]))


def test_statistics_are_those_of_the_pool(tmp_path: Path) -> None:
    images = folder_images(tmp_path / "checkpoints", class_folders(tmp_path / "data"))
    every = images.pool.fetch(torch.arange(len(images.pool))).double() / 255
    assert torch.allclose(images.mean.double(), every.mean((0, 2, 3)))
    assert torch.allclose(images.std.double(), every.std((0, 2, 3), correction=0))
