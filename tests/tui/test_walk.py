"""One walk through the whole app: look at runs, start an ensemble, watch it, and see what it made.

Nothing is put in anything's place: real runs of maze-wan, its real command line in jobs of their own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from cosinterp.jobs.home import HOME
from cosinterp.jobs.job import Job
from cosinterp.jobs.limits import WITHOUT_GPU
from cosinterp.jobs.state import State
from stores import open_store
from tests.tui.driving import (
    heads_of,
    numbers_of,
    rows_of,
    shown_text,
    status_of,
    until,
    until_mapped,
    until_read,
    until_whole,
)
from tests.tui.results_driving import open_results, rows, status, until_shown
from tui.app import CosinterpApp
from tui.dialogs.chooser import Chooser
from tui.frames.film_view import FilmView
from tui.frames.screen import Frames
from tui.jobs.screen import Jobs
from tui.jobs.table import JobTable
from tui.launch.field_row import FieldRow
from tui.launch.plan_text import Stage
from tui.launch.screen import Launch
from tui.launch.value_input import ValueInput
from tui.results.compare_screen import CompareScreen
from tui.results.result_screen import ResultScreen
from tui.results.screen import Results

ROOT = Path(__file__).parents[2]
_PATIENCE = 150.0
_ALL = """
import sys
from cosinterp.cli import app
for line in sys.argv[1:]:
    app(line.split(), standalone_mode=False)
