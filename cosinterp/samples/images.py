"""First images: checked when a dataset is read, decoded when they are needed, and not kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cosinterp.errors import SampleError

_Stamp = tuple[int, int]
"""Size in bytes and time of the last change, in ns: another stamp is another content."""

# What the parts of a PNG are called that can say which side of it is up.
_PNG_ORIENTATIONS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")


@dataclass(frozen=True)
class ImageFile:
    """An image on the disk, known to be whole.

    ``size`` is (width, height) in pixels, of the image as it is to be looked at.
    """

    path: Path
    size: tuple[int, int]
    stamp: _Stamp

    @classmethod
    def check(cls, path: Path) -> ImageFile:
        """The image file ``path``, read to its end without keeping what it holds.

        A PNG is only checked against its checksums, which takes a twentieth of the time of decoding it or
        less.

        Raises:
            SampleError: there is no such file, it is no whole image, or its pixels have no known range.
        """
        with _named(path):
            stamp = _stamp(path)
            return cls(path, _checked_size(path), stamp)

    def read(self) -> Image.Image:
        """The image as RGB. The two read last are at hand still, and no more.

        Raises:
            SampleError: the file is gone, or is another than the one that was checked.
        """
        with _named(self.path):
            changed = _stamp(self.path) != self.stamp
        if changed:
            raise SampleError(f"{self.path}: has changed since the dataset was read; start again")
        return _decoded(self.path, self.stamp)


def read_image(path: Path) -> Image.Image:
    """An image file as RGB, turned as its EXIF orientation says, as diffusers' ``load_image`` does.

    Raises:
        SampleError: there is no such file, it is no image, or its pixels have no known range.
    """
    with _named(path), Image.open(path) as image:
        _check_range(path, image)
        return _as_rgb(ImageOps.exif_transpose(image))


def _checked_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        _check_range(path, image)
        if image.format != "PNG":
            return ImageOps.exif_transpose(image).size
        size = image.size
        image.verify()
    content = path.read_bytes()
    if any(name in content for name in _PNG_ORIENTATIONS):
        # An orientation may stand behind the pixels, so these have to be decoded.
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).size
    return size


def _check_range(path: Path, image: Image.Image) -> None:
    if image.mode in ("I", "F"):
        raise SampleError(f"{path}: has pixels of 32 bits; save it with 8 or 16")


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would cut off all above 255.
        grey = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    return image.convert("RGB")


@lru_cache(maxsize=2)
def _decoded(path: Path, stamp: _Stamp) -> Image.Image:
    # What plans and records a run asks for its image several times over.
    del stamp
    return read_image(path)


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what goes wrong with an image file into one line that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise SampleError(f"{path}: no such image") from error
    except IsADirectoryError as error:
        raise SampleError(f"{path}: is a folder; name an image") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SampleError(f"{path}: cannot be read as an image") from error
