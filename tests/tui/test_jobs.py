"""The place of jobs: what its screens show, and what its keys do."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xarray
from textual.pilot import Pilot

from cosinterp.jobs.home import make_private_folders, open_private, slots_folder
from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import submit
from cosinterp.jobs.limits import WITHOUT_GPU
from cosinterp.jobs.record import take_lock
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.state import State
from probes.results.files import save_result
from tests.tui.driving import screen_text, until
from tests.tui.job_factory import Planted, plant, plant_ended, plant_many, plant_running
from tests.tui.store_factory import make_store
from tui.app import CosinterpApp
from tui.browser.one_store import OneStore
from tui.dialogs.ask import Question
from tui.jobs.log_screen import LogScreen
from tui.jobs.screen import Jobs
from tui.jobs.table import JobTable
from tui.options import Options
from tui.results.result_screen import ResultScreen

SMALL, LARGE = (80, 24), (200, 60)


@pytest.fixture
def planted(app_home: Path) -> Iterator[list[Planted]]:
    """Two jobs that live and two that have ended."""
    living = [
        plant_running(app_home, "trace-1123-1857-brook", age=400),
        plant(app_home, "patch-1123-1858-oak", ("patch", "runs/first"), age=500),
    ]
    plant_ended(app_home, "score-1123-1700-elm", State.FINISHED, ("score", "runs/first"), age=4000)
    plant_ended(
        app_home,
        "probe-1122-2101-fox",
        State.OUT_OF_MEMORY,
        ("probe", "runs/first", "--target", "path"),
        age=90_000,
        message="out of memory on GPU 0",
    )
    yield living
    for job in living:
        if job.diary.record.phase != "ended":
            job.close()


def jobs_of(pilot: Pilot[None]) -> Jobs:
    screen = pilot.app._screen_stacks["jobs"][0]
    assert isinstance(screen, Jobs)
    return screen


def rows(pilot: Pilot[None]) -> list[str]:
    """The ids of the jobs in the table, from the top."""
    table = jobs_of(pilot).query_one(JobTable)
    return [str(row.key.value) for row in table.ordered_rows]


def text(pilot: Pilot[None]) -> str:
    return "\n".join(screen_text(pilot))


def told(pilot: Pilot[None]) -> list[str]:
    """What the app has said so far and still shows."""
    return [note.message for note in pilot.app._notifications]


def current_of(pilot: Pilot[None]) -> str:
    """The job that is under the cursor."""
    line = jobs_of(pilot)._current
    return "" if line is None else line.seen.id


async def until_jobs(pilot: Pilot[None], count: int = 4) -> None:
    """Go to the place of jobs and wait until all are in the table and the first is read."""
    await pilot.press("4")
    await until(pilot, lambda: len(rows(pilot)) == count)


async def test_says_where_there_are_no_jobs_how_to_start_one(tmp_path: Path) -> None:
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "No jobs yet" in text(pilot))
        assert "--detach" in text(pilot)
        await pilot.press("enter", "x", "l", "D", "m", "y")
        assert told(pilot) == []


async def test_shows_all_jobs_filters_and_sorts(tmp_path: Path, planted: list[Planted]) -> None:
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await until_jobs(pilot)
        assert rows(pilot) == [
            "trace-1123-1857-brook",
            "patch-1123-1858-oak",
            "score-1123-1700-elm",
            "probe-1122-2101-fox",
        ]
        await until(pilot, lambda: "624 of 1,200 steps" in text(pilot))
        shown = text(pilot)
        assert "4 jobs   1 queued   1 running" in shown
        assert "▸ running" in shown
        assert "████░░░░  52 %" in shown
        assert "✗ out of memory" in shown
        assert "tracing 300 runs" in shown
        await pilot.press("slash", *"state=out")
        await until(pilot, lambda: rows(pilot) == ["probe-1122-2101-fox"])
        assert "1 of 4 jobs" in text(pilot)
        await pilot.press("escape", "s", "S")
        await until(pilot, lambda: len(rows(pilot)) == 4)
        assert rows(pilot)[2:] == ["score-1123-1700-elm", "probe-1122-2101-fox"]
        jobs_of(pilot).choose("trace-1123-1857-brook")
        # What is done now is told in its place, in the table and below it.
        planted[0].diary._progress.pace = 0.0
        planted[0].go_on(60)
        await until(pilot, lambda: "684 of 1,200 steps" in text(pilot) and " 57 %" in text(pilot))
        # A job that ends is told of, and comes below those that live.
        planted[0].end(State.FAILED, message="no space left on device", exit_code=2)
        await until(pilot, lambda: rows(pilot)[0] == "patch-1123-1858-oak")
        (ending,) = [note for note in told(pilot) if "trace-1123" in note]
        assert ending.startswith("trace-1123-1857-brook failed after ")
        assert ending.endswith(": no space left on device. 4 leads to it")
        assert current_of(pilot) == "trace-1123-1857-brook"


async def test_every_size_has_the_jobs_and_a_way_to_all_that_is_told(
    tmp_path: Path, planted: list[Planted]
) -> None:
    async with CosinterpApp(tmp_path).run_test(size=(40, 12)) as pilot:
        await until_jobs(pilot)
        assert "running" in text(pilot)
        await pilot.press("tab")
        await pilot.press(*["pagedown"] * 12)
        await until(pilot, lambda: "seeds 0-3" in text(pilot).replace("--seeds 0-3", "seeds 0-3"))
        await pilot.resize_terminal(*LARGE)
        await until(pilot, lambda: "rate" in screen_text(pilot)[2])
        head = screen_text(pilot)[2]
        assert [name in head for name in ("job", "state", "done", "time", "rate", "device", "memory", "age")]
        await until(pilot, lambda: "cd /data && cosinterp trace" in text(pilot))
        assert "GPU use" in text(pilot)


async def test_what_cannot_be_done_is_said_and_readonly_does_nothing(
    tmp_path: Path, planted: list[Planted]
) -> None:
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await until_jobs(pilot)
        await pilot.press("u")
        await pilot.press("D")
        await pilot.press("down", "down", "x", "u")
        assert told(pilot) == [
            "trace-1123-1857-brook is running: there is nothing to resume",
            "trace-1123-1857-brook has not ended; x cancels it. Nothing is removed",
            "score-1123-1700-elm has ended: there is nothing to cancel",
            "score-1123-1700-elm is finished; t starts it anew",
        ]
        plant_ended(pilot_home(), "knit-1123-1900-fox", State.FAILED, ("knit", "a"), age=1, message="no")
        jobs_of(pilot).choose("knit-1123-1900-fox")
        await until(pilot, lambda: current_of(pilot) == "knit-1123-1900-fox")
        await pilot.press("u")
        await until(pilot, lambda: 'there is no command "knit a"; see: cosinterp --help' in told(pilot))
    async with CosinterpApp(tmp_path, Options(readonly=True)).run_test(size=SMALL) as pilot:
        await until_jobs(pilot, 5)
        for key in "xutmD":
            await pilot.press(key)
        assert len(told(pilot)) == 5
        assert all(note.startswith("read-only") for note in told(pilot))
        footer = screen_text(pilot)[-1]
        assert "Log" in footer
        assert "Cancel" not in footer


async def test_a_question_is_about_the_job_it_was_asked_of(tmp_path: Path, planted: list[Planted]) -> None:
    """Nothing in the table moves while a question stands over it."""
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await until_jobs(pilot)
        await pilot.press("end", "D")
        assert isinstance(pilot.app.screen, Question)
        assert "probe-1122-2101-fox" in text(pilot)
        plant_ended(pilot_home(), "score-1124-0000-new", State.FINISHED, age=1)
        watch = pilot.app.jobs_watch  # pyright: ignore[reportAttributeAccessIssue]
        watch.look()
        await until(pilot, lambda: len(watch.latest.jobs) == 5)
        assert len(rows(pilot)) == 4
        await pilot.press("y")
        await until(pilot, lambda: "probe-1122-2101-fox" not in rows(pilot) and len(rows(pilot)) == 4)
        assert not (pilot_home() / "jobs" / "probe-1122-2101-fox").exists()
        assert "removed probe-1122-2101-fox" in told(pilot)
        # Marked ones go together.
        await pilot.press("end", "space", "up", "space", "D")
        assert "Remove 2 jobs?" in text(pilot)
        await pilot.press("n")
        assert len(rows(pilot)) == 4


async def test_a_finished_job_leads_to_what_it_made(tmp_path: Path, app_home: Path) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    told_by = {"kind": "own", "command": f"cosinterp probe {store} --target path"}
    save_result(store, "probe-path", xarray.Dataset({"x": ("step", [1.0, 2.0])}), told_by)
    plant_ended(app_home, "probe-a", State.FINISHED, ("probe", str(store), "--target", "path"), age=10)
    plant_ended(app_home, "trace-b", State.FINISHED, ("trace", "--store", str(store)), age=20)
    plant_ended(app_home, "export-c", State.FINISHED, ("store", "export", str(store), "no.h5"), age=30)
    plant_ended(app_home, "score-d", State.FAILED, ("score", "gone"), age=40, message="gone: no such store")
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await until_jobs(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, OneStore))
        await until(pilot, lambda: "maze-1" in text(pilot))
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, OneStore)
        await pilot.press("4", "up", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen))
        assert "probe-path" in text(pilot)
        await pilot.press("4", "end", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
        await pilot.press("escape", "y")
        await until(pilot, lambda: (app_home / "copied.txt").exists())
        assert (app_home / "copied.txt").read_text().strip() == "cd /data && cosinterp score gone"


async def test_the_log_is_followed_searched_and_shown_from_its_beginning(
    tmp_path: Path, planted: list[Planted]
) -> None:
    planted[0].print("".join(f"line {number}\n" for number in range(500)) + "\x1b[2J\x1b]0;title\x07end\n")
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await until_jobs(pilot)
        await pilot.press("l")
        await until(pilot, lambda: "line 499" in text(pilot))
        assert "follows" in text(pilot)
        assert "\x1b" not in text(pilot)
        planted[0].print("one more\n")
        await until(pilot, lambda: "one more" in text(pilot))
        # From the end one looks up, beginning with what is seen.
        await pilot.press("slash", *"line 499", "enter")
        await until(pilot, lambda: "follows" not in text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: 'no "line 499" above' in text(pilot))
        assert "one more" in text(pilot)
        await pilot.press("slash", *["backspace"] * 8, *"line 7", "enter")
        await until(pilot, lambda: screen_text(pilot)[1].strip() == "line 79")
        assert "follows" not in text(pilot)
        await pilot.press("n")
        await until(pilot, lambda: screen_text(pilot)[1].strip() == "line 78")
        await pilot.press("N")
        await until(pilot, lambda: screen_text(pilot)[1].strip() == "line 79")
        await pilot.press("home")
        await until(pilot, lambda: screen_text(pilot)[1].strip() == "loading maze-wan")
        await pilot.press("down")
        await until(pilot, lambda: screen_text(pilot)[1].strip() == "tracing 300 runs")
        await pilot.press("pagedown")
        await until(pilot, lambda: screen_text(pilot)[1].strip() == "line 21")
        await pilot.press("pageup", "up")
        await until(pilot, lambda: screen_text(pilot)[1].strip() == "loading maze-wan")
        await pilot.press("slash", *"knit", "enter")
        await until(pilot, lambda: 'no "knit" below' in text(pilot))
        await pilot.press("slash", *["backspace"] * 4, *"tracing", "enter")
        await until(pilot, lambda: screen_text(pilot)[1].strip() == "tracing 300 runs")
        await pilot.press("f")
        await until(pilot, lambda: "one more" in text(pilot))


async def test_three_thousand_jobs_are_all_there(tmp_path: Path, app_home: Path) -> None:
    plant_many(app_home, 3)
    template = app_home / "jobs" / "trace-1123-0000-kite"
    for number in range(600):
        folder = app_home / "jobs" / f"trace-1122-{number:04d}-oak"
        folder.mkdir()
        for name in ("spec.json", "now.json", "events.jsonl"):
            os.link(template / name, folder / name)
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await until_jobs(pilot, 603)
        await pilot.press("end")
        await until(pilot, lambda: jobs_of(pilot)._current is not None)
        assert "603 jobs" in text(pilot)


@pytest.fixture
def taken_turn(app_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """No job without a GPU has its turn until this is called."""
    monkeypatch.setenv(WITHOUT_GPU, "1")
    slots = slots_folder()
    make_private_folders(slots)
    slot = open_private(slots / "no-gpu.0", os.O_RDWR)
    assert take_lock(slot)
    held = [slot]

    def give() -> None:
        while held:
            os.close(held.pop())

    yield give
    give()


async def test_a_real_job_is_cancelled_resumed_and_started_anew(
    tmp_path: Path, app_home: Path, taken_turn: Callable[[], None]
) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    job = submit(JobSpec(words=("store", "verify", str(store)), cwd=str(tmp_path)))
    async with CosinterpApp(tmp_path).run_test(size=SMALL) as pilot:
        await until_jobs(pilot, 1)
        await until(pilot, lambda: "1 job without a GPU already running" in text(pilot))
        await pilot.press("x", "y")
        await until(pilot, lambda: "– cancelled" in text(pilot), 60)
        assert job.state() == State.CANCELLED
        taken_turn()
        await pilot.press("u")
        await until(pilot, lambda: "✓ finished" in text(pilot), 60)
        assert job.status().attempt == 2
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        assert "always begins anew" in text(pilot)
        await pilot.press("y")
        await until(pilot, lambda: any("begins anew what" in note for note in told(pilot)), 60)
        await until(pilot, lambda: len(rows(pilot)) == 2)
        again = Job(next(path for path in (app_home / "jobs").iterdir() if path != job.path))
        assert again.wait(60) == State.FINISHED
        assert again.spec.words == job.spec.words


def pilot_home() -> Path:
    return Path(os.environ["COSINTERP_HOME"])
