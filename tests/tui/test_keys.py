"""The key table: every key has an action that exists, and no two share a key in one place."""

from collections import Counter

import pytest

from tui.app import CosinterpApp
from tui.keys import KEYS, SECTIONS, Key
from tui.screens.browser import Browser
from tui.screens.frames import Frames
from tui.screens.run import RunScreen
from tui.widgets.filter_line import FilterLine
from tui.widgets.heatmap_view import HeatmapView

PLACES = {
    "app": CosinterpApp,
    "runs": Browser,
    "filter": FilterLine,
    "run": RunScreen,
    "heatmap": HeatmapView,
    "frames": Frames,
}


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.action], ids=lambda key: f"{key.where}-{key.keys}"
)
def test_every_action_is_there(key: Key) -> None:
    assert callable(getattr(PLACES[key.where], f"action_{key.action}"))


def test_every_key_is_on_the_help_page() -> None:
    assert {key.where for key in KEYS} == set(SECTIONS) == set(PLACES)
    assert all(key.help and key.shown for key in KEYS)


def test_no_key_does_two_things_in_one_place() -> None:
    counts = Counter((key.where, one) for key in KEYS for one in key.keys.split(","))
    assert [place for place, count in counts.items() if count > 1] == []
