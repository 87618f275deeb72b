"""Numbers as colours, digits and heights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui.heatmaps.heatmap import Cells, number_text

LEVELS = 16
UNKNOWN = -1
LOGARITHMIC_FROM = 300.0
"""Positive values whose greatest is so many times the least are told apart by their logarithm only."""

# matplotlib's cividis, which the figures have, too: its lightness grows evenly for every kind of sight.
_CIVIDIS = (
    "00224e", "002e6c", "1e3a6f", "35456c", "47516c", "575d6d", "666970", "757575",
    "848279", "948e77", "a59c74", "b7a96e", "c8b866", "dbc75a", "eed649", "fee838",
)  # fmt: skip
# matplotlib's PuOr_r, the figures' diverging colours: purple below, orange above, light at the centre.
_PURPLE_ORANGE = (
    "2d004b", "471a74", "634094", "8073ac", "a198c5", "bfbbda", "d8daeb", "ededf3",
    "f9efe1", "fee0b6", "fdc57f", "f3a649", "e08214", "c2660b", "a24e07", "7f3b08",
)  # fmt: skip
# The same hues with a dark centre, so that on a dark screen, too, the centre is what recedes.
_PURPLE_ORANGE_DARK = (
    "d9d2ff", "bcb2f5", "a096e0", "857bc6", "6a61a6", "504984", "383460", "25233c",
    "2e2617", "52390f", "784d0b", "9e6410", "c27d1c", "e0982f", "f6b653", "ffd890",
)  # fmt: skip

Colour = tuple[int, int, int]
"""red, green, blue, each 0 to 255"""


def _colours(palette: tuple[str, ...]) -> tuple[Colour, ...]:
    return tuple((int(one[:2], 16), int(one[2:4], 16), int(one[4:], 16)) for one in palette)


SEQUENTIAL = _colours(_CIVIDIS)
DIVERGING_LIGHT = _colours(_PURPLE_ORANGE)
DIVERGING_DARK = _colours(_PURPLE_ORANGE_DARK)


@dataclass(frozen=True)
class Scale:
    """What the colours of a map mean.

    Attributes:
        low, high: the values at its ends.
        centre: what it turns about; None: it is sequential.
        logarithmic: equal ratios are equally far apart.
    """

    low: float
    high: float
    centre: float | None = None
    logarithmic: bool = False

    @classmethod
    def of(cls, values: Cells, centre: float | None = None) -> Scale | None:
        """The scale of what is known; as long to either side of a ``centre``. None if nothing is known."""
        known = values[np.isfinite(values)]
        if not known.size:
            return None
        low, high = float(known.min()), float(known.max())
        if centre is not None:
            reach = max(abs(high - centre), abs(low - centre))
            return cls(centre - reach, centre + reach, centre)
        return cls(low, high, None, low > 0 and high / low > LOGARITHMIC_FROM)

    def places(self, values: Cells) -> Cells:
        """Where values lie from 0 (low) to 1 (high), of any shape; NaN stays NaN."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, values = math.log(low), math.log(high), np.log(values)
        if high <= low:
            return np.where(np.isfinite(values), 0.5, np.nan)
        return np.clip((values - low) / (high - low), 0.0, 1.0)

    def levels(self, values: Cells) -> NDArray[np.int64]:
        """The colour of each value, 0 to LEVELS - 1; UNKNOWN where it is not known."""
        return _binned(self.places(values), LEVELS)

    def digits(self, values: Cells) -> NDArray[np.int64]:
        """The digit of each value, 0 to 9; UNKNOWN where it is not known."""
        return _binned(self.places(values), 10)

    def colours(self, dark: bool) -> tuple[Colour, ...]:
        """The colour of each level, on a dark or a light screen."""
        if self.centre is None:
            return SEQUENTIAL
        return DIVERGING_DARK if dark else DIVERGING_LIGHT

    def text(self) -> tuple[str, str]:
        """The ends in words."""
        return number_text(self.low), number_text(self.high) + (", log" if self.logarithmic else "")


def ink(background: Colour) -> Colour:
    """Black or white, whichever is easier to read on a colour (its luma by ITU-R BT.601)."""
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


def _binned(places: Cells, count: int) -> NDArray[np.int64]:
    known = np.isfinite(places)
    bins = np.minimum(np.nan_to_num(places) * count, count - 1).astype(np.int64)
    return np.where(known, bins, UNKNOWN)
