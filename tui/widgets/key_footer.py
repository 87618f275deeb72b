"""The line of keys at the bottom."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from tui.app import app_of
from tui.keys import key_of


class KeyFooter(Footer):
    """The keys of the screen and of the focused widget; those that write are left out of a read-only app."""

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)

    def compose(self) -> ComposeResult:  # noqa: D102
        readonly = app_of(self).options.readonly
        for widget in super().compose():
            if not (readonly and isinstance(widget, FooterKey) and self._writes(widget.key)):
                yield widget

    def _writes(self, pressed: str) -> bool:
        active = self.screen.active_bindings.get(pressed)
        key = None if active is None else key_of(active.binding)
        return key is not None and key.writes
