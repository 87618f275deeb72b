"""Sixel, a line of cells at a time, so that what covers a line, or scrolls it away, takes only that."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tui.pictures.half_cells import Frame

_COLOURS = 256


def rows(picture: Frame, cell_height: int) -> tuple[str, ...]:
    """Each line of cells of a picture (row, col, rgb) as sixels; a whole number of lines high."""
    # textual-image's renderables ask the terminal when they are imported; its encoder does not.
    from textual_image._sixel import image_to_sixels

    image = _with_palette(picture)
    # One palette for all lines, so that a colour is the same in each.
    return tuple(
        image_to_sixels(image.crop((0, top, picture.shape[1], top + cell_height)))
        for top in range(0, picture.shape[0], cell_height)
    )


def _with_palette(picture: Frame) -> Image.Image:
    """The picture in 256 colours: its own, if it has no more."""
    image = Image.fromarray(picture)
    found = image.getcolors(_COLOURS)
    if found is None:
        return image.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    wide = picture.astype(np.uint32)
    packed = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    colours, places = np.unique(packed, return_inverse=True)
    own = Image.fromarray(places.reshape(packed.shape).astype(np.uint8), "P")
    own.putpalette(
        np.stack([colours >> 16, colours >> 8 & 255, colours & 255], -1).astype(np.uint8).tobytes()
    )
    return own
