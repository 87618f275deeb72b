"""The app: its places, and what leads from one to another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.dom import DOMNode
from textual.events import Event, Key, Paste
from textual.screen import Screen
from textual.widgets import Footer

from stores.units import count_text
from tui.background import Crashed
from tui.copying import Copied, Copier
from tui.gpus.watch import GpuWatch
from tui.jobs.watch import JobsWatch
from tui.keys import bindings, help_page
from tui.memory import Memory, is_folder
from tui.options import Options
from tui.themes import add_themes, check_theme, remembered_theme
from tui.turns import Turns
from tui.ways import PLACES, Ways

if TYPE_CHECKING:
    from textual.driver import Driver

    from tui.palette.entry import Entry


class CosinterpApp(Ways):
    """Browses the stores at a path; launches jobs and looks after them.

    Each place (runs, results, launch, jobs) is a mode of Textual's, with screens of its own on top of one
    another, which stay as they were left.

    Args:
        path: of a store, or of a folder of stores.
        options: how it is to behave.
        memory: what it remembers; by default nothing.
        place: that it begins at.
        theme: the name of one of `tui.themes.THEMES`; None: the one that is remembered.
    """

    TITLE = "cosinterp"
    CSS_PATH = "cosinterp.tcss"
    BINDINGS = bindings("app")
    # Not by switching to it: then Textual would first make a screen of its own, and hold back what is
    # painted.
    DEFAULT_MODE = "runs"

    def __init__(
        self,
        path: Path,
        options: Options | None = None,
        memory: Memory | None = None,
        *,
        place: str = "runs",
        theme: str | None = None,
    ) -> None:
        super().__init__(path)
        # What moves sends bytes for as long as it does.
        self.animation_level = "none"
        self.options = options or Options()
        self.memory = memory or Memory()
        self.memory.on_problem = lambda problem: self.call_later(self._say_forgotten, problem)
        self.copier = Copier(self)
        self._turns = Turns(self, super().on_event)
        self.jobs_watch = JobsWatch(self)
        self.gpu_watch = GpuWatch(self)
        self._shows_gpus = self.memory.get("gpus", False)
        add_themes(self)
        self.theme = theme or remembered_theme(self.memory)
        self._first_place = place if place in PLACES else "runs"
        self.add_places()

    def on_mount(self) -> None:  # noqa: D102
        self.screen_change_signal.subscribe(self, self._place_gpu_panel)
        self.begin()
        self.mode_change_signal.subscribe(self, lambda place: self.memory.put("place", place))
        self.memory.put("path", str(self.path))
        self.memory.put("place", self._first_place)

    def on_ready(self) -> None:  # noqa: D102
        self._place_gpu_panel(self.screen)

    def on_unmount(self) -> None:  # noqa: D102
        self.gpu_watch.close()
        self.jobs_watch.close()

    async def on_event(self, event: Event) -> None:
        """Look at what is typed key by key."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self._turns.take(event)
        else:
            await super().on_event(event)

    def begin(self) -> None:
        """Go to the first place."""
        if self._first_place != self.current_mode:
            self.switch_mode(self._first_place)

    def get_driver_class(self) -> type[Driver]:
        """What reads and writes the terminal; on one of its own it also asks for pixels."""
        textuals = super().get_driver_class()
        from textual.drivers.linux_driver import LinuxDriver

        if textuals is not LinuxDriver:
            return textuals
        from tui.terminal.driver import PictureDriver

        return PictureDriver

    def may_write(self, what: str) -> bool:
        """Whether anything may be started, stopped, removed or written; says so if not.

        Args:
            what: the user wants, as in "this app cannot WHAT": "start a job".
        """
        if self.options.readonly:
            self.notify(f"read-only: this app cannot {what}", severity="warning", markup=False)
        return not self.options.readonly

    @property
    def living_jobs(self) -> int:
        """How many jobs wait or run, as far as is known."""
        seen = self.jobs_watch.latest
        return 0 if seen is None else len(seen.living)

    # What can be had everywhere

    def action_command_palette(self) -> None:
        """Choose from all commands by name."""
        from tui.palette.screen import Palette

        if not self.screen.is_modal:
            self.push_screen(Palette(self, self.screen), self._do_chosen)

    def _do_chosen(self, entry: Entry | None) -> None:
        if entry is not None:
            self.call_later(entry.do)

    def action_theme(self, name: str) -> None:
        """Take a theme, from now on."""
        self.theme = name
        self.memory.put("theme", name)

    def action_gpus(self) -> None:
        """Show the panel of GPUs on every screen, or put it away."""
        self._shows_gpus = not self._shows_gpus
        self.memory.put("gpus", self._shows_gpus)
        self._place_gpu_panel(self.screen)

    def action_help(self) -> None:
        """Show the page of keys."""
        from tui.dialogs.page import Page

        self.push_screen(Page("keys", help_page(getattr(self.screen, "PLACES", ()))))

    def _place_gpu_panel(self, screen: Screen[Any]) -> None:
        from tui.gpus.panel import GpuPanel

        panels = screen.query_children(GpuPanel)
        if not self._shows_gpus:
            panels.remove()
        elif not panels:
            # The footer is the last of every screen; what is asked over one has none.
            for footer in screen.query_children(Footer):
                screen.mount(GpuPanel(), before=footer)

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        # Textual takes the screen below the top one for seen, whatever covers it, and sends all of the upper
        # one whenever something below changes.
        stack = self._screen_stack
        covered = bool(stack) and stack[-1].styles.background.a == 1
        return [] if covered else super()._background_screens

    # What threads tell

    @on(Copied)
    def _say_copied(self, message: Copied) -> None:
        self.copier.said(message)

    def _say_forgotten(self, problem: str) -> None:
        self.notify(f"nothing will be remembered: {problem}", severity="warning", markup=False)

    @on(Crashed)
    def _crash(self, message: Crashed) -> None:
        raise message.error


def app_of(node: DOMNode) -> CosinterpApp:
    """The app that a screen or a widget is in."""
    app = node.app
    assert isinstance(app, CosinterpApp)
    return app


def run(path: Path | None, options: Options | None = None, theme: str | None = None) -> None:
    """Run the app on a store or a folder of stores, until the user leaves it.

    Args:
        path: None: the last one, if it is still there, at the place where the app was left; else this folder.
        options: how it is to behave.
        theme: the name of one of `tui.themes.THEMES`; None: the last one.

    Raises:
        StoreError: there is no such folder.
        ThemeError: there is no such theme.
        SystemExit: the app met a bug, whose traceback it has printed.
    """
    options = options or Options()
    if theme is not None:
        check_theme(theme)
    from tui.leaving import wait_for_no_read
    from tui.opening import OpeningApp, found

    if path is not None:
        path = found(path)
    memory = Memory.of_user(writes=not options.readonly)
    last = memory.get("path", "")
    if path is None and last and is_folder(Path(last)):
        app = OpeningApp(Path(last), options, memory, place=memory.get("place", "runs"), theme=theme)
    else:
        app = OpeningApp(path or found(Path()), options, memory, theme=theme)
    app.run()
    memory.close()
    wait_for_no_read(app.return_code or 0)
    if app.return_code:
        sys.exit(app.return_code)
    from cosinterp.cli.console import err, out

    if memory.problem:
        err().print(f"nothing was remembered: {memory.problem}", markup=False, soft_wrap=True)
    if living := app.living_jobs:
        goes = "goes" if living == 1 else "go"
        out().print(f"{count_text(living, 'job')} {goes} on: cosinterp jobs ls", highlight=False)
