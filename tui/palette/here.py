"""What can be chosen without reading anything: what the keys do here, themes, jobs as they were seen last."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from tui.keys import key_of
from tui.palette.entry import Entry
from tui.themes import THEMES

if TYPE_CHECKING:
    from tui.app import CosinterpApp

_OWN = ("command_palette",)


def entries_here(app: CosinterpApp, screen: Screen[Any]) -> list[Entry]:
    """What can be chosen while ``screen`` is open, the actions of its keys first."""
    return [*_keys(app, screen), *_themes(app), *_jobs(app)]


def _keys(app: CosinterpApp, screen: Screen[Any]) -> Iterator[Entry]:
    """What the keys of the focused widget, of the screen and of the app do."""
    told: set[tuple[str, str]] = set()
    for active in screen.active_bindings.values():
        key = key_of(active.binding)
        # Several keys may do the same, and what the app writes nothing for is not offered.
        if key is None or (key.where, key.keys) in told or active.binding.action in _OWN:
            continue
        told.add((key.where, key.keys))
        if active.enabled and not (key.writes and app.options.readonly):
            yield Entry(key.shown, key.help, partial(app.run_action, active.binding.action, active.node))


def _themes(app: CosinterpApp) -> Iterator[Entry]:
    for name in THEMES:
        now = "  that of now" if name == app.theme else ""
        yield Entry("theme", f"{name}{now}", partial(app.action_theme, name))


def _jobs(app: CosinterpApp) -> Iterator[Entry]:
    seen = app.jobs_watch.latest
    for job in () if seen is None else seen.jobs:
        state = "damaged" if job.status is None else job.status.state.value.replace("_", " ")
        yield Entry("job", f"{job.id}  {state}", partial(app.show_job, job.id))