"""
MADE = (
    "mazes --count 1 --rooms 5 --seed 0 --out mazes",
    "trace --model maze-wan --dataset mazes --seeds 0-1 --num-steps 3 --layers 0-8 --store store",
    "decode store --all",
    "score store",
    "convergence store",
)
"""What there is when the walk begins, by the commands that make it."""


@pytest.fixture
def walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder, which is the current one, with a maze and a store: two seeds of it, scored, decoded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    monkeypatch.setenv(WITHOUT_GPU, "4")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    in_one_process(*MADE)
    yield tmp_path
    for folder in (tmp_path / "home" / "jobs").glob("*"):
        job = Job(folder)
        with suppress(OSError):
            if job.state() in (State.QUEUED, State.RUNNING):
                job.cancel()


def in_one_process(*lines: str) -> None:
    """Run command lines of cosinterp one after another, in one process: each would load torch anew."""
    done = subprocess.run([sys.executable, "-c", _ALL, *lines], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def test_from_the_first_look_to_an_ensemble_of_ones_own(walked: Path) -> None:
    store = walked / "store"
    async with CosinterpApp(store).run_test(size=(100, 30)) as pilot:
        await look_at_runs(pilot)
        await scrub_two_runs(pilot)
        await go_through_results(pilot)
        await fill_in_ensemble(pilot)
        job = await start_and_watch(pilot, "ensemble")
        assert job.spec.words[0] == "ensemble"
        # What it made is led to, and is among the results and the runs.
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen))
        await until_shown(pilot)
        await until(pilot, lambda: "single seed" in shown_text(pilot))
        assert "error" not in shown_text(pilot)
        assert {run.variant for run in open_store(store).runs(variant=None)} == {"base", "ensemble"}
        await pilot.press("1")
        await pilot.press("r")
        await until(pilot, lambda: "3 runs" in status_of(pilot))
        await until_read(pilot)
        assert sum("ensemble" in line for line in rows_of(pilot)) == 1
        await compare_again(pilot)


async def look_at_runs(pilot: Pilot[None]) -> None:
    """Filter and sort the runs, open one, and move in its heatmap."""
    await until_read(pilot)
    assert "2 runs" in status_of(pilot)
    await pilot.press("slash", *"seed=1")
    await until(pilot, lambda: len(rows_of(pilot)) == 1)
    await pilot.press("escape")
    await until(pilot, lambda: len(rows_of(pilot)) == 2)
    await pilot.press("s", "S")
    seed = next(place for place, head in enumerate(heads_of(pilot)) if "seed" in head)
    await until(pilot, lambda: [row[seed].split()[-1] for row in rows_of(pilot)] == ["1", "0"])
    await until_mapped(pilot)
    await pilot.press("right", "right", "down", "down", "down")
    await until(pilot, lambda: "step 2, layer 3" in numbers_of(pilot))
    energy = numbers_of(pilot)
    await pilot.press("v")
    await until_whole(pilot)
    await until(pilot, lambda: "step 2, layer 3" in numbers_of(pilot) and numbers_of(pilot) != energy)
    await pilot.press("escape")


async def scrub_two_runs(pilot: Pilot[None]) -> None:
    """Mark two runs and see their frames side by side, both at one step."""
    await pilot.press("home", "space", "down", "space", "f")
    await until(pilot, lambda: isinstance(pilot.app.screen, Frames))
    views = list(pilot.app.screen.query(FilmView))
    assert len(views) == 2
    await until(pilot, lambda: all(view._is_read and not view.is_missing for view in views))
    seen = [pictures_of(view) for view in views]
    await pilot.press("right", "right")
    await until(pilot, lambda: "step 2" in shown_text(pilot))
    await until(pilot, lambda: all(pictures_of(view) != was for view, was in zip(views, seen, strict=True)))
    await pilot.press("escape")


def pictures_of(view: FilmView) -> list[object]:
    """All cells of a picture, with their colours."""
    return [list(line) for line in view._lines]


async def go_through_results(pilot: Pilot[None]) -> None:
    """Open a result and go through all its views, then lay it beside another."""
    screen = await open_results(pilot)
    names = [line[0] for line in rows(screen)]
    assert len(names) == 2, names
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen))
    await until_shown(pilot)
    result = pilot.app.screen
    assert isinstance(result, ResultScreen)
    assert result.opened is not None
    first = result.tab
    for _ in result.opened.tabs:
        await pilot.press("v")
        await until_shown(pilot)
        assert "error" not in status(pilot)
    assert result.tab == first
    await pilot.press("escape")
    await pilot.press("space", "down", "space", "equals_sign")
    await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
    await until_shown(pilot)
    assert all(name in shown_text(pilot) for name in names)
    await pilot.press("escape")
    assert isinstance(pilot.app.screen, Results)


async def fill_in_ensemble(pilot: Pilot[None]) -> None:
    """Choose the form of ensemble, fill it in by keys, and see its plan."""
    await pilot.press("3")
    await until(pilot, lambda: isinstance(pilot.app.screen, Launch) and launch_of(pilot)._view.form)
    await choose_command(pilot, "ensemble")
    await fill(pilot, "model", "maze-wan")
    await fill(pilot, "store", "store")
    await fill(pilot, "dataset", "mazes")
    await fill(pilot, "seeds", "0-1")
    await fill(pilot, "merge", "latent")
    await fill(pilot, "num_steps", "3")
    await fill(pilot, "resume", True)
    await until_planned(pilot)
    screen = launch_of(pilot)
    assert "1 run" in str(screen.query_one("#status", Static).content)
    command = str(screen.query_one("#launch-command", Static).content)
    assert "--num-steps 3" in command
    assert command.endswith("--detach")


async def compare_again(pilot: Pilot[None]) -> None:
    """Compare the ensemble once more, by the form of that command, and see the result."""
    await pilot.press("3")
    await choose_command(pilot, "compare")
    await fill(pilot, "store", "store")
    await fill(pilot, "name", "again")
    await until_planned(pilot)
    await start_and_watch(pilot, "compare")
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen))
    await until_shown(pilot)
    assert "store/again" in status(pilot)
    await until(pilot, lambda: "single seed" in shown_text(pilot))


def launch_of(pilot: Pilot[None]) -> Launch:
    screen = pilot.app._screen_stacks["launch"][0]
    assert isinstance(screen, Launch)
    return screen


async def until_planned(pilot: Pilot[None]) -> None:
    """Wait until the command line has said what it would do."""
    judge = launch_of(pilot)._judge
    await until(pilot, lambda: judge.outlook.stage in (Stage.PLANNED, Stage.REFUSED), _PATIENCE)
    assert judge.outlook.stage is Stage.PLANNED, judge.outlook.said


async def choose_command(pilot: Pilot[None], name: str) -> None:
    """Choose a form from the list of commands."""
    screen = launch_of(pilot)
    await pilot.press("c")
    await until(pilot, lambda: isinstance(pilot.app.screen, Chooser))
    places = [command for command, _ in screen._commands]
    here = places.index(screen._view.form.command)  # type: ignore[union-attr]
    away = places.index(name) - here
    await pilot.press(*["down" if away > 0 else "up"] * abs(away), "enter")
    await until(pilot, lambda: screen._view.form is not None and screen._view.form.command == name)
    await pilot.pause()


async def fill(pilot: Pilot[None], name: str, value: str | bool) -> None:
    """Go to a field by the arrows, unfolding on the way what hides it, and fill it in."""
    view = launch_of(pilot)._view
    await pilot.press("home")
    await pilot.pause()
    await view.go_to(name)
    await until(pilot, lambda: isinstance(view.current, FieldRow) and _name(view.current) == name)
    await pilot.press("enter")
    if isinstance(value, str):
        await until(pilot, lambda: isinstance(pilot.app.screen.focused, ValueInput))
        pilot.app.screen.query_one(ValueInput).select_all()
        await pilot.press(*value, "enter")
    await until(pilot, lambda: view.values.get(name) == value)


def _name(row: FieldRow) -> str:
    return row.field.parameter.name


async def start_and_watch(pilot: Pilot[None], command: str) -> Job:
    """Start what is filled in, be led to its job, and wait until that has finished."""
    await pilot.press("ctrl+s")
    await until(pilot, lambda: isinstance(pilot.app.screen, Jobs), _PATIENCE)
    table = pilot.app.screen.query_one(JobTable)
    await until(pilot, lambda: table.current is not None and table.current.seen.id.startswith(command))
    assert table.current is not None
    job = Job(table.current.seen.path)
    await until(pilot, lambda: not table.current.seen.lives, _PATIENCE)  # type: ignore[union-attr]
    assert job.state() is State.FINISHED, job.log_path.read_text()
    assert "finished" in shown_text(pilot)
    return job
