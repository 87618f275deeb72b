"""The app as a shell starts it: it is seen before it has loaded what shows runs."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.events import Event, Key
from textual.screen import Screen
from textual.widgets import Static

from stores.errors import StoreError
from tui.app import CosinterpApp
from tui.leaving import leave_on_signals
from tui.widgets.places_bar import PlacesBar

LATEST = 0.5
"""Seconds after which the first line is taken to have been painted."""
PATIENCE = 1.0
"""Seconds that the app waits for a folder to be found before it opens without."""


class Opening(Screen[None]):
    """The lines at the top of every place, while the first place is being loaded."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:  # noqa: D102
        yield PlacesBar()
        yield Static(f"{self._path}   reading...", id="status", markup=False)


class OpeningApp(CosinterpApp):
    """The app as a shell starts it.

    What a place takes to be loaded and to be put together is twice what a line takes that says where one is;
    so that line is painted first. Keys that are pressed meanwhile go to the place.
    """

    DEFAULT_MODE = "opening"

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.add_mode(self.DEFAULT_MODE, lambda: Opening(self.path))
        self._has_begun = False
        self._early: list[Key] = []

    def on_load(self) -> None:
        """Be told to end in good time; the terminal is not taken yet."""
        leave_on_signals(self)

    def on_mount(self) -> None:
        """Paint everything after a shell's ``fg``: the terminal then shows nothing of the app."""
        self.app_resume_signal.subscribe(self, lambda _: self.refresh())

    def begin(self) -> None:
        """Nothing yet."""

    async def on_ready(self) -> None:
        """Go to the first place, once something is painted."""
        painted = asyncio.Event()
        self.screen.call_after_refresh(painted.set)
        # No key is looked at before this comes to its end. An app that is told to end paints nothing more.
        with suppress(TimeoutError):
            await asyncio.wait_for(painted.wait(), LATEST)
        if self.return_code is not None:
            # It was told to end, and what is made from then on stays empty.
            return
        await self.switch_mode(self._first_place)
        # After the app has heard what of the place is to have the keys.
        self.call_later(self._look_at_keys)

    async def on_event(self, event: Event) -> None:
        """Keep keys that come before there is a place that they could mean something to."""
        if isinstance(event, Key) and not self._has_begun:
            self._early.append(event)
        else:
            await super().on_event(event)

    async def _look_at_keys(self) -> None:
        self._has_begun = True
        for key in self._early:
            await super().on_event(key)


def found(path: Path) -> Path:
    """The folder at a path, absolute.

    Of a file system that does not answer nothing is said: the app opens, and waits for it with its keys free.

    Raises:
        StoreError: there is no such folder.
    """
    answers: list[Path | StoreError] = []
    thread = threading.Thread(target=lambda: answers.append(_found(path)), name="found", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    answer = answers[0] if answers else path.absolute()
    if isinstance(answer, StoreError):
        raise answer
    return answer


def _found(path: Path) -> Path | StoreError:
    try:
        if path.is_dir():
            return path.resolve()
        kind = "this is a file" if path.exists() else "no such folder"
    except OSError as error:
        kind = str(error.strerror)
    return StoreError(f"{path}: {kind}; give a store or a folder with stores in it")
