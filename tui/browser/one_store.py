"""A store that something else led to."""

from __future__ import annotations

from tui.browser.screen import Browser
from tui.keys import bindings


class OneStore(Browser):
    """The runs of one store, over those that the app was opened with."""

    BINDINGS = bindings("store")
    PLACES = ("store", *Browser.PLACES)

    def action_back(self) -> None:
        """Go back to the runs that the app was opened with."""
        self.app.pop_screen()
