"""A canvas with pictures in it."""

from __future__ import annotations

from typing import Self

from rich.color import ColorSystem
from rich.segment import ControlType, Segment
from textual import on
from textual.events import Mount, Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.timer import Timer

from tui.options import Options
from tui.pictures.half_cells import fitted_to, half_cells
from tui.pictures.sheet import Placed, Sheet
from tui.terminal.asking import Way
from tui.terminal.encoding import Order, PixelsChanged, digest_of
from tui.terminal.pixels import pixels_of
from tui.widgets.canvas import PLAIN, Canvas, Line

_PATIENCE = 0.15
"""Seconds after which half cells are shown in the place of pixels that are still being made."""
# That a piece is a control code is all that is known of it: it takes no cell.
_NO_CELLS = ((ControlType.CURSOR_FORWARD, 0),)


class PictureCanvas(Canvas):
    """Text and pictures, as well as the terminal can show them.

    Kitty's pictures are characters. Sixels are sent after the blanks of their line, so they are there
    whenever that is painted; where something lies over a part of them there are half cells meanwhile.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sheet = Sheet()
        self._sixels: dict[int, list[tuple[int, str]]] = {}
        self._is_covered = False
        self._waiting: Timer | None = None

    def show_sheet(self, sheet: Sheet) -> None:
        """Show text and pictures in place of what was shown."""
        self._sheet = sheet
        self._repaint_sheet()

    @on(Mount)
    def _begin(self) -> None:
        if (pixels := pixels_of(self)) is not None:
            pixels.show_on(self)
        # What is below a dialog is tinted, which neither sixels nor the colours that name pictures are to be.
        self.app.screen_change_signal.subscribe(self, lambda _: self._repaint_sheet())

    def on_resize(self, event: Resize) -> None:
        """Paint anew what may have been cut off."""
        self._repaint_sheet()

    @on(PixelsChanged)
    def _change_way(self) -> None:
        self._repaint_sheet()

    @property
    def way(self) -> Way:
        """How pictures are shown here and now."""
        pixels = pixels_of(self)
        if pixels is None or self.app.no_color or not self.screen.is_current:
            return Way.HALF_CELLS
        return Way.HALF_CELLS if pixels.way is Way.SIXEL and self._is_covered else pixels.way

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Have regions painted anew; of lines with sixels all of it, since these come after the cells."""
        if self._sixels:
            wide = [
                Region(0, y, self.size.width, 1)
                if y in self._sixels
                else Region(region.x, y, region.width, 1)
                for region in regions
                for y in region.line_range
            ]
            regions = tuple(wide)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines, and after the cells of each its sixels."""
        strips = super().render_lines(crop)
        pixels = pixels_of(self)
        if pixels is None or pixels.way is not Way.SIXEL or not self._sheet.pictures:
            return strips
        if (is_covered := self._something_lies_over(crop)) != self._is_covered:
            self._is_covered = is_covered
            self.call_later(self._repaint_sheet)
        if not self._is_covered and self.screen.is_current:
            left = self.region.x
            for place, strip in enumerate(strips):
                pieces = self._sixels.get(crop.y + place)
                if pieces:
                    codes = "".join(f"\x1b7\x1b[{left + x + 1}G{data}\x1b8" for x, data in pieces)
                    strips[place] = Strip([*strip, Segment(codes, None, _NO_CELLS)], strip.cell_length)
        return strips

    def _something_lies_over(self, crop: Region) -> bool:
        """Whether another widget lies over a part of the lines that have pictures, or they are cut off."""
        region = self.region
        if crop.x or crop.width < region.width:
            return True
        # Where Textual divides a line is where a widget begins or ends, and this one has none inside.
        cuts = self.screen._compositor.cuts
        return any(
            region.x < cut < region.right
            for one in self._sheet.pictures
            for y in range(max(one.y, crop.y), min(one.y + one.lines, crop.bottom))
            if 0 <= region.y + y < len(cuts)
            for cut in cuts[region.y + y]
        )

    def _repaint_sheet(self, patient: bool = True) -> None:
        """Paint what is to be shown; while its pixels are made, for a moment, leave what was there."""
        if not self.is_attached or not self.size:
            return
        pixels = pixels_of(self)
        if self._sheet.pictures and pixels is not None and not self._is_low_bandwidth:
            pixels.ask(self.app.size)
        way = self.way
        orders = [] if way is Way.HALF_CELLS else [self._order(one, way) for one in self._sheet.pictures]
        made = pixels.encoder.want(self, orders) if pixels is not None else []
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None
        if None in made and patient:
            self._waiting = self.set_timer(_PATIENCE, lambda: self._repaint_sheet(patient=False))
            return
        lines: list[Line] = [list(line) for line in self._sheet.lines]
        sixels: dict[int, list[tuple[int, str]]] = {}
        for place, one in enumerate(self._sheet.pictures):
            cells = [[(" ", PLAIN)] * one.columns] * one.lines
            data = made[place] if orders else None
            if data is None or pixels is None:
                cells = half_cells(fitted_to(one.frame, one.columns, one.lines), not self.app.no_color)
            elif way is Way.KITTY:
                cells = pixels.placeholders(orders[place], data[0], self._colours)
            else:
                for y, row in enumerate(data):
                    sixels.setdefault(one.y + y, []).append((one.x, row))
            for line, added in zip(lines[one.y :], cells, strict=False):
                line[one.x : one.x + one.columns] = added
        before, self._sixels = self._sixels, sixels
        for y in before.keys() | sixels.keys():
            if before.get(y) != sixels.get(y):
                super().refresh(Region(0, y, self.size.width, 1))
        self.paint(lines)

    def _order(self, one: Placed, way: Way) -> Order:
        pixels = pixels_of(self)
        assert pixels is not None
        assert pixels.terminal.cell is not None
        return Order(
            one.frame,
            digest_of(one.frame),
            *(one.columns, one.lines),
            pixels.terminal.cell,
            self.background_colors[1].rgb,
            way,
        )

    @property
    def _colours(self) -> ColorSystem:
        return self.app.console._color_system or ColorSystem.TRUECOLOR

    @property
    def _is_low_bandwidth(self) -> bool:
        options = getattr(self.app, "options", None)
        return isinstance(options, Options) and options.low_bandwidth
