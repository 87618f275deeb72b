"""One result: every kind opens, and what its keys do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import numpy as np
import pandas as pd
import pytest
import xarray
from textual.widgets import Input

from probes.results.files import result_path
from probes.results.result import Result
from stores.errors import UserError
from tests.tui import planted_results as planted
from tests.tui.driving import shown_text, until
from tests.tui.results_driving import (
    COMMAND,
    open_result,
    open_results,
    results_store,
    save,
    status,
    until_shown,
)
from tests.tui.store_factory import make_result, make_store
from tui.app import CosinterpApp, Options
from tui.dialogs.ask import Line, Question
from tui.dialogs.chooser import Chooser
from tui.dialogs.page import Page
from tui.launch.screen import Launch
from tui.pictures import Picture
from tui.results.compare_screen import CompareScreen
from tui.results.exporting import Export, opener, write, wrong_with
from tui.results.numbers_table import NumbersTable
from tui.results.result_screen import ResultScreen
from tui.results.tabs import ChartTab, FigureTab, MadeTab, NumbersTab, SaysTab, content_of
from tui.results.tabs import open_result as opened_result
from tui.results.view_pane import ViewPane
from tui.widgets.map_pane import MapPane

SMALL = (80, 24)
KINDS: dict[str, Callable[[Path], Result]] = {
    "probe": lambda folder: planted.probed(),
    "transfer": lambda folder: planted.transferred(),
    "patch": lambda folder: planted.patched(),
    "ablation": lambda folder: planted.patched("ablation"),
    "steering": lambda folder: planted.steered_along_scales(),
    "attribution": lambda folder: planted.attributed(),
    "convergence": planted.converged,
    "scores": planted.scored,
    "ensemble": planted.ensembled,
    "noise": planted.noisy,
    "similarity": planted.similar,
    "maps": planted.mapped_out,
    "experiment": lambda folder: planted.experimented(),
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return results_store(tmp_path / "mazes")


async def test_every_kind_opens_with_charts_what_it_says_numbers_how_it_was_made_and_figures(
    tmp_path: Path,
) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    for kind, make in KINDS.items():
        (tmp_path / kind).mkdir()
        made = make(tmp_path / kind)
        assert made.kind == kind
        if made.path is None:
            save(made, store, kind)
        else:
            result_path(store, kind).parent.mkdir(exist_ok=True)
            copyfile(made.path, result_path(store, kind))
    sorts = {ChartTab, SaysTab, NumbersTab, MadeTab, FigureTab}
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        # One screen, as each costs more than what it shows.
        screen = await open_result(pilot, store, "probe")
        for kind in KINDS:
            screen.result_name = kind
            await pilot.press("r")
            await until(pilot, lambda: screen.opened is not None and screen.opened.result.kind == kind)  # noqa: B023
            await until_shown(pilot)
            opened = screen.opened
            assert opened is not None
            assert ({type(tab) for tab in opened.tabs}, opened.problem) == (sorts, ""), kind
            assert isinstance(screen.tab, ChartTab), kind
            assert screen.query_one(ViewPane).focusable is screen.focused, kind
            assert "error:" not in shown_text(pilot), kind
            # The other charts and the figures are made by the tests of each kind.
            for tab in (SaysTab(), NumbersTab()):
                assert content_of(opened.result, tab) is not None, (kind, tab.name)


async def test_what_no_version_knows_and_what_lacks_something_is_still_shown(store: Path) -> None:
    numbers = xarray.Dataset({"score": (("step", "layer"), np.array([[1.0, 2.0], [3.0, 4.0]]))})
    make_result(store, "own", numbers, "telepathy")
    save(Result(planted.probed().dataset.drop_vars("score"), {"kind": "probe"}), store, "lacking")
    make_result(store, "no-patch", xarray.Dataset({"x0_recovered": ("patch", np.array([1.0]))}), "patch")
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        screen = await open_result(pilot, store, "no-patch")
        assert screen.opened is not None
        assert "its patches have no control" in screen.opened.problem
        await pilot.press("escape")
        await open_result(pilot, store, "own")
        await pilot.press("i")
        await until_shown(pilot)
        assert 'Results of the kind "telepathy" are not known' in " ".join(shown_text(pilot).split())
        await pilot.press("escape")
        screen = await open_result(pilot, store, "lacking")
        assert screen.opened is not None
        assert screen.opened.problem
        assert "error: " in shown_text(pilot)
        await pilot.press("v", "v")
        await until_shown(pilot)
        assert "to make it again" in shown_text(pilot)


def test_what_says_nothing_of_how_it_was_made_is_an_error_wherever_that_is_told(
    store: Path, tmp_path: Path
) -> None:
    bare = planted.probed().dataset.copy()
    bare.attrs = {}
    save(Result(bare, {"kind": "probe"}), store, "bare")
    opened = opened_result(store, "bare")
    for tab in (SaysTab(), NumbersTab(), FigureTab("score")):
        with pytest.raises(UserError, match="bare.nc: lacks what results of its kind have"):
            content_of(opened.result, tab)
    for name in ("bare.csv", "bare.png"):
        with pytest.raises(UserError, match="lacks"):
            write(Export(opened.result, tmp_path / name, None))


async def test_a_damaged_result_and_one_that_vanishes_are_words_and_come_back_when_mended(
    store: Path,
) -> None:
    file = result_path(store, "flip")
    whole = file.read_bytes()
    file.write_bytes(whole[:4000])
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await open_result(pilot, store, "flip")
        assert "damaged, or no result" in " ".join(shown_text(pilot).split())
        assert "D removes it" in shown_text(pilot)
        file.write_bytes(whole)
        await pilot.press("r")
        await until(pilot, lambda: "x0_recovered" in shown_text(pilot))
        file.unlink()
        # What has been read stays, until it is read again.
        await pilot.press("n")
        await until(pilot, lambda: "rows" in status(pilot))
        await pilot.press("r")
        await until(
            pilot, lambda: "no such result; there are again, path" in " ".join(shown_text(pilot).split())
        )
        await pilot.press("v", "i", "n", "E", "y", "m")
        assert isinstance(pilot.app.screen, ResultScreen)


async def test_tabs_are_gone_through_and_chosen_and_figures_drawn(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        screen = await open_result(pilot, store, "flip")
        assert screen.opened is not None
        names = [tab.name for tab in screen.opened.tabs]
        seen = []
        for _ in names:
            seen.append(screen.tab.name if screen.tab else "")
            await pilot.press("v")
        assert seen == names
        await pilot.press("V")
        await until_shown(pilot)
        assert isinstance(screen.tab, FigureTab)
        frame = screen.query_one(Picture)._frame
        assert frame is not None
        assert frame.min() < 100 < frame.max()
        assert "▀" in shown_text(pilot)
        picture, pane = screen.query_one(Picture), screen.query_one("#result-figure")
        assert picture.size.height == pane.size.height
        await pilot.press("z")
        await until(pilot, lambda: picture.size.height > pane.size.height)
        await pilot.press("z", "c")
        assert isinstance(pilot.app.screen, Chooser)
        await pilot.press("home", "enter")
        await pilot.pause()
        assert screen.query_one(MapPane).is_on_screen
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: "n = 5 patches of 5 samples" in shown_text(pilot))
        await until(pilot, lambda: "note: one pair was left out" in shown_text(pilot))
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        assert "step 0, layer 0" in shown_text(pilot)


async def test_numbers_are_sorted_filtered_and_a_row_is_told_whole(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        screen = await open_result(pilot, store, "path")
        await pilot.press("n")
        await until(pilot, lambda: "12 rows" in status(pilot))
        table = screen.query_one(NumbersTable)
        await pilot.press("slash", *"step=1-2 layer>0", "enter")
        await until(pilot, lambda: "4 of 12 rows" in status(pilot))
        await pilot.press("s", "S")
        await until(pilot, lambda: table._places.tolist() == [7, 8, 4, 5])
        await pilot.press("down", "enter")
        assert isinstance(pilot.app.screen, Page)
        await until(pilot, lambda: "row 5" in shown_text(pilot))
        await pilot.press("escape", "slash", "escape", "slash", *"layer>x")
        await until(pilot, lambda: "layer>x: x is no number" in status(pilot))
        assert len(table._places) == 12
        await pilot.press("escape")
        await until(pilot, lambda: status(pilot).count("12 rows") == 1 and " of " not in status(pilot))


async def test_it_is_exported_and_a_file_that_is_there_only_after_a_question(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = Result.open(result_path(store, "flip")).table()
    async with CosinterpApp(store).run_test(size=SMALL, notifications=True) as pilot:
        await open_result(pilot, store, "flip")
        await pilot.press("E")
        assert isinstance(pilot.app.screen, Line)
        await pilot.press("enter")
        await until(pilot, (tmp_path / "flip.csv").exists)
        pd.testing.assert_frame_equal(pd.read_csv("flip.csv"), expected, check_dtype=False)
        (tmp_path / "flip.csv").write_text("mine")
        for answer, content in (("n", "mine"), ("y", "effect,")):
            await pilot.press("E", "enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, Question))
            await pilot.press(answer)
            await until(pilot, lambda: (tmp_path / "flip.csv").read_text().startswith(content))  # noqa: B023
        await pilot.press("V", "E")
        await until(pilot, lambda: isinstance(pilot.app.screen, Line))
        line = pilot.app.screen.query_one(Input)
        assert line.value.endswith(".png")
        line.value = "figure.gif"
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, Line)
        line.value = "figure.svg"
        await pilot.press("enter")
        await until(pilot, (tmp_path / "figure.svg").exists)
        assert "<svg" in (tmp_path / "figure.svg").read_text()


async def test_where_the_app_only_reads_nothing_is_written_or_removed(store: Path) -> None:
    app = CosinterpApp(store, Options(readonly=True))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        screen = await open_result(pilot, store, "flip")
        for key in ("E", "D", "o"):
            await pilot.press(key)
            assert app.screen is screen
        await until(pilot, lambda: "read-only" in shown_text(pilot))
        file = result_path(store, "flip")
        file.write_bytes(file.read_bytes()[:4000])
        await pilot.press("r")
        await until(pilot, lambda: "r reads it again, esc" in shown_text(pilot))


async def test_its_command_is_copied_and_leads_to_its_form_with_the_store_that_is_here(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await open_result(pilot, store, "flip")
        await pilot.press("y")
        await until(pilot, lambda: pilot.app.clipboard == COMMAND)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(pilot.app.screen, Launch))
        launch = pilot.app.screen
        assert isinstance(launch, Launch)
        await until(pilot, lambda: launch._view.form is not None)
        values = launch._view.values
        assert (values["store"], values["donor"], values["layers"]) == (str(store), "red-*", "0-3")


async def test_without_a_screen_the_picture_is_written_and_it_is_said_where(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    async with CosinterpApp(store).run_test(size=(200, 24), notifications=True) as pilot:
        await open_result(pilot, store, "path")
        await pilot.press("o")
        file = Path(os.environ["COSINTERP_HOME"]) / "figures" / "mazes-path-figure.png"
        await until(pilot, file.exists)
        await until(pilot, lambda: "wrote " in shown_text(pilot))
        assert file.read_bytes().startswith(b"\x89PNG")


async def test_it_is_compared_with_another_of_its_kind_first(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await open_results(pilot)
        await open_result(pilot, store, "flip")
        await pilot.press("equals_sign")
        await until(pilot, lambda: isinstance(pilot.app.screen, Chooser))
        assert "again   patch" in shown_text(pilot)
        await pilot.press("enter")
        await pilot.pause()
        screen = pilot.app.screen
        assert isinstance(screen, CompareScreen)
        assert screen._names == ("flip", "again")


def test_file_names_are_judged_and_pictures_open_where_they_are_seen() -> None:
    assert [bool(wrong_with(text)) for text in ("a.csv", "~/b.PNG", "", "c.gif", "csv")] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert opener({"WAYLAND_DISPLAY": "wayland-0"}, "linux") == ["xdg-open"]
    assert opener({"DISPLAY": ":0", "SSH_CONNECTION": "a"}, "darwin") is None
