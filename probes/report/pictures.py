"""Figures as part of a page: each an address that holds the picture itself, with its words beside it.

A picture in an address is a document of its own, so ids of one never meet those of another, and no style of
the page reaches into it. Lines and texts stay sharp (SVG, texts as outlines) unless that takes too much room;
then the picture is made of pixels.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probes.figures.drawing import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUDGET = 30_000_000
"""Bytes that all pictures of a page may take together, so that it can be sent by mail."""
MOST, LEAST = 400_000, 60_000
"""Bytes that one picture may take: at most, and however many there are."""
RESOLUTIONS = (200, 150, 110, 80)
_BROAD = 620
"""CSS pixels from which a picture is not read at half the width of a page."""
_CSS_DPI, _POINTS = 96, 72
# matplotlib gives the size of an SVG in points.
_SVG_SIZE = re.compile(rb'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"')
_MOST_WORDS = 900


@dataclass(frozen=True)
class Picture:
    """A figure of a page.

    Attributes:
        name: of the figure.
        address: a ``data:`` URI.
        alt: what it shows, in the figure's own words.
        width, height: in CSS pixels.
    """

    name: str
    address: str
    alt: str
    width: int
    height: int

    @property
    def is_broad(self) -> bool:
        """Whether it takes the whole width of a page."""
        return self.width > _BROAD


def side_by_side(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures in the order of a page: a narrow one is followed by the next narrow one, if any."""
    left, placed = list(pictures), []
    while left:
        placed.append(left.pop(0))
        beside = next((picture for picture in left if not picture.is_broad), None)
        if not placed[-1].is_broad and beside is not None:
            left.remove(beside)
            placed.append(beside)
    return placed


def room_for(pictures: int) -> int:
    """Bytes that each of so many pictures may take."""
    return max(LEAST, min(MOST, BUDGET // max(1, pictures)))


def inlined(name: str, figure: Figure, room: int) -> Picture:
    """A figure as a picture of at most ``room`` bytes, if one of `RESOLUTIONS` makes it so small."""
    alt = words_of(figure) or name
    vector = drawn(figure, "svg", outlines=True)
    if _encoded(vector) <= room:
        across, down = (float(side) for side in _SVG_SIZE.search(vector).groups())  # type: ignore[union-attr]
        return _picture(name, "svg+xml", vector, alt, across * _CSS_DPI / _POINTS, down * _CSS_DPI / _POINTS)
    pixels, dpi = b"", RESOLUTIONS[-1]
    for dpi in RESOLUTIONS:
        pixels = drawn(figure, "png", dpi=dpi)
        if _encoded(pixels) <= room:
            break
    across, down = struct.unpack(">II", pixels[16:24])
    return _picture(name, "png", pixels, alt, across * _CSS_DPI / dpi, down * _CSS_DPI / dpi)


def words_of(figure: Figure) -> str:
    """What a figure says: its title, those of its panels, and its caption."""
    texts = [text.get_text() for text in figure.texts]
    titles = [text for axes in figure.axes for text in (axes.get_title("left"), axes.get_title())]
    ordered = (figure.get_suptitle(), *texts[:-1], *titles, *texts[-1:])
    said = dict.fromkeys(" ".join(text.split()) for text in ordered)
    sentences = (text if text[-1] in ".:!?" else f"{text}." for text in said if text)
    whole = " ".join(sentences)
    return whole if len(whole) <= _MOST_WORDS else f"{whole[: _MOST_WORDS - 4].rsplit(' ', 1)[0]} ..."


def _encoded(content: bytes) -> int:
    return 4 * -(-len(content) // 3)


def _picture(name: str, kind: str, content: bytes, alt: str, width: float, height: float) -> Picture:
    address = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return Picture(name, address, alt, round(width), round(height))
