"""What tables that a screen is about have in common."""

from __future__ import annotations

from rich.text import Text
from textual.events import Show
from textual.widgets import DataTable


class ListTable(DataTable[Text]):
    """The table that a screen is about: in sight, it has the keys unless something else in sight has them.

    Out of sight, as it is for as long as it has no rows, it loses the focus.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(cursor_type="row", cell_padding=1, id=id)

    def on_show(self, event: Show) -> None:
        """Take the focus, unless what has it is in sight."""
        focused = self.screen.focused
        if focused is None or not focused.display:
            self.screen.set_focus(self)
