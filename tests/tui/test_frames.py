"""Frames: what each step sees as the end, of one run and of several at once."""

from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from cosinterp.media_files import write_video
from cosinterp.media_places import FOLDER, media_folder, step_video
from stores import layout
from tests.tui.driving import browser_of, rows_of, shown_text, status_of, until, until_mapped, until_read
from tests.tui.store_factory import STEPS, make_store
from tui.app import CosinterpApp
from tui.frames.film_view import FilmView
from tui.frames.screen import Frames

SMALL = (80, 24)
FRAMES = 5


def colour(step: int, frame: int) -> tuple[int, int, int]:
    """That of a step's video at a frame."""
    return (250, 60 * frame, 0) if step == 0 else (0, 60 * frame, 250)


def energies(step: int, layer: int) -> np.ndarray:
    """Tokens (frame, row, col, channel) of which one has the energy 10 step + layer and the others none."""
    tokens = np.zeros((1, 2, 2, 4), np.float32)
    tokens[0, 0, 0, 0] = 10 * step + layer
    return tokens


def decode(store: Path, sample: str, seed: int, steps: range = range(STEPS)) -> None:
    """Videos of one colour a frame, where ``cosinterp decode`` puts them."""
    folder = media_folder(store / FOLDER, sample, seed)
    folder.mkdir(parents=True)
    for step in steps:
        frames = np.array([colour(step, frame) for frame in range(FRAMES)], np.uint8)
        write_video(np.tile(frames[:, None, None], (1, 32, 32, 1)), step_video(folder, step), 4.0)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    final = np.full((FRAMES, 32, 32, 3), (0, 250, 0), np.uint8)
    made = make_store(
        tmp_path / "mazes", [("maze-1", 0), ("maze-1", 1), ("maze-2", 0)], activations=energies, video=final
    )
    decode(made, "maze-1", 0)
    decode(made, "maze-1", 1)
    return made


def views_of(pilot: Pilot[None]) -> list[FilmView]:
    screen = pilot.app.screen
    assert isinstance(screen, Frames)
    return list(screen.query(FilmView))


async def until_shown(pilot: Pilot[None]) -> list[FilmView]:
    """Wait until all that is decoded is read."""
    await pilot.pause()
    views = views_of(pilot)
    await until(pilot, lambda: all(view._is_read for view in views))
    return views


def main_colour(view: FilmView) -> str:
    """What most of the picture is of: "red", "green" or "blue"."""
    cells = [style.bgcolor.triplet for line in view._lines[1:] for _, style in line if style.bgcolor]
    assert cells
    assert all(cells)
    mean = np.mean([tuple(triplet) for triplet in cells if triplet], axis=0)
    return ("red", "green", "blue")[int(mean.argmax())]


