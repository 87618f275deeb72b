"""The app."""

from __future__ import annotations

from pathlib import Path

from textual.app import App

from stores.errors import StoreError
from tui.keys import bindings, help_page
from tui.screens.browser import Browser
from tui.screens.page import Page


class CosinterpApp(App[None]):
    """Browses the stores at a path."""

    TITLE = "cosinterp"
    CSS_PATH = "cosinterp.tcss"
    BINDINGS = bindings("app")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def on_mount(self) -> None:  # noqa: D102
        self.push_screen(Browser(self._path))

    def action_help(self) -> None:
        """Show the page of keys."""
        self.push_screen(Page("keys", help_page(getattr(self.screen, "PLACES", ()))))


def run(path: Path) -> None:
    """Run the app on a store or a folder of stores, until the user leaves it.

    Raises:
        StoreError: there is no such folder.
    """
    if not path.exists():
        raise StoreError(f"{path}: no such folder; give a store or a folder with stores in it")
    if not path.is_dir():
        raise StoreError(f"{path}: this is a file; give a store or a folder with stores in it")
    CosinterpApp(path.resolve()).run()
