"""Two results: laid over one another, beside one another, and what differs between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from probes.results.files import result_path
from probes.results.result import Result
from tests.tui import planted_results as planted
from tests.tui.driving import shown_text, until
from tests.tui.results_driving import open_two, results_store, save, status, until_shown
from tui.app import CosinterpApp
from tui.charts.chart_view import ChartView
from tui.dialogs.chooser import Chooser
from tui.results.compare_screen import CompareScreen
from tui.results.comparing import names_of
from tui.results.comparing import open_two as two_of
from tui.widgets.heatmap_view import HeatmapView

SMALL = (80, 24)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return results_store(tmp_path / "mazes")


async def test_maps_are_subtracted_or_stand_beside_one_another_with_one_cursor(store: Path) -> None:
    other = planted.patched()
    save(
        Result(other.dataset.assign(x0_recovered=other.dataset["x0_recovered"] - 1), other.provenance),
        store,
        "less",
    )
    async with CosinterpApp(store).run_test(size=(120, 30)) as pilot:
        screen = await open_two(pilot, store, "flip", "less")
        together = screen.query_one("#compare-together").query_one(HeatmapView)
        assert together.heatmap is not None
        assert together.heatmap.values == pytest.approx(-1.0)
        await pilot.press("b")
        await pilot.pause()
        first, second = (
            screen.query_one(f"#compare-{side}").query_one(HeatmapView) for side in ("first", "second")
        )
        assert first.heatmap is not None
        assert second.heatmap is not None
        assert first.region.right <= second.region.x
        # One scale for both, so that equal colours mean equal values.
        whole = np.array([first.heatmap.values, second.heatmap.values])
        assert first.heatmap.reach == second.heatmap.reach == (whole.min(), whole.max())
        await pilot.press("right", "down", "down")
        await until(pilot, lambda: (second.at_column, second.at_row) == (1, 2))
        await pilot.press("tab", "left")
        await until(pilot, lambda: (first.at_column, first.at_row) == (0, 2))
        await pilot.resize_terminal(80, 40)
        await pilot.pause()
        assert first.region.bottom <= second.region.y


async def test_what_both_say_and_what_differs_in_what_was_asked_stand_side_by_side(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        screen = await open_two(pilot, store, "flip", "again")
        await pilot.press("V")
        await until_shown(pilot)
        shown = " ".join(shown_text(pilot).split())
        assert "steps flip: 0-2 again: 0-1" in shown
        assert "layers" not in shown
        assert "more settings are the same" in shown
        await pilot.resize_terminal(120, 24)
        await pilot.press("v", "V")
        await until_shown(pilot)
        assert "steps 0-2 0-1" in " ".join(shown_text(pilot).split())
        await pilot.press("V")
        await until_shown(pilot)
        assert shown_text(pilot).count("Patching: one run's activations put into another") == 2
        await pilot.press("c")
        assert isinstance(pilot.app.screen, Chooser)
        await pilot.press("escape", "escape")
        assert pilot.app.screen is not screen


async def test_charts_that_do_not_compare_stand_beside_one_another(store: Path) -> None:
    save(planted.swept_along_layers(), store, "curve")
    async with CosinterpApp(store).run_test(size=(160, 40)) as pilot:
        screen = await open_two(pilot, store, "path", "curve")
        assert screen.query_one("#compare-first").query_one(HeatmapView).is_on_screen
        assert screen.query_one("#compare-second").query_one(ChartView).is_on_screen
        assert "lays them over" not in status(pilot)


async def test_one_that_cannot_be_read_is_a_word(store: Path) -> None:
    result_path(store, "again").write_bytes(b"no HDF5 at all")
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await open_two(pilot, store, "flip", "again")
        assert "damaged, or no result" in " ".join(shown_text(pilot).split())
        save(planted.patched(), store, "again")
        await pilot.press("r")
        await until(pilot, lambda: "b shows them beside" in status(pilot))
        assert isinstance(pilot.app.screen, CompareScreen)


def test_two_share_the_views_of_the_same_name_and_are_told_apart_by_short_names(store: Path) -> None:
    two = two_of((store, "flip"), (store, "again"))
    assert [pair.name for pair in two.pairs] == [tab.name for tab in two.first.charts]
    assert two.differences[0] == ("steps", "0-2", "0-1")
    assert two_of((store, "flip"), (store, "path")).pairs[0].name.count(", ") >= 1
    assert names_of((store, "a"), (store, "b")) == ("a", "b")
    assert names_of((store, "a"), (store.parent / "other", "a")) == ("mazes/a", "other/a")
    assert names_of((Path("x/s"), "a"), (Path("y/s"), "a")) == ("x/s/a", "y/s/a")
