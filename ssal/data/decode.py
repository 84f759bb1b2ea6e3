"""One image file or array to uint8 RGB pixels: upright, over white, resized; the same whoever asks."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ssal.data.listing import Content

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""What Pillow may open."""

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

LARGE = 12_000_000
"""Pixels; while an image is turned upright and laid over white it is in memory up to four times, in four bytes each."""
_one_at_a_time = threading.Lock()

# Plugins register on first use otherwise, which two threads may do at once.
Image.init()


class Unreadable(Exception):
    """This content is no image that can be used; the message is the reason."""


def decode(content: Content, size: int | None) -> NDArray[np.uint8]:
    """Return pixels (3, height, width); with `size` the centre square, resized to size × size (bicubic, antialiased).

    Orientation follows EXIF, transparent pixels lie over white, 16-bit grey keeps its high byte, of several frames
    the first counts. Raises Unreadable.
    """
    with _readable():
        image = _open(content)
        if size is not None:
            # JPEG only: decoding at 1/2, 1/4 or 1/8 is several times faster and still at least twice as fine as needed.
            image.draft(None, (2 * size, 2 * size))
        image = _plain(ImageOps.exif_transpose(image))
        if size is not None and image.size != (size, size):
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            box = (left, top, left + side, top + side)
            image = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    array = np.asarray(image)
    if array.ndim == 2:
        return np.repeat(array[None], 3, axis=0)
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def upright_size(content: Content) -> tuple[int, int]:
    """Return (height, width) as `decode` would, from the header alone. Raises Unreadable."""
    with _readable():
        image = _open(content)
        if image.format == "TIFF":  # whether its size at this point is upright differs between versions of Pillow
            image = ImageOps.exif_transpose(image)
            return (image.height, image.width)
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return (image.width, image.height) if turned else (image.height, image.width)


def within(content: Content, longest: int) -> Image.Image:
    """Return the whole image in RGB, as `decode` takes it, at most `longest` pixels wide and high. Raises Unreadable.

    Threads that call it hold little together: a JPEG is decoded at less than twice what is needed, and of other files
    of more than LARGE pixels one at a time.
    """
    with _readable():
        image = _open(content)
        share = min(1.0, longest / max(image.size))
        least = (max(1, round(share * image.width)), max(1, round(share * image.height)))
        image.draft(None, least)
        with _one_at_a_time if image.width * image.height > LARGE else nullcontext():
            image = _plain(ImageOps.exif_transpose(image))
            image.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=3.0)
            return image.convert("RGB")


@contextmanager
def _readable() -> Iterator[None]:
    """Raise Unreadable for whatever the block finds wrong with an image."""
    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # damaged files make the decoders raise almost anything
        raise Unreadable(_reason(error)) from error


def _open(content: Content) -> Image.Image:
    if isinstance(content, bytes):
        if not content:
            raise Unreadable("the file is empty")
        return Image.open(io.BytesIO(content), formats=FORMATS)
    return Image.fromarray(content)


def _plain(image: Image.Image) -> Image.Image:
    """Return `image` as mode L or RGB."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise Unreadable("32 bits per pixel have no agreed range: save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no image that can be read (JPEG, PNG, WebP, BMP or TIFF)"
    if isinstance(error, Image.DecompressionBombError):
        return f"more pixels than are safe to decode ({2 * (Image.MAX_IMAGE_PIXELS or 0):,})"
    return f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else f"{error}" or type(error).__name__
