"""Texts as cells of a canvas: broken into lines, and with characters that take two columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, get_character_cell_size
from rich.style import Style

from tui.widgets.canvas import PLAIN, Line


def text_cells(text: str, style: Style = PLAIN) -> Line:
    """A text as cells, one for each column that it takes; what a terminal would act on is left out."""
    line: Line = []
    for character in text:
        width = get_character_cell_size(character)
        if width == 0 and not character.isprintable():
            continue
        if width == 0 and line:
            # An accent is part of the letter before it.
            before, own = line[-1]
            line[-1] = (before + character, own)
        elif width:
            line += [(character, style), *[("", style)] * (width - 1)]
    return line


def wrapped(text: str, width: int) -> Iterator[str]:
    """A text in lines of at most ``width`` columns, broken at blanks where there are some."""
    if width < 2:
        yield text[:width]
        return
    rest = text
    while cell_len(rest) > width:
        end, taken = 0, 0
        for character in rest:
            taken += get_character_cell_size(character)
            if taken > width:
                break
            end += 1
        # A blank right behind the line ends it, too.
        blank = rest.rfind(" ", 1, end + 1)
        at = blank if blank > end // 2 else end
        yield rest[:at]
        rest = rest[at:].removeprefix(" ")
    yield rest


def rows_of(text: str, width: int) -> list[str]:
    """A text in pieces of exactly ``width`` columns, but for the last: as a terminal breaks it."""
    rows: list[str] = []
    begin, taken = 0, 0
    for place, character in enumerate(text):
        size = get_character_cell_size(character)
        if taken + size > width and place > begin:
            rows.append(text[begin:place])
            begin, taken = place, 0
        taken += size
    return [*rows, text[begin:]]
