"""What each screen looks like, held to pictures that were looked at; see `tests.tui.snapping`.

Whatever changes from day to day and from machine to machine is fixed: times, names, GPUs, folders.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

import cosinterp.rehearsal
from cosinterp.jobs.account import lines_of
from cosinterp.jobs.home import HOME
from cosinterp.jobs.state import State
from cosinterp.rehearsal import Answer, Plan
from probes.results import files
from probes.results.result import Result
from stores import writer
from tests.tui import planted_results as planted
from tests.tui.driving import numbers_of, shown_text, until, until_mapped, until_read
from tests.tui.job_factory import plant, plant_ended, plant_running
from tests.tui.results_driving import COMMAND, open_result, open_results, open_two, save, until_shown
from tests.tui.snapping import Snapshots
from tests.tui.store_factory import keep_scores, make_store
from tests.tui.test_frames import decode
from tests.tui.test_launch import fill, stage, view_of
from tests.unit.devices.fake_nvml import GIB, FakeGpu, FakeNvml
from tui.app import CosinterpApp
from tui.dialogs.ask import Question
from tui.frames.film_view import FilmView
from tui.jobs import following
from tui.jobs.log_screen import LogScreen
from tui.launch.plan_text import Stage
from tui.palette.screen import Palette
from tui.themes import THEMES

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
SMALL, LARGE, TINY = (80, 24), (200, 60), (40, 12)
_AT_WORK = ("reading...", "drawing...", "checking...")
PLAN = Plan(
    ("runs        8 to make", "layers      0-8", "schemes     mean of latent at step 0"),
    bytes=1_300_000_000,
    seconds=140.0,
    gpu_memory=3_000_000_000,
    runs=8,
)


class Clock(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
        return NOW


def lines_of_no_process(*of: Any) -> list[tuple[str, str]]:
    """What is told of a job, as of another process and home: the length of both changes the screen."""
    fixed = {f"process {os.getpid()}": "process 4321", os.environ[HOME]: "/home/me/.local/share/cosinterp"}
    lines = []
    for name, text in lines_of(*of):
        for before, after in fixed.items():
            text = text.replace(before, after)
        lines.append((name, text))
    return lines


class Planned:
    """A rehearsal with one plan for everything, and one flag that it does not like."""

    def ask(self, words: tuple[str, ...], folder: Path | None = None) -> Answer:
        if "0-99" in words:
            return Answer(False, "--layers: maze-wan has layers 0-8", "--layers")
        return Answer(True, plan=PLAN)

    def overtake(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def still(app_home: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place and a time without any change."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(time, "time", NOW.timestamp)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    monkeypatch.setattr(following, "lines_of", lines_of_no_process)
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([], no_driver=True))
    monkeypatch.setattr(cosinterp.rehearsal, "Rehearsal", Planned)
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[Snapshots]:
    (tmp_path / "seen").mkdir()
    made = Snapshots(tmp_path / "seen")
    yield made
    made.check()


def energies(step: int, layer: int) -> np.ndarray:
    """Tokens (frame, row, col, channel) that grow with layers, and with steps from the second layer on."""
    return np.full((1, 2, 2, 4), 1 + layer**2 + step * layer, np.float32)


def maze(frames: int = 5) -> np.ndarray:
    """A video (frame, row, col, rgb) of a dot that draws a line."""
    video = np.full((frames, 32, 32, 3), 245, np.uint8)
    video[:, ::8] = video[:, :, ::8] = 40
    for frame in range(frames):
        video[frame:, 12:16, 2 : 8 + 4 * frame] = (230, 60, 40)
    return video


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, a broken store, and nothing in another folder; nobody writes into it."""
    folder = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patched:
        for module in (writer, files):
            patched.setattr(module, "datetime", Clock)
        plant_store(folder / "mazes", tmp_path_factory.mktemp("elsewhere"))
    broken = make_store(folder / "broken", [])
    (broken / "store.json").write_text("{")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def store(root: Path) -> Path:
    return root / "mazes"


def plant_store(path: Path, elsewhere: Path) -> None:
    """Six runs, two of them decoded, all scored, and results."""
    runs = [(f"maze-7x7-{sample:05}", seed) for sample in range(3) for seed in range(2)]
    make_store(
        path,
        runs,
        "The dot draws a path to the red goal.",
        activations=energies,
        image=maze()[0],
        video=maze(),
    )
    for sample, seed in runs[:2]:
        decode(path, sample, seed)
    keep_scores(path, {run: float(number % 3 > 0) for number, run in enumerate(runs)})
    save(planted.patched(), path, "flip", command=COMMAND, notes=["one pair was left out"])
    other = planted.patched().dataset
    save(Result(other.assign(x0_recovered=other["x0_recovered"] / 2), {"kind": "patch"}), path, "flip-half")
    save(planted.probed(), path, "path")
    save(planted.experimented(), path, "trial")
    save(planted.converged(elsewhere), path, "convergence")


async def until_still(pilot: Pilot[None]) -> None:
    """Wait until nothing more is on its way to the screen."""
    seen: list[str] = []
    await until(
        pilot,
        lambda: (
            (seen.append(text := shown_text(pilot)) or not any(word in text for word in _AT_WORK))
            and seen[-4:] == [text] * 4
        ),
    )


async def test_a_run_in_every_theme(snapshots: Snapshots) -> None:
    async with CosinterpApp(Path("mazes")).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        await pilot.press("right", "down")
        await until(pilot, lambda: "step 1, layer 1" in numbers_of(pilot))
        for theme in THEMES:
            pilot.app.theme = theme
            await until_still(pilot)
            snapshots.take(pilot.app, f"run-{theme}")


