"""The pictures of docs/tui.md and README.md, made from the app as it runs.

    python -m tests.tui.pictures runs/mazes

writes SVG files to docs/images. The store needs decoded runs (``cosinterp decode runs/mazes --all``), scores
and the result of ``cosinterp convergence runs/mazes``; the mazes are in the folder ``mazes``. The jobs are
planted: one that runs, one that waits, and two that have ended.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from unittest.mock import patch

from textual.pilot import Pilot

from cosinterp.jobs.home import HOME
from cosinterp.jobs.state import State
from tests.tui.driving import shown_text, until, until_mapped, until_read
from tests.tui.job_factory import plant, plant_ended, plant_running
from tests.tui.results_driving import open_result, until_shown
from tui.app import CosinterpApp
from tui.frames.film_view import FilmView
from tui.frames.screen import Frames
from tui.jobs.screen import Jobs
from tui.launch.plan_text import Stage
from tui.launch.screen import Launch

IMAGES = Path(__file__).parents[2] / "docs" / "images"
_PATIENCE = 120.0
_HOME = Path("/tmp/lab")
"""Where the jobs are, which the picture of one shows."""


@asynccontextmanager
async def app_on(store: Path, rows: int, columns: int = 132) -> AsyncIterator[Pilot[None]]:
    """The app on a store."""
    async with CosinterpApp(store).run_test(size=(columns, rows)) as pilot:
        yield pilot


def keep(pilot: Pilot[None], name: str) -> None:
    """Write a picture of the screen."""
    picture = pilot.app.export_screenshot(title="cosinterp tui", simplify=True)
    (IMAGES / f"tui-{name}.svg").write_text(picture)


async def picture_of_runs(store: Path) -> None:
    """The table of runs, and one of them below."""
    async with app_on(store, 26) as pilot:
        await until_read(pilot)
        await pilot.press("down", "down")
        await until(pilot, lambda: "schedule" in shown_text(pilot))
        keep(pilot, "runs")


async def picture_of_run(store: Path) -> None:
    """A run's energy by step and layer."""
    async with app_on(store, 30) as pilot:
        await until_mapped(pilot)
        await pilot.press(*["right"] * 3, *["down"] * 6)
        keep(pilot, "run")


async def picture_of_frames(store: Path) -> None:
    """The frames of two runs side by side."""
    async with app_on(store, 18, 80) as pilot:
        await until_read(pilot)
        await pilot.press("space", "down", "space", "f")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Frames)
        views = list(pilot.app.screen.query(FilmView))
        await until(pilot, lambda: all(view._is_read for view in views), _PATIENCE)
        await pilot.press("right", "right")
        await pilot.pause()
        keep(pilot, "frames")


async def picture_of_result(store: Path) -> None:
    """Curves with bands: how seeds come to agree."""
    async with app_on(store, 30) as pilot:
        await open_result(pilot, store, "convergence")
        await pilot.press("right", "right", "right")
        await until_shown(pilot)
        keep(pilot, "result")


async def picture_of_launch(store: Path) -> None:
    """The form of an ensemble, with its plan."""
    async with app_on(store, 34) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: isinstance(pilot.app.screen, Launch) and pilot.app.screen._view.form)
        screen = pilot.app.screen
        assert isinstance(screen, Launch)
        asked = {"model": "maze-wan", "dataset": "mazes", "seeds": "0-2", "num_steps": "12"}
        screen.fill_in("ensemble", asked | {"store": "runs/ensembles"})
        await until(pilot, lambda: screen._judge.outlook.stage is Stage.PLANNED, _PATIENCE)
        keep(pilot, "launch")


@contextmanager
def ago(seconds: float) -> Iterator[None]:
    """A block in which both clocks stand where they stood so long ago."""
    wall, steady = time.time() - seconds, time.monotonic() - seconds
    with patch("time.time", lambda: wall), patch("time.monotonic", lambda: steady):
        yield


async def picture_of_jobs(store: Path, home: Path) -> None:
    """Jobs that run, wait and have ended."""
    words = ("ensemble", "--model", "maze-wan", "--dataset", "mazes", "--store", "runs/ensembles")
    living = [
        plant(home, "probe-0314-1503-oak", ("probe", "runs/mazes", "--target", "path"), age=300),
    ]
    with ago(400):
        running = plant_running(home, "ensemble-0314-1502-brook", (*words, "--seeds", "0-2"), age=10)
        running.diary.change(started=time.time())
        living.append(running)
    for seconds in range(400, -1, -10):
        with ago(seconds):
            running.go_on()
    plant_ended(home, "trace-0314-1400-elm", State.FINISHED, age=4000)
    plant_ended(
        home,
        "trace-0313-2101-fox",
        State.OUT_OF_MEMORY,
        age=90_000,
        message="out of memory on GPU 0",
    )
    async with app_on(store, 30) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: isinstance(pilot.app.screen, Jobs))
        await pilot.press("down")
        await until(pilot, lambda: "tracing 300" in shown_text(pilot))
        keep(pilot, "jobs")
    for job in living:
        job.close()


def main() -> None:
    """Make all pictures from the store that is named."""
    store = Path(sys.argv[1])
    os.environ[HOME] = str(_HOME)
    _HOME.mkdir()
    try:
        with patch("socket.gethostname", lambda: "lab-1"):
            for picture in (
                picture_of_runs,
                picture_of_run,
                picture_of_frames,
                picture_of_result,
                picture_of_launch,
            ):
                asyncio.run(picture(store))
            asyncio.run(picture_of_jobs(store, _HOME))
    finally:
        shutil.rmtree(_HOME)


if __name__ == "__main__":
    main()
