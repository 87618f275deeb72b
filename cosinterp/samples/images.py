"""First images: checked when a dataset is read, decoded when they are needed, and not kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from cosinterp.errors import SampleError

_Stamp = tuple[int, int]
"""Size in bytes and time of the last change, in ns: another stamp is another content."""


@dataclass(frozen=True)
class ImageFile:
    """An image on the disk, known to be whole.

    ``size`` is (width, height) in pixels.
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
            SampleError: there is no such file, or it is no whole image.
        """
        with _named(path):
            stamp = _stamp(path)
            with Image.open(path) as image:
                size = image.size
                if image.format == "PNG":
                    image.verify()
                else:
                    image.load()
        return cls(path, size, stamp)

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
    """An image file as RGB.

    Raises:
        SampleError: there is no such file, or it is no image.
    """
    with _named(path), Image.open(path) as image:
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
