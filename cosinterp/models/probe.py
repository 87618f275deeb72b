"""A sample to try a model on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cosinterp.samples import Sample, VideoFrames

if TYPE_CHECKING:
    from cosinterp.models.model import Model


def probe_sample(model: Model) -> Sample:
    """A made-up sample of a small size that the model takes."""
    geometry, classes = model.anatomy.geometry, model.anatomy.classes
    size = geometry.smallest()
    takes_size = model.anatomy.size_of_image is None
    rows, cols = np.mgrid[0 : size.height, 0 : size.width]
    pixels = np.stack(
        [rows * 255 // size.height, cols * 255 // size.width, (rows * cols) % 256], axis=-1
    ).astype(np.uint8)
    return Sample(
        name="probe",
        prompt="a red ball rolls down a hill" if classes is None else next(iter(classes)),
        image=None if model.anatomy.image == "none" else Image.fromarray(pixels),
        height=size.height if takes_size else None,
        width=size.width if takes_size else None,
        num_frames=None if geometry.is_image else size.num_frames,
        videos={name: _moving(pixels, size.num_frames) for name in model.anatomy.videos},
    )


def _moving(pixels: np.ndarray, num_frames: int) -> VideoFrames:
    return VideoFrames(np.stack([np.roll(pixels, 4 * frame, axis=1) for frame in range(num_frames)]))
