"""The sample itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, overload

from PIL import Image

from cosinterp.samples.images import ImageFile
from cosinterp.samples.videos import Video

Truth = dict[str, Any]
"""What is known of a sample, by name: arrays on the token grid, numbers or texts."""


class _ImageField:
    """The field ``Sample.image``: given an `ImageFile`, it decodes the file whenever it is asked for."""

    @overload
    def __get__(self, sample: None, owner: type[Sample]) -> None: ...
    @overload
    def __get__(self, sample: Sample, owner: type[Sample]) -> Image.Image | None: ...
    def __get__(self, sample: Sample | None, owner: type[Sample]) -> Image.Image | None:
        if sample is None:
            # What a dataclass takes for the default.
            return None
        held = _held(sample)
        return held.read() if isinstance(held, ImageFile) else held

    def __set__(self, sample: Sample, value: Image.Image | ImageFile | None) -> None:
        sample.__dict__[_HELD] = value


_HELD = "_image"


def _held(sample: Sample) -> Image.Image | ImageFile | None:
    return sample.__dict__[_HELD]


@dataclass(frozen=True, repr=False)
class Sample:
    """What is generated from.

    Attributes:
        name: what it is called in a store.
        prompt: the text.
        image: the first image, if there is one. That of a dataset is read from the disk each time, so that
            the images of all samples are never in memory together; `has_image` and `image_size` cost nothing.
        videos: what some pipelines take besides, by name; see `cosinterp.samples.videos`.
        truth: arrays on the token grid, numbers or texts.
        height, width, num_frames: the sample's own size (pixels), if it has one.
        metadata: whatever else is known, JSON-able.
    """

    name: str
    prompt: str
    image: _ImageField = _ImageField()
    truth: Truth = field(default_factory=dict)
    height: int | None = None
    width: int | None = None
    num_frames: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    videos: Mapping[str, Video] = field(default_factory=dict)

    @property
    def has_image(self) -> bool:
        """Whether there is a first image."""
        return _held(self) is not None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(width, height) of the first image in pixels; None without one."""
        held = _held(self)
        return None if held is None else held.size

    def __repr__(self) -> str:
        size = "" if self.image_size is None else ", image of {}x{} px".format(*self.image_size)
        return f"<Sample {self.name}: {self.prompt!r}{size}>"