async def test_runs(snapshots: Snapshots) -> None:
    async with CosinterpApp(Path("empty")).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        snapshots.take(pilot.app, "runs-none")
    async with CosinterpApp(Path()).run_test(size=SMALL) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "draws a path" in shown_text(pilot))
        snapshots.take(pilot.app, "runs")
        await pilot.press("slash", *"seed=1")
        await until_still(pilot)
        snapshots.take(pilot.app, "runs-filtered")
        await pilot.press("escape", "e")
        await until_still(pilot)
        snapshots.take(pilot.app, "runs-not-read")
        await pilot.press("escape", "question_mark")
        await until_still(pilot)
        snapshots.take(pilot.app, "help")
        await pilot.press("escape", "ctrl+p", *"mazes")
        await until(pilot, lambda: isinstance(pilot.app.screen, Palette) and not pilot.app.screen._reads)
        await until_still(pilot)
        snapshots.take(pilot.app, "palette")
        await pilot.press("escape")
        for size, name in ((LARGE, "runs-large"), (TINY, "runs-tiny")):
            await pilot.resize_terminal(*size)
            await until_still(pilot)
            snapshots.take(pilot.app, name)


async def test_a_run_without_colour(snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with CosinterpApp(Path("mazes")).run_test(size=SMALL) as pilot:
        await until_mapped(pilot)
        snapshots.take(pilot.app, "run-no-colour")


async def test_frames_and_a_large_run(snapshots: Snapshots) -> None:
    async with CosinterpApp(Path("mazes")).run_test(size=LARGE) as pilot:
        await until_mapped(pilot)
        await until_still(pilot)
        snapshots.take(pilot.app, "run-large")
        await pilot.press("escape")
        await pilot.resize_terminal(*SMALL)
        await pilot.press("home", "space", "space", "f")
        await pilot.pause()
        views = list(pilot.app.screen.query(FilmView))
        await until(pilot, lambda: all(view._is_read for view in views))
        await pilot.press("end")
        await until_still(pilot)
        snapshots.take(pilot.app, "frames")


async def test_results(store: Path, snapshots: Snapshots) -> None:
    async with CosinterpApp(Path("mazes")).run_test(size=SMALL) as pilot:
        await open_results(pilot)
        await until(pilot, lambda: "How seeds agree" in shown_text(pilot))
        await until_still(pilot)
        snapshots.take(pilot.app, "results")
        for name in ("convergence", "flip", "trial"):
            await open_result(pilot, store, name)
            await until_still(pilot)
            snapshots.take(pilot.app, f"result-{name}")
            if name == "flip":
                await pilot.press("n")
                await until_shown(pilot)
                snapshots.take(pilot.app, "result-numbers")
                await pilot.press("i")
                await until_shown(pilot)
                snapshots.take(pilot.app, "result-says")
                await pilot.resize_terminal(*TINY)
                await pilot.press("escape")
                await until_still(pilot)
                await open_result(pilot, store, name)
                await until_still(pilot)
                snapshots.take(pilot.app, "result-tiny")
                await pilot.resize_terminal(*SMALL)
            await pilot.press("escape")
        await open_two(pilot, store, "flip", "flip-half")
        await until_still(pilot)
        snapshots.take(pilot.app, "comparison")


async def test_launch(snapshots: Snapshots) -> None:
    given: dict[str, Any] = {"model": "maze-wan", "dataset": "mazes", "store": "runs/a", "num_steps": "12"}
    async with CosinterpApp(Path("mazes")).run_test(size=SMALL) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: hasattr(pilot.app.screen, "_view") and view_of(pilot).form is not None)
        await until_still(pilot)
        snapshots.take(pilot.app, "launch-empty")
        await fill(pilot, "trace", given | {"layers": "0-99"})
        await stage(pilot, Stage.REFUSED)
        await until_still(pilot)
        snapshots.take(pilot.app, "launch-error")
        await fill(pilot, "ensemble", given)
        await stage(pilot, Stage.PLANNED)
        await until_still(pilot)
        snapshots.take(pilot.app, "launch-plan")
        await pilot.resize_terminal(*LARGE)
        await until_still(pilot)
        snapshots.take(pilot.app, "launch-large")


async def test_jobs_and_gpus(app_home: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = [
        FakeGpu("GPU-a", used=61 * GIB, utilization=87, temperature=64),
        FakeGpu("GPU-b", used=2 * GIB, utilization=0, temperature=31),
    ]
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(gpus))
    living = [
        plant_running(app_home, "trace-0314-1502-brook", age=400),
        plant(app_home, "patch-0314-1501-oak", ("patch", "runs/first"), age=500),
    ]
    plant_ended(app_home, "score-0314-1400-elm", State.FINISHED, ("score", "runs/first"), age=4000)
    plant_ended(
        app_home, "probe-0313-2101-fox", State.OUT_OF_MEMORY, ("probe", "runs/first"), age=90_000,
        message="out of memory on GPU 0",
    )  # fmt: skip
    async with CosinterpApp(Path("mazes")).run_test(size=SMALL) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "tracing 300 runs" in shown_text(pilot) and "2 GPUs" in shown_text(pilot))
        await until_still(pilot)
        snapshots.take(pilot.app, "jobs")
        await pilot.press("g")
        await until_still(pilot)
        snapshots.take(pilot.app, "gpus")
        await pilot.press("g", "end", "D")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await until_still(pilot)
        snapshots.take(pilot.app, "question")
        await pilot.press("n", "home", "l")
        await until(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
        await until(pilot, lambda: "tracing 300 runs" in shown_text(pilot))
        await until_still(pilot)
        snapshots.take(pilot.app, "log")
    for job in living:
        job.close()
