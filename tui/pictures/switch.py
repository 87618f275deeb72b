"""Switching between pixels and half cells."""

from __future__ import annotations

from textual.screen import Screen

from tui.terminal.asking import Way
from tui.terminal.pixels import pixels_of


def switch_pixels(screen: Screen[None]) -> None:
    """Show pictures as pixels, or in half cells; or say that this terminal has only these."""
    pixels = pixels_of(screen)
    if pixels is None or pixels.terminal.way is Way.HALF_CELLS:
        screen.notify("pictures are half cells: this terminal does not say that it shows pixels")
        return
    pixels.switch(not pixels.is_wanted)
