"""What people are shown: pictures made from files as they come, under names that no other image ever has."""

from __future__ import annotations

import io
import threading
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin, PngImagePlugin

from ssal.data import decode
from ssal.data.decode import within
from ssal.handout import LARGEST, THREADS, _picture


def drawn(width: int, height: int) -> Image.Image:
    rough = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)


def saved(picture: Image.Image, kind: str, **more: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **more)
    return file.getvalue()


@pytest.mark.parametrize(("turned", "size"), [(1, (1600, 1200)), (6, (1200, 1600))])
def test_a_large_jpeg_is_never_there_at_full_size(
    monkeypatch: pytest.MonkeyPatch, turned: int, size: tuple[int, int]
) -> None:
    loaded: list[tuple[int, int]] = []
    load = JpegImagePlugin.JpegImageFile.load
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", lambda self: (loaded.append(self.size), load(self))[1])
    exif = Image.Exif()
    exif[0x0112] = turned
    picture = drawn(8000, 6000)
    found = within(saved(picture, "JPEG", quality=90, exif=exif), LARGEST)
    assert found.size == size and set(loaded) == {(2000, 1500)}
    upright = picture.resize((1600, 1200)) if turned == 1 else picture.resize((1600, 1200)).rotate(-90, expand=True)
    assert np.abs(np.asarray(found, np.int16) - np.asarray(upright, np.int16)).mean() < 2


def test_a_long_narrow_jpeg_is_shown_as_fine_as_any() -> None:
    assert within(saved(drawn(6400, 200), "JPEG"), LARGEST).size == (1600, 50)


def test_of_large_images_of_other_formats_one_is_decoded_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "LARGE", 10_000)
    at_once, most = set[int](), list[int]()
    load = PngImagePlugin.PngImageFile.load

    def slowly(self: Any) -> Any:
        at_once.add(threading.get_ident())
        most.append(len(at_once))
        time.sleep(0.02)
        at_once.remove(threading.get_ident())
        return load(self)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", slowly)
    for side, together in ((50, range(2, THREADS + 1)), (200, range(1, 2))):
        most.clear()
        threads = [threading.Thread(target=within, args=(saved(drawn(side, side), "PNG"), 40)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert max(most) in together


def test_an_image_that_is_gone_by_now_is_a_grey_square() -> None:
    def read(id: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory", id)

    assert _picture(read, "gone", LARGEST).getcolors() == [(256 * 256, (128, 128, 128))]
