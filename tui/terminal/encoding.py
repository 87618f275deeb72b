"""Making pictures ready for the terminal, in a thread: with a large one that may take a second."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from textual.message import Message
from textual.widget import Widget

from tui.background import Crashed, LatestReader
from tui.terminal.asking import Way

if TYPE_CHECKING:
    from tui.pictures.half_cells import Frame

_MOST_KEPT = 128


class PixelsChanged(Message):
    """Pictures are to be painted anew: in another way, being ready, or forgotten by the terminal."""

    bubble = False


@dataclass(frozen=True)
class Order:
    """A picture, and how it is to be shown.

    Attributes:
        frame: (row, col, rgb); two are the same if their ``digest`` is.
        digest: of its shape and bytes.
        columns, lines: cells that it takes.
        cell: width and height of one in pixels.
        background: red, green and blue of what is beside it there.
        way: Kitty's protocol or sixel.
    """

    frame: Frame = field(compare=False, repr=False)
    digest: bytes
    columns: int
    lines: int
    cell: tuple[int, int]
    background: tuple[int, int, int]
    way: Way


class Encoder:
    """Makes what is sent of the pictures that widgets want, and keeps it for a while.

    A widget is told by `PixelsChanged` when all that it wants is ready.
    """

    def __init__(self) -> None:
        self._wanted: WeakKeyDictionary[Widget, tuple[Order, ...]] = WeakKeyDictionary()
        self._made: OrderedDict[Order, tuple[str, ...]] = OrderedDict()
        self._lock = threading.Lock()
        self._reader: LatestReader[None] = LatestReader("pictures", lambda _: self._work())

    def want(self, widget: Widget, orders: Sequence[Order]) -> list[tuple[str, ...] | None]:
        """What is sent of pictures, as far as it is ready; the rest is made, in place of what was wanted.

        Of Kitty's protocol that is one text, of sixel one for each line of cells.
        """
        with self._lock:
            self._wanted[widget] = tuple(orders)
            found = [self._made.get(order) for order in orders]
            for order, made in zip(orders, found, strict=True):
                if made is not None:
                    self._made.move_to_end(order)
        if None in found:
            self._reader.ask(None)
        return found

    def _next(self) -> tuple[Widget, Order] | None:
        """Something that is wanted and not made."""
        with self._lock:
            for widget, orders in self._wanted.items():
                for order in orders:
                    if order not in self._made:
                        return widget, order
        return None

    def _work(self) -> None:
        while (found := self._next()) is not None:
            widget, order = found
            try:
                made = encoded(order)
            except Exception as error:  # noqa: BLE001  it is raised again in the app's own thread
                widget.post_message(Crashed(error))
                return
            with self._lock:
                self._made[order] = made
                ready = [
                    one
                    for one, orders in self._wanted.items()
                    if order in orders and all(other in self._made for other in orders)
                ]
                # What is wanted now has to stay, however much that is.
                wanted = sum(map(len, self._wanted.values()))
                while len(self._made) > max(_MOST_KEPT, wanted):
                    self._made.popitem(last=False)
            for one in ready:
                one.post_message(PixelsChanged())


def encoded(order: Order) -> tuple[str, ...]:
    """What is sent of a picture: base64 of a PNG, or sixels by line of cells."""
    from tui.pictures.half_cells import in_pixels

    picture = in_pixels(order.frame, order.columns, order.lines, order.cell, order.background)
    if order.way is Way.SIXEL:
        from tui.pictures.sixel import rows

        return rows(picture, order.cell[1])
    from tui.terminal.kitty import png

    return (png(picture),)


def digest_of(frame: Frame) -> bytes:
    """A digest of a frame's shape and bytes."""
    from xxhash import xxh3_128_digest

    return xxh3_128_digest(frame.tobytes(), seed=frame.shape[1])
