"""Kitty's graphics protocol, by placeholders: a picture is sent once, and is then shown by characters.

The characters are text like any other: what covers them covers the picture, and when they scroll away or are
written over, nothing of it is left. https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders
"""

from __future__ import annotations

import io
import secrets
from base64 import b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.color import Color, ColorSystem
from rich.style import Style

if TYPE_CHECKING:
    from tui.pictures.half_cells import Frame
    from tui.widgets.canvas import Line

_PLACEHOLDER = "\U0010eeee"
_CHUNK = 4096
_EFFORT = 4
# Of the protocol's rowcolumn-diacritics.txt; the place of a mark is the row, or the column, that it names.
_MARKS = tuple(
    chr(code)
    for first, last in (
        *((0x0305, 0x0305), (0x030D, 0x030E), (0x0310, 0x0310), (0x0312, 0x0312), (0x033D, 0x033F)),
        *((0x0346, 0x0346), (0x034A, 0x034C), (0x0350, 0x0352), (0x0357, 0x0357), (0x035B, 0x035B)),
        *((0x0363, 0x036F), (0x0483, 0x0487), (0x0592, 0x0595), (0x0597, 0x0599), (0x059C, 0x05A1)),
        *((0x05A8, 0x05A9), (0x05AB, 0x05AC), (0x05AF, 0x05AF), (0x05C4, 0x05C4), (0x0610, 0x0617)),
        *((0x0657, 0x065B), (0x065D, 0x065E), (0x06D6, 0x06DC), (0x06DF, 0x06E2), (0x06E4, 0x06E4)),
        *((0x06E7, 0x06E8), (0x06EB, 0x06EC), (0x0730, 0x0730), (0x0732, 0x0733), (0x0735, 0x0736)),
        *((0x073A, 0x073A), (0x073D, 0x073D), (0x073F, 0x0741), (0x0743, 0x0743), (0x0745, 0x0745)),
        *((0x0747, 0x0747), (0x0749, 0x074A), (0x07EB, 0x07F1), (0x07F3, 0x07F3), (0x0816, 0x0819)),
        *((0x081B, 0x0823), (0x0825, 0x0827), (0x0829, 0x082D), (0x0951, 0x0951), (0x0953, 0x0954)),
        *((0x0F82, 0x0F83), (0x0F86, 0x0F87), (0x135D, 0x135F), (0x17DD, 0x17DD), (0x193A, 0x193A)),
        *((0x1A17, 0x1A17), (0x1A75, 0x1A7C), (0x1B6B, 0x1B6B), (0x1B6D, 0x1B73), (0x1CD0, 0x1CD2)),
        *((0x1CDA, 0x1CDB), (0x1CE0, 0x1CE0), (0x1DC0, 0x1DC1), (0x1DC3, 0x1DC9), (0x1DCB, 0x1DCC)),
        *((0x1DD1, 0x1DE6), (0x1DFE, 0x1DFE), (0x20D0, 0x20D1), (0x20D4, 0x20D7), (0x20DB, 0x20DC)),
        *((0x20E1, 0x20E1), (0x20E7, 0x20E7), (0x20E9, 0x20E9), (0x20F0, 0x20F0), (0x2CEF, 0x2CF1)),
        *((0x2DE0, 0x2DFF), (0xA66F, 0xA66F), (0xA67C, 0xA67D), (0xA6F0, 0xA6F1), (0xA8E0, 0xA8F1)),
        *((0xAAB0, 0xAAB0), (0xAAB2, 0xAAB3), (0xAAB7, 0xAAB8), (0xAABE, 0xAABF), (0xAAC1, 0xAAC1)),
        *((0xFE20, 0xFE26), (0x10A0F, 0x10A0F), (0x10A38, 0x10A38), (0x1D185, 0x1D189)),
        *((0x1D1AA, 0x1D1AD), (0x1D242, 0x1D244)),
    )
    for code in range(first, last + 1)
)
MOST_CELLS = len(_MARKS)
"""Columns, and lines, that a picture may take."""


def numbers(colours: ColorSystem) -> Iterator[tuple[int, Color]]:
    """Numbers for pictures, and the colour that names each of them to the terminal, over and over.

    Where the terminal is sent 24 bits of colour a number has as many; where it is sent one of 256 colours, it
    is the number of one.
    """
    if colours is ColorSystem.TRUECOLOR:
        while True:
            # Others that use the terminal number theirs, too; these are seldom the same.
            number = 0x10000 + secrets.randbelow(0xFF0000)
            yield number, Color.from_rgb(number >> 16, number >> 8 & 255, number & 255)
    told = []
    for number in range(16, 232):
        colour = Color.from_triplet(Color.from_ansi(number).get_truecolor())
        if colour.downgrade(colours).number == number:
            told.append((number, colour))
    while True:
        yield from told


def png(picture: Frame) -> str:
    """A picture (row, col, rgb) as the terminal takes it: base64 of a PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png", compress_level=_EFFORT)
    return b64encode(file.getvalue()).decode()


def transmission(number: int, data: str, columns: int, lines: int) -> str:
    """What gives the terminal a `png`, to be shown in so many cells where its placeholders are."""
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    sent = []
    for place, chunk in enumerate(chunks):
        keys = f"i={number},f=100,q=2," if place == 0 else ""
        sent.append(f"\x1b_G{keys}m={int(place < len(chunks) - 1)};{chunk}\x1b\\")
    sent.append(f"\x1b_Ga=p,U=1,i={number},c={columns},r={lines},q=2\x1b\\")
    return "".join(sent)


def removal(number: int) -> str:
    """What has the terminal forget a picture."""
    return f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\"


def placeholders(colour: Color, columns: int, lines: int) -> list[Line]:
    """The characters that show a picture, by the colour that names it."""
    style = Style(color=colour)
    return [
        [(_PLACEHOLDER + _MARKS[row] + _MARKS[column], style) for column in range(columns)]
        for row in range(lines)
    ]
