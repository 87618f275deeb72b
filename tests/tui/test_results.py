"""The list of results: what it shows, and what its keys do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from probes.results.files import result_path
from probes.results.listing import results
from probes.results.result import Result
from tests.tui import planted_results as planted
from tests.tui.driving import shown_text, until, until_read
from tests.tui.results_driving import open_results, results_store, rows, save, status
from tests.tui.store_factory import make_store
from tui.app import CosinterpApp, Options
from tui.dialogs.ask import Question
from tui.dialogs.page import Page
from tui.results.compare_screen import CompareScreen
from tui.results.result_screen import ResultScreen
from tui.results.rows import ResultRow, matcher, of_store
from tui.results.screen import Results

SMALL = (80, 24)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two stores; the second one's only result is damaged."""
    results_store(tmp_path / "stores" / "goals")
    other = make_store(tmp_path / "stores" / "mazes 2", [("maze-1", 0)])
    broken = result_path(other, "broken")
    broken.parent.mkdir(exist_ok=True)
    broken.write_bytes(b"no HDF5 at all")
    return tmp_path / "stores"


async def test_results_of_all_stores_are_listed_sorted_filtered_and_say_what_they_say(folder: Path) -> None:
    async with CosinterpApp(folder).run_test(size=SMALL) as pilot:
        screen = await open_results(pilot)
        assert [row[:3] for row in rows(screen)] == [
            ["goals", "again", "patch"],
            ["mazes 2", "broken", "cannot be read"],
            ["goals", "flip", "patch"],
            ["goals", "path", "probe"],
        ]
        assert "4 results   1 not read (e): " in status(pilot)
        await until(pilot, lambda: "x0_recovered is strongest at" in shown_text(pilot))
        await pilot.press("down")
        await until(pilot, lambda: "error: " in shown_text(pilot) and "damaged" in shown_text(pilot))
        await pilot.press("e")
        assert isinstance(pilot.app.screen, Page)
        assert "broken.nc: damaged" in shown_text(pilot)
        await pilot.press("escape", "s", "S")
        await until(pilot, lambda: screen._listed.is_done)
        assert [row[1] for row in rows(screen)] == ["path", "again", "flip", "broken"]
        await pilot.press("slash", *"kind=patch fl", "enter")
        assert [row[1] for row in rows(screen)] == ["flip"]
        assert "1 of 4 results" in status(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ResultScreen)


async def test_two_marked_results_are_compared_and_a_third_mark_takes_the_first_away(folder: Path) -> None:
    async with CosinterpApp(folder / "goals").run_test(size=SMALL) as pilot:
        screen = await open_results(pilot)
        await pilot.press("equals_sign")
        assert isinstance(pilot.app.screen, Results)
        await pilot.press("space", "space", "space")
        assert [row[0] for row in rows(screen)] == ["again", "*flip", "*path"]
        assert "2 marked, = compares" in status(pilot)
        await pilot.press("up", "up", "space", "equals_sign")
        await pilot.pause()
        assert isinstance(pilot.app.screen, CompareScreen)
        assert {name for _, name in pilot.app.screen._which} == {"again", "path"}


async def test_a_result_is_removed_after_a_question_and_what_else_changed_is_seen(folder: Path) -> None:
    store = folder / "goals"
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        screen = await open_results(pilot)
        await pilot.press("D")
        assert isinstance(pilot.app.screen, Question)
        assert "Remove the result again of goals?" in shown_text(pilot)
        await pilot.press("n")
        assert result_path(store, "again").exists()
        save(planted.attributed(), store, "new")
        await pilot.press("D", "y")
        await until(pilot, lambda: [row[0] for row in rows(screen)] == ["flip", "new", "path"])
        assert not result_path(store, "again").exists()


async def test_nothing_is_removed_where_the_app_only_reads(folder: Path) -> None:
    app = CosinterpApp(folder / "goals", Options(readonly=True))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await open_results(pilot)
        await pilot.press("D")
        await until(pilot, lambda: "read-only" in shown_text(pilot))
        assert isinstance(app.screen, Results)
        assert result_path(folder / "goals", "again").exists()


async def test_without_results_it_says_what_makes_some(tmp_path: Path) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await open_results(pilot)
        assert "No results here." in shown_text(pilot)
        assert "cosinterp score STORE" in shown_text(pilot)
        save(planted.attributed(), store, "new")
        await pilot.press("r")
        await until(pilot, lambda: "attribution" in shown_text(pilot))


async def test_a_run_leads_to_the_results_of_its_store(folder: Path) -> None:
    async with CosinterpApp(folder).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("down", "R")
        await pilot.pause()
        screen = pilot.app.screen
        assert isinstance(screen, Results)
        await until(pilot, lambda: screen._listed.is_done and "1 of 4 results" in status(pilot))
        assert [row[1] for row in rows(screen)] == ["broken"]
        await pilot.press("slash", "escape")
        assert len(rows(screen)) == 4


async def test_the_list_needs_no_numbers_and_keys_do_not_wait_for_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, opened = threading.Event(), Result.open

    def slowly(path: Path) -> Result:
        assert go_on.wait(20)
        return opened(path)

    monkeypatch.setattr(Result, "open", slowly)
    async with CosinterpApp(folder / "goals").run_test(size=SMALL) as pilot:
        try:
            screen = await open_results(pilot)
            assert len(rows(screen)) == 3
            await pilot.press("slash", *"path")
            assert [row[0] for row in rows(screen)] == ["path"]
        finally:
            go_on.set()
        await until(pilot, lambda: "Linear probes by step and layer" in shown_text(pilot))


def test_filters_ask_columns_or_any_of_them(folder: Path) -> None:
    stores = ((folder / "goals", "goals"), (folder / "mazes 2", "mazes 2"))
    listed = [
        ResultRow(store, name, entry, entry.title)
        for store, name in stores
        for entry in results(store).entries
    ]

    def kept(text: str) -> list[str]:
        return [row.name for row in listed if matcher(text)(row)]

    assert kept("") == ["again", "flip", "path", "broken"]
    assert kept("kind=patch") == ["again", "flip"]
    assert kept("Linear") == ["path"]
    assert kept("name=a kind=patch") == ["again"]
    assert kept(of_store("mazes 2")) == ["broken"]
    assert kept("store=goal") == []
