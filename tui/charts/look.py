"""What charts are drawn with: marks, and the colours of a theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color
from rich.style import Style

from tui.heatmaps.scale import Colour
from tui.widgets.canvas import PLAIN

MARKS = ("●", "■", "▲", "◆", "▼", "★", "✚", "◐")
HOLLOW = ("○", "□", "△", "◇", "▽", "☆", "✛", "◌")
MOST = len(MARKS)
"""Curves that can be told apart."""
BAND = 0.28
"""How much of its colour a band has."""
_MUTED = Style(dim=True)


@dataclass(frozen=True)
class Look:
    """How charts are drawn on a screen.

    Attributes:
        colours: of the curves, in order, `MOST` of them; empty: the screen has none.
        background: what they are drawn on.
    """

    colours: tuple[Colour, ...] = ()
    background: Colour = (0, 0, 0)

    def colour(self, place: int) -> Colour | None:
        """The colour of a curve, by its place among those that are shown."""
        return self.colours[place % len(self.colours)] if self.colours else None

    def style(self, place: int) -> Style:
        """The style of a curve's letters and marks."""
        return style_of(self.colour(place), None)

    @property
    def muted(self) -> Style:
        """The style of axes and words beside."""
        return _MUTED if self.colours else PLAIN


def mark(place: int, hollow: bool = False) -> str:
    """The mark of a curve, by its place among those that are shown."""
    return (HOLLOW if hollow else MARKS)[place % MOST]


def blended(under: Colour, over: Colour, share: float = BAND) -> Colour:
    """A colour seen through another."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(under, over, strict=True))
    return red, green, blue


@lru_cache(4096)
def style_of(colour: Colour | None, background: Colour | None) -> Style:
    """A style of two colours, None for that of the screen."""
    return Style(
        color=Color.from_rgb(*colour) if colour else None,
        bgcolor=Color.from_rgb(*background) if background else None,
    )


def spread(count: int, most: int) -> list[int]:
    """At most so many of ``count`` places, evenly spaced, the first and the last among them.

    >>> spread(40, 4)
    [0, 13, 26, 39]
    """
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / max(1, most - 1)) for place in range(most)]


def wrapped(pieces: Sequence[str], width: int, gap: int = 3) -> list[list[int]]:
    """Which pieces go on which line, so that none is longer than ``width`` if it can be helped."""
    lines: list[list[int]] = [[]]
    used = 0
    for place, piece in enumerate(pieces):
        needed = len(piece) + (gap if lines[-1] else 0)
        if lines[-1] and used + needed > width:
            lines.append([])
            used, needed = 0, len(piece)
        lines[-1].append(place)
        used += needed
    return lines
