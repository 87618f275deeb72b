"""What the threads that read two results tell their screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from tui.results.comparing import Pair, Shown, Two
    from tui.results.reading import Said


class TwoOpened(Message):
    """Two results have been opened, or the error in their place."""

    def __init__(self, two: Two | None, error: str = "") -> None:
        self.two = two
        self.error = error
        super().__init__()


class PairRead(Message):
    """What a view shows of both, or the error in its place."""

    def __init__(self, pair: Pair, shown: Shown | None, error: str = "") -> None:
        self.pair = pair
        self.shown = shown
        self.error = error
        super().__init__()


class BothSaid(Message):
    """What both say, or the error in its place."""

    def __init__(self, said: tuple[Said, Said] | None, error: str = "") -> None:
        self.said = said
        self.error = error
        super().__init__()
