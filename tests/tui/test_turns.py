"""Several keys that come at once."""

from pathlib import Path

import pytest
from textual.events import Key
from textual.keys import _character_to_key

from tests.tui.driving import rows_of, until, until_read
from tests.tui.store_factory import make_store
from tui.app import CosinterpApp
from tui.results.screen import Results
from tui.run.screen import RunScreen
from tui.turns import Turns
from tui.widgets.filter_line import FilterLine


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "mazes", [("maze-1", 0), ("maze-1", 1)])


def burst(app: CosinterpApp, *keys: str) -> None:
    """Keys as a terminal sends them: all are there before the first is looked at."""
    for key in keys:
        is_character = len(key) == 1
        app.post_message(Key(_character_to_key(key) if is_character else key, key if is_character else None))


async def test_what_is_typed_at_once_goes_where_the_keys_before_it_lead(store: Path) -> None:
    app = CosinterpApp(store)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        burst(app, "/", *"seed=1", "enter", "s")
        await until(pilot, lambda: [row[1] for row in rows_of(pilot)] == ["1"])
        line = app.screen.query_one(FilterLine)
        assert line.value == "seed=1"
        assert app.focused is not line
        # Of a place that is made by the first of them, too.
        burst(app, "2", "/", *"kind=x", "enter")
        await until(pilot, lambda: isinstance(app.screen, Results))
        results = app.screen.query_one(FilterLine)
        await until(pilot, lambda: results.value == "kind=x" and app.focused is not results)
        burst(app, "1", "/", "escape", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert line.value == ""


async def test_a_key_that_is_never_done_with_holds_others_up_for_a_moment(store: Path) -> None:
    app = CosinterpApp(store)
    seen: list[str] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await until_read(pilot)

        async def look(event: Key) -> None:
            seen.append(event.key)

        turns = Turns(app, look)
        turns._follow = lambda *_: None
        for key in "abc":
            await turns.take(Key(key, key))
        assert seen == ["a"]
        await until(pilot, lambda: seen == ["a", "b", "c"])
