"""The colours of the app: a few themes that are told apart by what they are good for."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.theme import Theme

from stores.errors import UserError
from tui.memory import Memory

# Of Okabe and Ito, "Color Universal Design" (2008): told apart by every kind of colour vision.
_ORANGE, _SKY, _GREEN, _YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
_BLUE, _VERMILION, _PURPLE = "#0072B2", "#D55E00", "#CC79A7"

DEFAULT = "dark"

THEMES = {
    theme.name: theme
    for theme in (
        Theme(
            name="dark",
            primary="#4C9BD6",
            secondary="#2F6E9E",
            accent="#FFB454",
            warning="#E6B450",
            error="#F26D78",
            success="#5FBF77",
            foreground="#E0E0E0",
            background="#121212",
            surface="#1B1B1B",
            panel="#2A2A2A",
            dark=True,
        ),
        Theme(
            name="light",
            primary="#005A9C",
            secondary="#2F7FBF",
            accent="#9A4D00",
            warning="#8A5A00",
            error="#B00020",
            success="#1B6E35",
            foreground="#1A1A1A",
            background="#FAFAFA",
            surface="#F2F2F2",
            panel="#E2E2E2",
            dark=False,
        ),
        Theme(
            name="colour-blind",
            primary=_SKY,
            secondary=_BLUE,
            accent=_ORANGE,
            warning=_YELLOW,
            error="#F0792D",
            success=_SKY,
            foreground="#E8E8E8",
            background="#101010",
            surface="#1A1A1A",
            panel="#292929",
            dark=True,
        ),
        Theme(
            name="high-contrast",
            primary="#00FFFF",
            secondary="#FFFFFF",
            accent="#FFFF00",
            warning="#FFFF00",
            error="#FF9E9E",
            success="#7CFF7C",
            foreground="#FFFFFF",
            background="#000000",
            surface="#000000",
            panel="#1C1C1C",
            dark=True,
            luminosity_spread=0.05,
            text_alpha=1.0,
            variables={"text-muted": "#E0E0E0", "text-disabled": "#C8C8C8"},
        ),
    )
}
"""By name, in the order in which they are offered."""

_ON_DARK = (_SKY, _ORANGE, _GREEN, _PURPLE, _YELLOW, "#F0792D", "#8FA8FF", "#FFFFFF")
_ON_LIGHT = (_BLUE, "#B84E00", "#00946B", "#A3427A", "#1A1A1A", "#7A6A00", "#4B4BD0", "#7A4B1E")


class ThemeError(UserError):
    """A theme that there is not."""


def check_theme(name: str) -> None:
    """Take the name of a theme only.

    Raises:
        ThemeError: it is none.
    """
    if name not in THEMES:
        raise ThemeError(f'there is no theme "{name}"; there are {", ".join(THEMES)}')


def remembered_theme(memory: Memory) -> str:
    """The theme that was taken last."""
    name = memory.get("theme", DEFAULT)
    return name if name in THEMES else DEFAULT


def add_themes(app: App[Any]) -> None:
    """Make the themes known to an app."""
    for theme in THEMES.values():
        app.register_theme(theme)


def series_colours(app: App[Any]) -> tuple[str, ...]:
    """Eight colours for curves, as "#rrggbb", told apart by every kind of colour vision and read on the
    theme's background. They come with marks of their own, since a terminal may have no colours."""
    return _ON_DARK if app.current_theme.dark else _ON_LIGHT
