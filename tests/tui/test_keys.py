"""The key table: every key has an action that exists, and no two share a key in one place."""

from collections import Counter

import pytest

from tui.app import CosinterpApp
from tui.browser.first_store import FirstStore
from tui.browser.one_store import OneStore
from tui.browser.screen import Browser
from tui.charts.chart_view import ChartView
from tui.dialogs.ask import Line, Question
from tui.frames.screen import Frames
from tui.jobs.log_screen import LogScreen
from tui.jobs.screen import Jobs
from tui.keys import KEYS, SECTIONS, Key
from tui.launch.screen import Launch
from tui.launch.value_input import ValueInput
from tui.palette.screen import Palette
from tui.results.compare_screen import CompareScreen
from tui.results.numbers_table import NumbersTable
from tui.results.result_screen import ResultScreen
from tui.results.screen import Results
from tui.run.screen import RunScreen
from tui.widgets.filter_line import FilterLine
from tui.widgets.heatmap_view import HeatmapView

PLACES = {
    "app": CosinterpApp,
    "runs": Browser,
    "store": OneStore,
    "jobs": Jobs,
    "log": LogScreen,
    "first": FirstStore,
    "filter": FilterLine,
    "run": RunScreen,
    "heatmap": HeatmapView,
    "chart": ChartView,
    "frames": Frames,
    "results": Results,
    "result": ResultScreen,
    "numbers": NumbersTable,
    "comparing": CompareScreen,
    "question": Question,
    "line": Line,
    "palette": Palette,
    "launch": Launch,
    "form": Launch,
    "value": ValueInput,
}


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.action], ids=lambda key: f"{key.where}-{key.keys}"
)
def test_every_action_is_there(key: Key) -> None:
    assert callable(getattr(PLACES[key.where], f"action_{str(key.action).partition('(')[0]}"))


def test_every_action_has_a_key() -> None:
    """What no key leads to is dead, or a key that was forgotten."""
    own = {name for place in PLACES.values() for name in vars(place) if name.startswith("action_")}
    bound = {f"action_{str(key.action).partition('(')[0]}" for key in KEYS}
    # Textual's own, in words of ours.
    assert own - bound == {"action_command_palette", "action_submit", "action_theme"}


def test_every_key_is_on_the_help_page() -> None:
    assert {key.where for key in KEYS} == set(SECTIONS) == set(PLACES)
    assert all(key.help and key.shown for key in KEYS)


def test_no_key_does_two_things_in_one_place() -> None:
    counts = Counter((key.where, one) for key in KEYS for one in key.keys.split(","))
    assert [place for place, count in counts.items() if count > 1] == []
