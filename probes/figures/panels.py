"""Panels on a page: a head above them, what is what and a caption below, everything placed in inches."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_GREY = "#555555"
_LEFT, _RIGHT, _GAP = 0.85, 0.25, 0.55
_HEAD, _FOOT, _BETWEEN = 0.3, 0.55, 0.6
_LINE, _CAPTION_LINE, _LEGEND_WIDTH = 0.21, 0.19, 2.3


class PanelPage:
    """Panels of given sizes in inches, side by side or below one another, with a head and a caption.

    Args:
        panels: the width and height of each.
        title, under, caption: what stands above them, below the title, and at the foot.
        across: side by side.
        left: room for what is left of the panels.
        legend: how many things `legend` will name.
    """

    def __init__(
        self,
        panels: Sequence[tuple[float, float]],
        *,
        title: str,
        under: str,
        caption: str,
        across: bool,
        left: float = _LEFT,
        legend: int = 0,
    ) -> None:
        self._panels, self._across, self._left = panels, across, left
        widths, heights = zip(*panels, strict=True)
        inner = sum(widths) + _GAP * (len(panels) - 1) if across else max(widths)
        self._width = left + inner + _RIGHT
        self._columns = max(1, int(self._width / _LEGEND_WIDTH))
        self._legend = _LINE * -(-legend // self._columns) + 0.12 if legend else 0.0
        titles = textwrap.wrap(title, max(24, int((self._width - 0.3) * 9.0)))
        captions = textwrap.wrap(caption, max(30, int((self._width - 0.3) * 13.0)))
        self._above = 0.25 + _LINE * len(titles) + (_LINE if under else 0.0)
        tall = max(heights) + _HEAD + _FOOT if across else sum(heights) + _BETWEEN * len(panels) + 0.25
        self._height = self._above + tall + self._legend + _CAPTION_LINE * len(captions) + 0.15
        self.figure = Figure(figsize=(self._width, self._height), dpi=130, facecolor="white")
        FigureCanvasAgg(self.figure)
        self._text_at, head = 0.15 / self._width, self._height - 0.2
        self.figure.text(
            self._text_at, head / self._height, "\n".join(titles), fontsize=12, fontweight="bold", va="top"
        )
        self.figure.text(
            self._text_at,
            (head - _LINE * len(titles)) / self._height,
            under,
            fontsize=9.5,
            color=_GREY,
            va="top",
        )
        self.figure.text(
            self._text_at,
            0.12 / self._height,
            "\n".join(captions),
            fontsize=8.5,
            color=_GREY,
            va="bottom",
            linespacing=1.35,
        )
        self._below = 0.15 + _CAPTION_LINE * len(captions)

    def axes(self, number: int, shared: Axes | None) -> Axes:
        """The axes of a panel; ``shared``: axes with whose vertical axis it is compared."""
        width, height = self._panels[number]
        if self._across:
            left = self._left + sum(one + _GAP for one, _ in self._panels[:number])
            top = self._above + _HEAD
        else:
            left = self._left
            top = self._above + sum(one + _BETWEEN for _, one in self._panels[:number]) + _HEAD
        bottom = 1 - (top + height) / self._height
        box = (left / self._width, bottom, width / self._width, height / self._height)
        self.last = self.figure.add_axes(box, sharey=shared)
        self.last.spines[["top", "right"]].set_visible(False)
        self.last.set_axisbelow(True)
        self.last.tick_params(labelsize=8.5)
        return self.last

    def legend(self, drawn: Mapping[str, Any]) -> None:
        """What is what, between panels and caption."""
        if not self._legend:
            return
        self.figure.legend(
            list(drawn.values()),
            list(drawn),
            loc="lower left",
            bbox_to_anchor=(self._text_at, (self._below + 0.05) / self._height),
            frameon=False,
            fontsize=8.5,
            ncols=self._columns,
            borderaxespad=0.0,
            borderpad=0.2,
        )
