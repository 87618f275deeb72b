"""Pictures in a terminal with colours: each character is two pixels, one above the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.text import Text

Frame = NDArray[np.uint8]
"""(row, col, rgb)"""

_BETWEEN = "  "


def shrunk(frame: Frame, width: int) -> Frame:
    """The frame at `width` pixels, its shape kept, with an even number of rows."""
    rows = max(2, 2 * round(frame.shape[0] * width / frame.shape[1] / 2))
    return np.asarray(Image.fromarray(frame).resize((width, rows), Image.Resampling.BOX))


def strip(frames: Sequence[Frame], labels: Sequence[str], width: int) -> Text:
    """Frames beside one another, each `width` characters wide, under their labels."""
    small = [shrunk(frame, width) for frame in frames]
    text = Text(_BETWEEN.join(f"{label:<{width}}" for label in labels).rstrip(), no_wrap=True)
    for row in range(0, len(small[0]), 2):
        text.append("\n")
        for place, frame in enumerate(small):
            if place:
                text.append(_BETWEEN)
            for upper, lower in zip(frame[row], frame[row + 1], strict=True):
                text.append("▀", style=f"{_rgb(upper)} on {_rgb(lower)}")
    return text


def _rgb(pixel: NDArray[np.uint8]) -> str:
    red, green, blue = pixel.tolist()
    return f"rgb({red},{green},{blue})"
