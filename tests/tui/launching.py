"""Driving the place Launch in tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

import cosinterp.rehearsal
from cosinterp.rehearsal import Answer, Plan
from tests.tui.driving import until
from tui.app import CosinterpApp
from tui.launch import reading
from tui.launch.field_row import FieldRow
from tui.launch.form_view import FormView
from tui.launch.plan_text import Stage
from tui.launch.screen import Launch
from tui.launch.value_input import Completions, ValueInput
from tui.options import Options

SMALL = Plan(("runs        8 to make", "layers      0-8"), bytes=1_000_000, seconds=60.0, runs=8)
LARGE = Plan(("runs        8 to make",), bytes=20_000_000_000, runs=8)
GIVEN = {"model": "maze-wan", "dataset": "mazes", "store": "runs/a"}


class Scripted:
    """A rehearsal that answers what a test has it answer, once the test lets it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.answer: Callable[[Sequence[str]], Answer] = lambda words: Answer(True, plan=SMALL)
        self.may_answer = threading.Event()
        self.may_answer.set()

    def ask(self, words: Sequence[str], folder: Path | None = None) -> Answer:
        self.asked.append(tuple(words))
        assert self.may_answer.wait(20)
        return self.answer(words)

    def overtake(self) -> None:
        pass

    def close(self) -> None:
        self.may_answer.set()


def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Have forms ask a rehearsal of ours."""
    rehearsal = Scripted()
    monkeypatch.setattr(cosinterp.rehearsal, "Rehearsal", lambda: rehearsal)
    return rehearsal


def watched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is started from now on, and the jobs that are then shown; nothing is really started."""
    told: list[Any] = []

    def start(words: Sequence[str], name: str | None) -> str:
        told.append((tuple(words), name))
        return "job-1"

    async def show_job(app: CosinterpApp, job_id: str) -> None:
        told.append(job_id)

    monkeypatch.setattr(reading, "start", start)
    monkeypatch.setattr(CosinterpApp, "show_job", show_job)
    return told


@asynccontextmanager
async def launch(path: Path, size: tuple[int, int] = (80, 24), **options: bool):
    """The app at Launch, its first form read."""
    app = CosinterpApp(path, Options(**options))
    async with app.run_test(size=size) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: isinstance(app.screen, Launch) and view_of(pilot).form is not None)
        yield pilot


def screen_of(pilot: Pilot[None]) -> Launch:
    screen = pilot.app._screen_stacks["launch"][0]
    assert isinstance(screen, Launch)
    return screen


def view_of(pilot: Pilot[None]) -> FormView:
    return screen_of(pilot)._view


def row_of(pilot: Pilot[None], name: str, place: int = 0) -> FieldRow:
    [row] = [
        row
        for row in view_of(pilot).query(FieldRow)
        if row.field.parameter.name == name and row.place == place
    ]
    return row


def text_of(pilot: Pilot[None], name: str) -> str:
    return str(screen_of(pilot).query_one(name, Static).content)


def offered(pilot: Pilot[None]) -> list[str]:
    """What the field that is being filled in may go on with."""
    return [one.text for one in pilot.app.screen.query_one(Completions).found]


async def fill(pilot: Pilot[None], command: str, values: dict[str, Any]) -> None:
    """Fill in a form as other places do, and wait until it is there."""
    await pilot.app.fill_in(command, values)  # type: ignore[attr-defined]
    wanted = {name: value for name, value in values.items() if isinstance(value, str)}
    await until(
        pilot,
        lambda: (
            (form := view_of(pilot).form) is not None
            and form.command == command
            and wanted.items() <= view_of(pilot).values.items()
        ),
    )


async def stage(pilot: Pilot[None], wanted: Stage) -> None:
    await until(pilot, lambda: screen_of(pilot)._judge.outlook.stage is wanted)


async def type_into(pilot: Pilot[None], name: str, text: str, place: int = 0) -> None:
    """Replace what stands in a field."""
    view_of(pilot)._go(row_of(pilot, name, place))
    await pilot.press("enter")
    pilot.app.screen.query_one(ValueInput).value = text
    await pilot.press("enter")
    await pilot.pause()
