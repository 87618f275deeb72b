"""Textual's driver of a terminal, which also knows how that shows pictures."""

from __future__ import annotations

import fcntl
import os
import selectors
import struct
import termios
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING

from textual._parser import ParseError
from textual.drivers.linux_driver import LinuxDriver

from tui.app import CosinterpApp
from tui.memory import Memory
from tui.terminal.asking import AnswerParser
from tui.terminal.pixels import Pixels

if TYPE_CHECKING:
    from textual.app import App

_TICK = 0.1
_MOST = 4096


class PictureDriver(LinuxDriver):
    """Reads the answers of a terminal that is asked for its pictures, and takes back those it was sent.

    Attributes:
        pixels: what the terminal can do.
    """

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        memory = app.memory if isinstance(app, CosinterpApp) else Memory()
        self.pixels = Pixels(self.write, os.environ, memory, self._cell_of_line)

    def _cell_of_line(self) -> tuple[int, int] | None:
        """The width and height of a cell in pixels, if the terminal has told its line; SSH passes that on."""
        try:
            size = fcntl.ioctl(self.fileno, termios.TIOCGWINSZ, bytes(8))
        except OSError:
            return None
        rows, columns, width, height = struct.unpack("HHHH", size)
        cell = (width // columns, height // rows) if columns and rows else (0, 0)
        return cell if all(cell) else None

    def run_input_thread(self) -> None:
        """Read what the terminal sends until the app leaves it."""
        parser = AnswerParser(self.pixels.hear, lambda: self.pixels.awaits)
        decode = getincrementaldecoder("utf-8")().decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(_TICK):
                    read = os.read(self.fileno, _MOST)
                    if not read:
                        # What stdin was is gone.
                        break
                    if text := decode(read):
                        for message in parser.feed(text):
                            self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)
        try:
            for _ in parser.feed(""):
                pass
        except (EOFError, ParseError):
            pass

    def close(self) -> None:
        """Have the terminal forget what it was sent."""
        if self._writer_thread is not None:
            self.pixels.take_back()
        super().close()
