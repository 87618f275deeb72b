"""A chart that is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from tui.widgets.canvas import Line


@dataclass(frozen=True)
class Drawing:
    """Lines of cells, one part below the other.

    Attributes:
        head: what stands above.
        field: in which the cursor goes to and fro, so that single cells of wide lines change.
        foot: the rest.
    """

    head: list[Line]
    field: list[Line]
    foot: list[Line]

    @property
    def lines(self) -> list[Line]:
        """All lines."""
        return [*self.head, *self.field, *self.foot]
