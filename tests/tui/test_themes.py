"""The themes: readable, and told apart by every kind of colour vision."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from textual.color import Color

from cosinterp.cli.tui import tui as command
from tests.tui.driving import screen_text, shown_text, until, until_read
from tests.tui.store_factory import make_store
from tui.app import CosinterpApp
from tui.memory import Memory
from tui.themes import DEFAULT, THEMES, ThemeError, check_theme, series_colours

# Machado, Oliveira, Fernandes (2009), severity 1.0: what is seen, from linear red, green and blue.
SIGHT = {
    "normal": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "protanopia": (0.152, 1.053, -0.205, 0.115, 0.786, 0.099, -0.004, -0.048, 1.052),
    "deuteranopia": (0.367, 0.861, -0.228, 0.280, 0.673, 0.047, -0.012, 0.043, 0.969),
    "tritanopia": (1.256, -0.077, -0.179, -0.078, 0.931, 0.148, 0.005, 0.691, 0.304),
}
XYZ = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]


def linear(colour: str) -> NDArray[np.float64]:
    """Linear red, green, blue (rgb,), 0 to 1."""
    parts = np.array(Color.parse(colour).normalized)
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it, 1 to 21."""
    light, dark = sorted((float(np.array(XYZ[1]) @ linear(colour)) for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(colour: str, sight: str) -> NDArray[np.float64]:
    """CIELAB (3,) of what a kind of colour vision sees."""
    seen = np.clip(np.reshape(SIGHT[sight], (3, 3)) @ linear(colour), 0, 1)
    x, y, z = np.cbrt(np.maximum(np.array(XYZ) @ seen / [0.95047, 1.0, 1.08883], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str, sight: str) -> float:
    return float(np.linalg.norm(lab(one, sight) - lab(other, sight)))


class Themed:
    """An app as far as it has a theme."""

    def __init__(self, name: str) -> None:
        self.current_theme = THEMES[name]


@pytest.mark.parametrize("name", THEMES)
def test_what_is_said_in_colour_can_be_read_on_all_that_it_stands_on(name: str) -> None:
    theme: Any = THEMES[name]
    for ground in (theme.background, theme.surface, theme.panel):
        assert contrast(theme.foreground, ground) >= 7
        for colour in (theme.error, theme.warning, theme.success, theme.accent):
            assert contrast(colour, ground) >= (7 if name == "high-contrast" else 4.5), (colour, ground)


@pytest.mark.parametrize("name", THEMES)
def test_curves_are_seen_and_told_apart_by_every_kind_of_sight(name: str) -> None:
    app: Any = Themed(name)
    colours = series_colours(app)
    assert len(set(colours)) == 8
    assert min(contrast(colour, str(THEMES[name].background)) for colour in colours) >= 3
    # The first five are what is mostly compared.
    for sight in SIGHT:
        for one, other in itertools.combinations(colours[:5], 2):
            assert apart(one, other, sight) > 12, (one, other, sight)


@pytest.mark.parametrize("sight", SIGHT)
def test_the_colour_blind_theme_tells_good_from_bad_to_everybody(sight: str) -> None:
    theme: Any = THEMES["colour-blind"]
    for one, other in itertools.combinations((theme.success, theme.warning, theme.error), 2):
        assert apart(one, other, sight) > 20, (one, other)


def test_a_theme_that_there_is_not_is_told_with_those_that_there_are() -> None:
    check_theme("light")
    with pytest.raises(
        ThemeError, match='no theme "pink"; there are dark, light, colour-blind, high-contrast'
    ):
        check_theme("pink")


def test_the_command_line_names_every_theme() -> None:
    told = str(command.__annotations__["theme"])
    assert all(name in told for name in THEMES)


async def test_a_theme_is_taken_by_name_and_remembered(tmp_path: Path) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    memory = Memory()
    async with CosinterpApp(store, memory=memory).run_test() as pilot:
        await until_read(pilot)
        assert pilot.app.theme == DEFAULT
        await pilot.press("ctrl+p", *"light", "enter")
        await until(pilot, lambda: pilot.app.theme == "light")
        assert memory.get("theme", "") == "light"
    async with CosinterpApp(store, memory=memory, theme="dark").run_test() as pilot:
        assert pilot.app.theme == "dark"


async def test_without_colours_everything_is_grey_and_said_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    monkeypatch.setenv("NO_COLOR", "1")
    async with CosinterpApp(store).run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "step 0, layer 0" in shown_text(pilot))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "all commands" in screen_text(pilot)[0])
        colours = {
            colour.triplet
            for strip in pilot.app.screen._compositor.render_strips()
            for segment in strip.apply_filter(pilot.app._filters[-1], Color.parse("black"))
            if segment.style is not None
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour is not None
        }
        assert all(len(set(triplet)) == 1 for triplet in colours if triplet is not None)
