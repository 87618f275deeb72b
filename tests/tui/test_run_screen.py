"""One run: its heatmaps, exact numbers, profiles, and what is said where there is nothing to show."""

import threading
from pathlib import Path

import numpy as np
import pytest
import xarray

from probes.results.files import result_path
from stores import layout
from tests.tui.driving import (
    browser_of,
    heatmap_of,
    numbers_of,
    run_screen_of,
    shown_text,
    until,
    until_mapped,
    until_read,
    until_whole,
)
from tests.tui.store_factory import make_result, make_store
from tui.app import CosinterpApp
from tui.dialogs.chooser import Chooser
from tui.dialogs.page import Page
from tui.heatmaps import choices
from tui.heatmaps.choices import OfRun
from tui.widgets.canvas import Canvas

SMALL = (80, 24)
SIZES = [(40, 12), (80, 24), (200, 60)]


def constant(step: int, layer: int) -> np.ndarray:
    """Activations whose energy is 1 + step + 10 layer."""
    return np.full((1, 2, 2, 4), 1 + step + 10 * layer, np.float32)


def image() -> np.ndarray:
    """Red above blue."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4, :, 0] = picture[4:, :, 2] = 255
    return picture


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "mazes", [("maze-1", 0), ("maze-2", 5)], activations=constant, image=image())


def result(store: Path, steps: int = 4, layers: int = 5) -> Path:
    """A result whose value is 100 step + layer, and which stands out where that is even."""
    values = 100.0 * np.arange(steps)[:, None] + np.arange(layers)
    axes = ("step", "layer")
    low = np.where(values % 2 == 0, 1.0, -1.0)
    dataset = xarray.Dataset(
        {
            "above": (axes, values, {"long_name": "score above something"}),
            "above_low": (axes, low),
            "above_high": (axes, values + 1),
        },
        {"step": range(steps), "layer": range(layers)},
    )
    return make_result(store, "sums", dataset)


async def test_enter_opens_the_run_with_its_energy_exact_numbers_and_profiles(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        assert "maze-1, seed 0, base" in shown_text(pilot)
        assert "energy (root mean square), resid, cond" in shown_text(pilot)
        assert numbers_of(pilot) == "step 0, layer 0: 1"
        await pilot.press("right", "down")
        for told in ("by step, layer 1", "11 to 12", "by layer, step 1", "2 to 22"):
            assert told in shown_text(pilot)
        await pilot.press("down")
        assert numbers_of(pilot) == "step 1, layer 2: 22"
        await pilot.press("down", "right")
        assert numbers_of(pilot) == "step 1, layer 2: 22"
        await pilot.press("left_square_bracket", "home")
        assert numbers_of(pilot) == "step 0, layer 1: 11"


async def test_escape_goes_back_to_the_run_that_was_open(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("down", "enter")
        await until_whole(pilot)
        assert "maze-2, seed 5" in shown_text(pilot)
        await pilot.press("escape")
        assert pilot.app.screen is browser_of(pilot)


async def test_v_goes_through_the_quantities_and_the_results_of_the_store(store: Path) -> None:
    result(store)
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        titles = []
        for _ in range(4):
            await pilot.press("v")
            await until_whole(pilot)
            heatmap = heatmap_of(pilot).heatmap
            assert heatmap is not None
            titles.append(heatmap.title.partition(" (")[0])
        assert titles == [
            "change from the step before",
            "debiased linear CKA with the last step",
            "score above something",
            "energy",
        ]


async def test_a_result_has_intervals_and_signs_that_need_no_colour(store: Path) -> None:
    result(store, steps=12)
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        await pilot.press("V")
        await until_whole(pilot)
        await pilot.press("right", "down", "down")
        assert numbers_of(pilot) == "step 1, layer 2: 102 [1, 103], * its interval does not hold 0"
        rows = [line for line in shown_text(pilot).splitlines() if line.lstrip()[:2] in ("3 ", "4 ")]
        assert [row.count("*") for row in rows] == [0, 12]


async def test_a_map_larger_than_the_screen_scrolls_with_the_cursor(store: Path) -> None:
    result(store, steps=50, layers=41)
    async with CosinterpApp(store).run_test(size=(40, 12)) as pilot:
        await until_mapped(pilot)
        await pilot.press("V")
        await until_whole(pilot)
        await pilot.press("end", *["pagedown"] * 10)
        assert numbers_of(pilot).startswith("step 49, layer 40: 4940 ")
        assert "layer 37 to 40 of 41" in heatmap_of(pilot).query_one("#legend", Canvas).line_text(0)
        view = heatmap_of(pilot)
        assert 49 in view.visible_columns
        await pilot.resize_terminal(200, 60)
        await pilot.pause()
        assert view.visible_columns == range(50)
        assert numbers_of(pilot).startswith("step 49, layer 40: 4940 ")


async def test_the_cursor_stays_on_its_step_and_layer_when_the_quantity_changes(store: Path) -> None:
    result(store)
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        await pilot.press("right", "down", "V")
        await until_whole(pilot)
        assert numbers_of(pilot).startswith("step 1, layer 1: 101 ")


async def test_c_lists_what_there_is_and_enter_takes_it(store: Path) -> None:
    result(store)
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        await pilot.press("c")
        assert isinstance(pilot.app.screen, Chooser)
        assert "sums: own" in shown_text(pilot)
        await pilot.press("down", "enter")
        await until_whole(pilot)
        assert "change from the step before" in shown_text(pilot)
        assert numbers_of(pilot) == "step 0, layer 0: not known"


async def test_digits_in_place_of_colours(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result(store, steps=12)
    monkeypatch.setenv("NO_COLOR", "1")
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        await pilot.press("V")
        await until_whole(pilot)
        shown = shown_text(pilot)
        assert "0 is -1104, 9 is 1104" in shown
        # Zero, the centre, has the digit in the middle; the last step the last.
        label, *cells = shown.splitlines()[3].split()
        assert (label, cells[0], cells[-1]) == ("0", "5*", "9*")


async def test_d_shows_digits_and_colours_again(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        await pilot.press("d")
        assert "0 is 1, 9 is 22" in shown_text(pilot)
        # A cell is three lines tall here; the cursor is in the middle one.
        column = heatmap_of(pilot)._pieces[0]
        assert [any(one.style and one.style.reverse for one in column.render_line(y)) for y in range(3)] == [
            False,
            True,
            False,
        ]
        await pilot.press("d")
        assert "0 is" not in shown_text(pilot)


async def test_i_shows_the_first_image_the_prompt_and_facts(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        assert "Go to the red goal." not in shown_text(pilot)
        await pilot.press("i")
        await pilot.pause()
        assert "Go to the red goal." in shown_text(pilot)
        assert "layers 0-2, steps 0-1" in shown_text(pilot)
        strips = pilot.app.screen._compositor.render_strips()
        colours = {
            (segment.style.bgcolor.triplet.red > 200, segment.style.bgcolor.triplet.blue > 200)
            for strip in strips
            for segment in strip
            if segment.style and segment.style.bgcolor and segment.style.bgcolor.triplet
        }
        assert {(True, False), (False, True)} <= colours
        await pilot.press("i")
        await pilot.pause()
        assert "Go to the red goal." not in shown_text(pilot)


async def test_a_wide_screen_shows_both(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=(200, 60)) as pilot:
        await until_mapped(pilot)
        assert "Go to the red goal." in shown_text(pilot)
        assert "energy (root mean square)" in shown_text(pilot)


async def test_on_a_small_screen_the_arrows_scroll_what_is_said_of_the_run(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=(40, 12)) as pilot:
        await until_mapped(pilot)
        await pilot.press("i")
        await pilot.pause()
        assert "prompt" in shown_text(pilot)
        assert "file" not in shown_text(pilot)
        await pilot.press("end")
        await until(pilot, lambda: "heatmap" in shown_text(pilot))
        await pilot.press("i", "right")
        assert numbers_of(pilot) == "step 1, layer 0: 2"


@pytest.mark.parametrize("size", SIZES)
async def test_every_part_is_on_the_screen_at_any_size(store: Path, size: tuple[int, int]) -> None:
    async with CosinterpApp(store).run_test(size=size) as pilot:
        await until_mapped(pilot)
        shown = shown_text(pilot)
        for part in ("maze-1, seed 0", "step", "layer", "step 0, layer 0: 1", "by step", "by layer"):
            assert part in shown
        await pilot.resize_terminal(*SMALL)
        await pilot.pause()
        assert "step 0, layer 0: 1" in shown_text(pilot)


async def test_a_damaged_run_is_an_error_in_the_view(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        (store / layout.run_file("maze-1", 0)).write_bytes(b"no HDF5 at all")
        await pilot.press("enter")
        await until(pilot, lambda: "error: " in shown_text(pilot))
        await pilot.press("escape")
        assert pilot.app.screen is browser_of(pilot)


async def test_a_damaged_result_is_a_word_in_the_status_and_the_others_are_there(store: Path) -> None:
    result_path(store, "broken").parent.mkdir(exist_ok=True)
    result_path(store, "broken").write_bytes(b"no HDF5 at all")
    result(store)
    async with CosinterpApp(store).run_test(size=(200, 24)) as pilot:
        await until_mapped(pilot)
        assert "1 not read: " in shown_text(pilot)
        assert "broken.nc: damaged" in shown_text(pilot)
        await pilot.press("V")
        await until_whole(pilot)
        assert "score above something" in shown_text(pilot)


async def test_a_result_without_steps_and_layers_says_so(store: Path) -> None:
    make_result(store, "flat", xarray.Dataset({"score": (("variant",), [0.5])}))
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        await pilot.press("V")
        await until_whole(pilot)
        assert "flat: own: nothing in it is by step and layer." in shown_text(pilot)
        await pilot.press("v")
        await until_whole(pilot)
        assert "energy (root mean square)" in shown_text(pilot)


async def test_a_map_is_painted_while_it_is_read(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    made = choices.made

    def slowly(choice: OfRun, overtaken: object):
        for place, found in enumerate(made(choice, overtaken)):  # type: ignore[arg-type]
            yield found
            if place == 2:
                assert go_on.wait(20)

    monkeypatch.setattr(choices, "made", slowly)
    monkeypatch.setattr("tui.run.screen.FIRST_PAINT", 0.0)
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        try:
            await until_read(pilot)
            await pilot.press("enter")
            await until(pilot, lambda: "read 3 of 6 cells" in shown_text(pilot))
            await pilot.press("question_mark")
            assert isinstance(pilot.app.screen, Page)
            await pilot.press("escape")
        finally:
            go_on.set()
        await until_whole(pilot)
        assert "cells" not in shown_text(pilot).splitlines()[0]


async def test_leaving_the_screen_ends_what_reads_for_it(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        screen = run_screen_of(pilot)
        threads = screen._run_reader._thread, screen._map_reader._thread
        await pilot.press("escape")
        await until(pilot, lambda: not any(thread.is_alive() for thread in threads))
