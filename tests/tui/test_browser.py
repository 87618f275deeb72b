"""Browsing runs: what the screen shows, and what the keys do."""

import asyncio
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
from textual.message import Message
from textual.widgets import Static

from stores import layout
from tests.tui.driving import (
    browser_of,
    head_line,
    heads_of,
    rows_of,
    run_screen_of,
    screen_text,
    shown_text,
    status_of,
    table_of,
    until,
    until_read,
    until_whole,
)
from tests.tui.store_factory import keep_scores, make_catalog, make_store
from tui.app import CosinterpApp
from tui.browser import readers, reading
from tui.browser.readers import Readers
from tui.browser.run_table import RunTable
from tui.dialogs.page import Page
from tui.listing_messages import ReadingDone, RowsRead
from tui.memory import Memory
from tui.options import Options
from tui.pictures import Picture

SMALL = (80, 24)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "mazes", [("maze-1", 0), ("maze-1", 1), ("maze-2", 0), ("maze-10", 5)])


async def test_shows_the_runs_of_a_store(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        assert heads_of(pilot) == ["sample ^", "seed", "variant", "steps", "layers", "size", "age"]
        assert [row[:5] for row in rows_of(pilot)] == [
            ["maze-1", "0", "base", "2", "0-2"],
            ["maze-1", "1", "base", "2", "0-2"],
            ["maze-10", "5", "base", "2", "0-2"],
            ["maze-2", "0", "base", "2", "0-2"],
        ]
        assert "4 runs" in status_of(pilot)


async def test_everything_fits_into_80_columns(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        assert table_of(pilot).max_scroll_x == 0
        head = head_line(pilot)
        assert [word in head for word in ("sample", "seed", "layers", "size", "age")] == [True] * 5


async def test_the_detail_follows_the_cursor(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("down", "down")
        await until(pilot, lambda: "maze-10, seed 5" in "\n".join(screen_text(pilot)))
        shown = "\n".join(screen_text(pilot))
        assert "Go to the red goal." in shown
        assert "2 steps, timestep 1000 to 500, sigma 1 to 0" in shown
        assert "layers 0-2, steps 0-1, cond, grid 1x2x2, 4 channels, fp32" in shown


async def test_slash_filters_as_typed_and_escape_drops_it(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("slash", *"maze-1 seed=0-1")
        await until_read(pilot)
        assert [row[:2] for row in rows_of(pilot)] == [["maze-1", "0"], ["maze-1", "1"]]
        assert "2 of 4 runs" in status_of(pilot)
        await pilot.press("escape")
        await until_read(pilot)
        assert len(rows_of(pilot)) == 4
        assert pilot.app.focused is table_of(pilot)


async def test_enter_keeps_the_filter_and_q_quits_from_the_table(store: Path) -> None:
    app = CosinterpApp(store)
    async with app.run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("slash", "q", "backspace", "2", "enter")
        await until_read(pilot)
        assert [row[0] for row in rows_of(pilot)] == ["maze-2"]
        await pilot.press("q")
        await pilot.pause()
    assert not app.is_running


async def test_a_filter_that_cannot_be_read_says_so_and_hides_nothing(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=(160, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("slash", *"seed=3-1")
        await until_read(pilot)
        assert 'seeds "3-1": 3-1 runs backwards; write 1-3' in status_of(pilot)
        assert len(rows_of(pilot)) == 4


async def test_a_filter_that_fits_nothing_leaves_an_empty_table_and_pane(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("slash", *"zebra", "enter")
        await until_read(pilot)
        assert rows_of(pilot) == []
        assert "0 of 4 runs" in status_of(pilot)
        await until(pilot, lambda: "seed 0" not in "\n".join(screen_text(pilot)))


async def test_s_sorts_by_the_next_column_and_capital_s_turns_it_round(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("s")
        await until_read(pilot)
        assert [row[1] for row in rows_of(pilot)] == ["0", "0", "1", "5"]
        await pilot.press("S")
        await until_read(pilot)
        assert [row[1] for row in rows_of(pilot)] == ["5", "1", "0", "0"]
        assert heads_of(pilot)[1] == "seed v"


async def test_a_click_on_a_head_sorts_by_it(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.click(table_of(pilot), offset=(head_line(pilot).index("seed"), 0))
        await until_read(pilot)
        assert heads_of(pilot)[:2] == ["sample", "seed ^"]


async def test_the_cursor_stays_on_its_run_when_the_order_changes(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("end")
        chosen = table_of(pilot).current
        await pilot.press("S")
        await until_read(pilot)
        assert chosen is not None
        assert table_of(pilot).current == chosen
        assert table_of(pilot).cursor_row == 0


async def test_a_folder_of_stores_has_a_column_that_says_which(tmp_path: Path) -> None:
    make_store(tmp_path / "a", [("maze-1", 0)])
    make_store(tmp_path / "deep" / "b", [("maze-1", 0)])
    make_store(tmp_path / ".hidden", [("maze-1", 0)])
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        assert heads_of(pilot)[0] == "store"
        assert [row[0] for row in rows_of(pilot)] == ["a", "deep/b"]


@pytest.mark.parametrize("width", [80, 130, 200])
async def test_long_names_give_way_and_no_column_is_cut(tmp_path: Path, width: int) -> None:
    for name in ("towers-of-hanoi-with-four-pegs", "mazes"):
        make_store(tmp_path / name, [("maze-7x7-red-with-a-long-name-00012", 123)])
    async with CosinterpApp(tmp_path).run_test(size=(width, 24)) as pilot:
        await until_read(pilot)
        assert table_of(pilot).max_scroll_x == 0
        assert all(row[1].endswith("00012") for row in rows_of(pilot))
        await pilot.resize_terminal(100, 24)
        await until_read(pilot)
        assert table_of(pilot).max_scroll_x == 0


async def test_no_runs_says_how_to_make_some(tmp_path: Path) -> None:
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        shown = "\n".join(screen_text(pilot))
        assert "No runs here." in shown
        assert "cosinterp trace --model maze-wan" in shown


async def test_a_broken_store_is_a_line_and_the_others_are_shown(tmp_path: Path) -> None:
    make_store(tmp_path / "good", [("maze-1", 0)])
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / layout.STORE_FILE).write_text("{")
    async with CosinterpApp(tmp_path).run_test(size=(200, 24)) as pilot:
        await until_read(pilot)
        assert len(rows_of(pilot)) == 1
        assert "1 not read (e): " in status_of(pilot)
        await pilot.press("e")
        shown = "\n".join(screen_text(pilot))
        assert "damaged" in shown


async def test_a_broken_run_is_an_error_in_the_pane(store: Path) -> None:
    (store / layout.run_file("maze-1", 0)).write_bytes(b"no HDF5 at all")
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "error: " in "\n".join(screen_text(pilot)))


async def test_r_shows_runs_that_have_come(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        new = make_store(store.parent / "new", [("maze-3", 9)])
        file = layout.run_file("maze-3", 9)
        (store / file).parent.mkdir()
        (new / file).rename(store / file)
        await pilot.press("r")
        await until(pilot, lambda: len(rows_of(pilot)) == 5)


async def test_runs_that_come_late_after_r_have_the_keys_and_the_cursor_back(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, comes = reading.find_stores, threading.Event()

    def find_later(folder: Path, depth: int = reading.MAX_DEPTH) -> Iterator[Path | reading.Problem]:
        assert comes.wait(60)
        return find(folder, depth)

    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("down")
        monkeypatch.setattr(reading, "find_stores", find_later)
        await pilot.press("r")
        # Out of sight, as a table without rows is, it has not the keys.
        await until(pilot, lambda: pilot.app.screen.focused is None)
        comes.set()
        await until_read(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert "maze-1, seed 1" in screen_text(pilot)[0]


async def test_help_lists_the_keys_and_closes(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("question_mark")
        assert isinstance(pilot.app.screen, Page)
        assert "show only some runs" in "\n".join(screen_text(pilot))
        await pilot.press("end")
        await until(pilot, lambda: "leave" in shown_text(pilot))
        await pilot.press("escape")
        assert pilot.app.screen is browser_of(pilot)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 60)])
async def test_every_part_is_on_the_screen_at_any_size(store: Path, size: tuple[int, int]) -> None:
    async with CosinterpApp(store).run_test(size=size) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "prompt" in "\n".join(screen_text(pilot)))
        shown = screen_text(pilot)
        assert any("maze-1" in line for line in shown)
        assert "quit" in shown[-1].lower() or size[0] == 40
        await pilot.resize_terminal(*SMALL)
        await pilot.pause()
        assert any("maze-1" in line for line in screen_text(pilot))


async def test_keys_are_answered_while_a_file_system_hangs(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for_ever = threading.Event()

    def hang(*_: object) -> list:
        for_ever.wait()
        return []

    monkeypatch.setattr(reading, "read_rows", hang)
    app = CosinterpApp(store)
    try:
        async with asyncio.timeout(120):
            async with app.run_test(size=SMALL) as pilot:
                await pilot.pause()
                assert str(browser_of(pilot).query_one("#nothing", Static).content) == "reading..."
                await pilot.press("question_mark")
                assert isinstance(pilot.app.screen, Page)
                await pilot.press("escape", "q")
                await pilot.pause()
            assert not app.is_running
            # A read that has begun holds up nothing that is waited for.
            await asyncio.get_running_loop().shutdown_default_executor()
    finally:
        for_ever.set()


async def test_a_bug_in_a_reading_thread_ends_the_app_with_it(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list:
        raise RuntimeError("broken")

    monkeypatch.setattr(reading, "read_rows", broken)
    with pytest.raises(RuntimeError, match="broken"):
        async with CosinterpApp(store).run_test(size=SMALL) as pilot:
            await until(pilot, lambda: not pilot.app.is_running)


async def test_ten_thousand_runs_cost_what_is_seen_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    get_row = RunTable.get_row
    monkeypatch.setattr(RunTable, "get_row", lambda table, key: made.append(key.value) or get_row(table, key))
    async with CosinterpApp(make_catalog(tmp_path / "many", 10_000)).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        assert table_of(pilot).row_count == 10_000
        await pilot.press("S")
        # The run under the cursor is of the last sample now, and the first of that.
        assert table_of(pilot).cursor_row == 9_900
        await pilot.press("slash", *"seed=0-4999", "enter")
        await until(pilot, lambda: table_of(pilot).row_count == 5_000)
        assert len(set(made)) < 100


def test_the_runs_of_many_stores_are_told_in_lots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        make_catalog(tmp_path / f"store-{number}", 3)
    told: Queue[Message] = Queue()
    monkeypatch.setattr(readers, "PACE", 60)
    Readers(tmp_path, told.put).read_stores(1)
    lots: list[int] = []
    while not isinstance(message := told.get(timeout=10), ReadingDone):
        assert isinstance(message, RowsRead)
        lots.append(len(message.rows))
    assert lots == [3, 24]


async def test_scores_of_the_store_are_a_column_that_can_be_filtered(store: Path) -> None:
    keep_scores(store, {("maze-1", 0): 1.0, ("maze-1", 1): 0.0, ("maze-2", 0): math.nan})
    (store / "results" / "scores-old.nc").write_bytes(b"no result")
    async with CosinterpApp(store).run_test(size=(160, 24)) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "solved" in heads_of(pilot))
        await until_read(pilot)
        place = heads_of(pilot).index("solved")
        assert [row[place] for row in rows_of(pilot)] == ["yes", "no", "", ""]
        await until(pilot, lambda: "scores-old.nc: damaged; score the store again" in status_of(pilot))
        await pilot.press("slash", *"solved=no", "enter")
        await until_read(pilot)
        assert [row[:2] for row in rows_of(pilot)] == [["maze-1", "1"]]


async def test_scores_of_a_run_that_was_made_again_are_not_its_own(store: Path) -> None:
    keep_scores(store, {("maze-1", 0): 1.0}, finished="2020-01-01T00:00:00Z")
    keep_scores(store, {("maze-2", 0): 0.25}, name="scores-2", outcome="mean")
    async with CosinterpApp(store).run_test(size=(160, 24)) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "score" in heads_of(pilot))
        await until_read(pilot)
        place = heads_of(pilot).index("score")
        assert [row[place] for row in rows_of(pilot)] == ["", "", "", "0.25"]


async def test_the_first_image_is_beside_the_table_on_wide_screens(tmp_path: Path) -> None:
    image = np.full((16, 16, 3), (250, 0, 0), np.uint8)
    store = make_store(tmp_path / "mazes", [("maze-1", 0)], image=image)
    async with CosinterpApp(store).run_test(size=(200, 60)) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: browser_of(pilot).query(Picture))
        await pilot.pause()
        picture = browser_of(pilot).query_one(Picture)
        assert picture.size.height > 10
        style = picture._lines[0][0][1].bgcolor
        assert style is not None
        assert style.triplet == (252, 4, 4)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert not picture.display
    async with CosinterpApp(store, Options(low_bandwidth=True)).run_test(size=(200, 60)) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: browser_of(pilot)._detail)
        assert not browser_of(pilot).query(Picture)
        await pilot.press("enter")
        await until_whole(pilot)
        assert run_screen_of(pilot).query_one(Picture).size.height == 0


async def test_the_cursor_is_where_it_was_left(store: Path) -> None:
    memory = Memory()
    async with CosinterpApp(store, memory=memory).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("down", "down")
        await pilot.pause()
    async with CosinterpApp(store, memory=memory).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        current = table_of(pilot).current
        assert current is not None
        assert current.sample == "maze-10"
        # Where it is moved to, it stays.
        await pilot.press("home", "s")
        await until_read(pilot)
        current = table_of(pilot).current
        assert current is not None
        assert (current.sample, current.seed) == ("maze-1", 0)


async def test_capital_l_fills_a_form_in_with_the_run(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled: list[tuple[str, dict[str, object]]] = []

    async def fill_in(self: CosinterpApp, command: str, values: dict[str, object]) -> None:
        filled.append((command, values))

    monkeypatch.setattr(CosinterpApp, "fill_in", fill_in)
    image = np.zeros((4, 4, 3), np.uint8)
    with_image = make_store(store.parent / "images", [("maze-1", 0)], image=image)
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("down")
        await until(pilot, lambda: browser_of(pilot)._detail)
        await pilot.press("L")
        await pilot.pause()
    detail = reading.read_detail(reading.read_rows(with_image, with_image)[0])
    assert detail.form["only"] == "maze-1"
    assert "prompt" not in detail.form
    ((command, values),) = filled
    assert command == "trace"
    assert values == {
        "model": "maze-wan",
        "store": store,
        "name": "maze-1",
        "prompt": "Go to the red goal.",
        "seeds": 1,
        "layers": "0-2",
        "sites": "resid",
        "num_steps": 2,
    }
