"""How the app was asked to behave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How the app was asked to behave: the switches of ``cosinterp tui``.

    Attributes:
        readonly: nothing is started, stopped, removed or written.
        low_bandwidth: what changes by itself is painted seldom, and pictures are small.
    """

    readonly: bool = False
    low_bandwidth: bool = False
