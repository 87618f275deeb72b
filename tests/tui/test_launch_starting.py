"""A form is checked as it is filled in, and started as a job."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from cosinterp.errors import JobError
from cosinterp.jobs.home import HOME
from cosinterp.jobs.job import Job
from cosinterp.jobs.state import State
from cosinterp.rehearsal import Answer
from stores import open_store
from tests.tui.driving import shown_text, until
from tests.tui.launching import (
    GIVEN,
    LARGE,
    SMALL,
    fill,
    launch,
    row_of,
    scripted,
    stage,
    text_of,
    type_into,
    view_of,
    watched,
)
from tui.app import CosinterpApp
from tui.dialogs.ask import Question
from tui.launch import reading
from tui.launch.form_row import FormRow
from tui.launch.head_rows import SectionRow
from tui.launch.plan_text import Stage
from tui.launch.screen import Launch


async def test_errors_are_at_the_fields_that_they_are_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = scripted(monkeypatch)
    started = watched(monkeypatch)
    async with launch(tmp_path) as pilot:
        view = view_of(pilot)
        # What is needed and not given.
        await pilot.press("ctrl+s")
        assert view.current is row_of(pilot, "model")
        assert text_of(pilot, "#launch-foot").startswith("! --model is needed: maze-wan")
        # What the parser refuses, as it is typed.
        await fill(pilot, "trace", GIVEN)
        view._go(row_of(pilot, "num_steps"))
        await pilot.press("enter", "x")
        await stage(pilot, Stage.REFUSED)
        assert row_of(pilot, "num_steps").wrong
        assert text_of(pilot, "#launch-foot").startswith("! ")
        assert "'--num-steps'" in text_of(pilot, "#launch-foot")
        assert not rehearsal.asked or "x" not in rehearsal.asked[-1]
        await pilot.press("backspace", "4", "enter")
        await stage(pilot, Stage.PLANNED)
        assert not row_of(pilot, "num_steps").wrong
        # What the command refuses, of a field in a fold: its heading has the mark, and ctrl+s goes there.
        rehearsal.answer = lambda words: Answer(False, "--reduce-seed 3: nothing is drawn", "--reduce-seed")
        await type_into(pilot, "seeds", "0-3")
        await stage(pilot, Stage.REFUSED)
        [head] = [row for row in view.query(SectionRow) if row.section.title == "What to record"]
        assert head.wrong
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert view.current is row_of(pilot, "reduce_seed")
        assert text_of(pilot, "#launch-foot") == "! --reduce-seed 3: nothing is drawn"
        # What it refuses of no single flag stands in the plan.
        rehearsal.answer = lambda words: Answer(False, "it needs 3 GB; 1 GB is free", plan=SMALL)
        await type_into(pilot, "seeds", "0-4")
        await until(pilot, lambda: "it needs 3 GB" in shown_text(pilot))
        assert not any(row.wrong for row in view.query(FormRow))
        assert started == []
        # What only the start finds.
        rehearsal.answer = lambda words: Answer(True, plan=SMALL)

        def refused(words: Sequence[str], name: str | None) -> str:
            raise JobError("--store runs/a: no room\n(job trace-1, failed; all that it said: log.txt)")

        monkeypatch.setattr(reading, "start", refused)
        await type_into(pilot, "seeds", "0-5")
        await stage(pilot, Stage.PLANNED)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: row_of(pilot, "store").wrong)
        assert "no room" in text_of(pilot, "#launch-foot")
        assert isinstance(pilot.app.screen, Launch)
        # Flags that a command does not have.
        await pilot.app.fill_in("score", {"seeds": "0"})  # type: ignore[attr-defined]
        await until(pilot, lambda: "seeds: the command has no such flag" in text_of(pilot, "#launch-foot"))


async def test_a_job_is_started_once_it_is_checked_and_what_is_much_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = scripted(monkeypatch)
    started = watched(monkeypatch)
    async with launch(tmp_path) as pilot:
        rehearsal.may_answer.clear()
        await fill(pilot, "trace", {**GIVEN, "job_name": "first"})
        await pilot.press("ctrl+s")
        assert "it starts as soon as it is checked" in text_of(pilot, "#status")
        await until(pilot, lambda: rehearsal.asked)
        assert started == []
        rehearsal.may_answer.set()
        await until(pilot, lambda: len(started) == 2)
        words = ("trace", "--model", "maze-wan", "--store", "runs/a", "--dataset", "mazes")
        assert started == [(words, "first"), "job-1"]
        # Much to write: asked with the numbers, and by default not started.
        rehearsal.answer = lambda words: Answer(True, plan=LARGE)
        await type_into(pilot, "seeds", "0-7")
        await stage(pilot, Stage.PLANNED)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        assert "8 runs, 20.0 GB" in shown_text(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert len(started) == 2
        await pilot.press("ctrl+s", "y")
        await until(pilot, lambda: len(started) == 4)
        # A fault of ours in the rehearsal stops nobody who wants to go on.
        rehearsal.answer = lambda words: Answer(False, "KeyError: 'x'", bug="Traceback")
        await type_into(pilot, "seeds", "0-8")
        await stage(pilot, Stage.REFUSED)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        assert "could not be found out" in shown_text(pilot)
        await pilot.press("y")
        await until(pilot, lambda: len(started) == 6)
        # What has no dry run is started when its words are right.
        count = len(rehearsal.asked)
        await fill(pilot, "score", {"store": "runs/a"})
        await stage(pilot, Stage.PLANNED)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(started) == 8)
        assert started[-2] == (("score", "runs/a"), None)
        assert len(rehearsal.asked) == count


async def test_what_this_machine_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal = scripted(monkeypatch)
    started = watched(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mazes").touch()
    async with launch(tmp_path) as pilot:
        await pilot.press("m")
        await until(pilot, lambda: "the mazes cannot be written" in text_of(pilot, "#launch-foot"))

        def no_process(words: Sequence[str]) -> Answer:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

        rehearsal.answer = no_process
        await fill(pilot, "trace", GIVEN)
        await stage(pilot, Stage.REFUSED)
        assert os.strerror(errno.EAGAIN) in text_of(pilot, "#status")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("n")
        assert started == []


async def test_readonly_starts_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch)
    started = watched(monkeypatch)
    monkeypatch.chdir(tmp_path)
    async with launch(tmp_path, readonly=True) as pilot:
        await fill(pilot, "trace", GIVEN)
        await stage(pilot, Stage.PLANNED)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert [str(one.message) for one in pilot.app._notifications] == [
            "read-only: this app cannot start a job; y copies the command"
        ]
        await pilot.press("m")
        await pilot.pause(0.1)
        assert started == []
        assert list(tmp_path.iterdir()) == []
        shown = [key.description for key in pilot.app.screen.query_one(Footer).query(FooterKey)]
        assert "Copy" in shown
        assert not {"Start", "Mazes"} & set(shown)


async def test_a_newcomer_launches_a_trace_of_mazes_with_three_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real rehearsal and the real bundled model; then a shorter trace is really run."""
    started = watched(monkeypatch)
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    jobs: list[str] = []

    async def show_job(app: CosinterpApp, job_id: str) -> None:
        jobs.append(job_id)

    app = CosinterpApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: isinstance(app.screen, Launch))
        await pilot.press("m")
        await until(pilot, lambda: "dataset" in view_of(pilot).values)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: started, seconds=60)
        [(words, name), shown] = started
        assert words[:3] == ("trace", "--model", "maze-wan")
        assert (name, shown) == (None, "job-1")
        assert "8 to make" in shown_text(pilot)

        monkeypatch.undo()
        monkeypatch.setenv(HOME, str(tmp_path / "home"))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(CosinterpApp, "show_job", show_job)
        quick = {"limit": 1, "num_steps": "2", "seeds": "3", "layers": "0", "video": False}
        await fill(pilot, "trace", {**view_of(pilot).values, **quick, "device": "cpu"})
        await pilot.press("ctrl+s")
        await until(pilot, lambda: jobs, seconds=60)
    job = Job(tmp_path / "home" / "jobs" / jobs[0])
    assert await asyncio.to_thread(job.wait, 60) is State.FINISHED
    [run] = open_store(tmp_path / "runs" / "first").runs()
    assert (run.seed, run.num_steps) == (3, 2)