async def test_f_shows_the_run_under_the_cursor_and_the_arrows_scrub_its_steps(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("f")
        (view,) = await until_shown(pilot)
        assert "maze-1/0   step 0 of 1, σ 1.000   frame 4 of 4" in shown_text(pilot)
        assert main_colour(view) == "red"
        await pilot.press("right")
        assert main_colour(view) == "blue"
        await pilot.press("right")
        assert "final video" in shown_text(pilot)
        assert main_colour(view) == "green"
        await pilot.press("right", "home")
        assert main_colour(view) == "red"
        await pilot.press("escape")
        assert pilot.app.screen is browser_of(pilot)


async def test_up_and_down_scrub_the_frames_of_the_video(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("f")
        await until_shown(pilot)
        await pilot.press("up", "up", "down")
        assert "frame 3 of 4" in shown_text(pilot)
        await pilot.press(*["up"] * 9)
        assert "frame 0 of 4" in shown_text(pilot)


async def test_marked_runs_stand_side_by_side_and_scrub_together(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("space", "space", "f")
        views = await until_shown(pilot)
        assert [view.region.y for view in views] == [1, 1]
        await pilot.press("right")
        assert [main_colour(view) for view in views] == ["blue", "blue"]
        assert "frames of 2 runs   step 1 of 1" in shown_text(pilot)


async def test_space_marks_a_run_and_takes_the_mark_away(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("space")
        assert [row[0][0] for row in rows_of(pilot)] == ["*", "m", "m"]
        assert "1 marked" in status_of(pilot)
        await pilot.press("s", "S")
        await until_read(pilot)
        assert sum(row[0].startswith("*") for row in rows_of(pilot)) == 1
        await pilot.press("S", "s", "home")
        await until_read(pilot)
        while not rows_of(pilot)[0][0].startswith("*"):
            await pilot.press("s")
            await until_read(pilot)
        await pilot.press("home", "space")
        assert "marked" not in status_of(pilot)


async def test_the_film_strip_has_every_step_and_the_end(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("f")
        (view,) = await until_shown(pilot)
        await pilot.press("t")
        await pilot.pause()
        assert view.line_text(1).split() == ["0", "1", "end"]
        assert view.line_text(1).index("1") > 8


async def test_what_is_not_decoded_says_so_with_the_command(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=(160, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("end", "f")
        (view,) = await until_shown(pilot)
        assert f"cosinterp decode {store} --sample maze-2 --seed 0" in shown_text(pilot)
        assert "1 not decoded" in shown_text(pilot)
        await pilot.press("y")
        assert pilot.app.clipboard == f"cosinterp decode {store} --sample maze-2 --seed 0"
        await pilot.press("end")
        assert main_colour(view) == "green"
        decode(store, "maze-2", 0)
        await pilot.press("r")
        await until(pilot, lambda: len(view._shots) == STEPS + 1)
        await pilot.press("home")
        assert main_colour(view) == "red"


async def test_a_step_that_is_not_decoded_among_others(store: Path) -> None:
    decode(store, "maze-2", 0, range(1))
    async with CosinterpApp(store).run_test(size=(160, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("end", "f")
        await until_shown(pilot)
        await pilot.press("right")
        assert "This step is not decoded." in shown_text(pilot)


async def test_a_damaged_video_is_a_line_and_the_other_steps_are_shown(store: Path) -> None:
    step_video(media_folder(store / FOLDER, "maze-1", 0), 0).write_bytes(b"no video")
    async with CosinterpApp(store).run_test(size=(160, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("f")
        (view,) = await until_shown(pilot)
        assert "step-00.mp4: cannot be read as a video" in shown_text(pilot)
        await pilot.press("right")
        assert main_colour(view) == "blue"


async def test_a_damaged_run_is_an_error_in_its_place(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        (store / layout.run_file("maze-1", 0)).write_bytes(b"no HDF5 at all")
        await pilot.press("space", "space", "f")
        await until(pilot, lambda: "error: " in shown_text(pilot))
        first, second = views_of(pilot)
        await until(pilot, lambda: second._is_read)
        await pilot.press("right")
        assert main_colour(second) == "blue"
        assert first.line_text(1).startswith("error:")


async def test_o_shows_the_energy_of_a_layer_and_brackets_choose_it(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=(160, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("f")
        await until_shown(pilot)
        await pilot.press("right", "o")
        await until(pilot, lambda: "energy, resid, layer 1, latent frame 0, 0 to 11" in shown_text(pilot))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "layer 2, latent frame 0, 0 to 12" in shown_text(pilot))
        await pilot.press("left")
        await until(pilot, lambda: "layer 2, latent frame 0, 0 to 2" in shown_text(pilot))
        await pilot.press("o", "o")
        assert "latent frame" not in shown_text(pilot)


async def test_f_opens_frames_from_the_run_and_escape_goes_back_to_it(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        run_screen = pilot.app.screen
        await pilot.press("f")
        await until_shown(pilot)
        await pilot.press("escape")
        assert pilot.app.screen is run_screen


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 60)])
async def test_pictures_fit_any_size(store: Path, size: tuple[int, int]) -> None:
    async with CosinterpApp(store).run_test(size=size) as pilot:
        await until_read(pilot)
        await pilot.press("space", "space", "f")
        views = await until_shown(pilot)
        for view in views:
            assert main_colour(view) == "red"
            assert all(len(line) <= view.size.width for line in view._lines)
            assert len(view._lines) <= view.size.height


async def test_without_colour_pictures_are_shades(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with CosinterpApp(store).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await pilot.press("f")
        (view,) = await until_shown(pilot)
        await pilot.press("end")
        # Green has 0.587 of the light of white, so the sixth of ten shades.
        assert set(view.line_text(2).strip()) == {"+"}
