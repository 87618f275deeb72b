"""Decoding runs from the screen of their pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosinterp.errors import JobError
from cosinterp.jobs.state import State
from cosinterp.jobs.status import Status
from cosinterp.media_files import write_video
from cosinterp.media_places import FOLDER, media_folder, step_video
from tests.tui.driving import shown_text, until, until_read
from tests.tui.store_factory import STEPS, make_store
from tui.app import CosinterpApp
from tui.browser.rows import Row
from tui.frames import decoding
from tui.frames.decoders import Decoders
from tui.frames.decoding import groups, words_of
from tui.frames.film import decode_words
from tui.jobs.watch import JobsSeen, Seen
from tui.options import Options


def row(sample: str = "maze-1", seed: int = 0, variant: str = "base") -> Row:
    return Row(Path("/runs/mazes"), "mazes", sample, seed, variant, 2, (0,), 1, 0.0)


def status(
    words: list[str], state: State = State.RUNNING, job_id: str = "decode-1", **known: object
) -> Status:
    made = Status(job_id, None, tuple(words), "/", state, 1, 0.0)
    return replace(made, **known)  # type: ignore[arg-type]


def seen(*jobs: Status) -> JobsSeen:
    return JobsSeen(tuple(Seen(Path("/jobs") / one.id, 0.0, one) for one in jobs))


def test_one_job_decodes_the_seeds_of_a_sample_and_variant() -> None:
    runs = [row(seed=3), row("maze-2"), row(seed=1), row(seed=1, variant="noised")]
    assert [decode_words(group) for group in groups(runs)] == [
        ["decode", "/runs/mazes", "--sample", "maze-1", "--seed", "1,3"],
        ["decode", "/runs/mazes", "--sample", "maze-2", "--seed", "0"],
        ["decode", "/runs/mazes", "--sample", "maze-1", "--seed", "1", "--variant", "noised"],
    ]


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({}, "decoding: starting"),
        ({"done": 3, "total": 12, "seconds_left": 41.0}, "decoding: step 3 of 12, 41 s left"),
        ({"state": State.QUEUED, "message": "all GPUs are taken"}, "decoding is queued: all GPUs are taken"),
        ({"state": State.FAILED, "message": "no model\nmore"}, "decoding failed: no model"),
        ({"state": State.OUT_OF_MEMORY}, "decoding out of memory"),
    ],
)
def test_what_a_job_does_is_said_in_words(known: dict[str, object], text: str) -> None:
    assert words_of(status(["decode"], **known)) == f"{text}\njob decode-1 (4 leads to it)"  # type: ignore[arg-type]


def test_of_a_finished_job_nothing_is_said() -> None:
    assert words_of(status(["decode"], State.FINISHED)) == ""


def test_jobs_that_were_started_before_are_followed() -> None:
    first, second, other = row(seed=0), row(seed=1), row("maze-2")
    decoders = Decoders([first, second, other])
    words = decode_words([first, second])
    assert decoders.see(seen(status(words, done=0, total=4))) == [first, second]
    assert decoders.last_job == "decode-1"
    assert [decoders.is_at_work(one) for one in (first, second, other)] == [True, True, False]
    assert decoders.see(seen(status(words, done=0, total=4))) == []
    assert decoders.see(seen(status(words, done=1, total=4))) == [first, second]
    assert decoders.words(other) == ""
    assert decoders.see(seen(status(words, State.FINISHED, done=1, total=4))) == [first, second]
    assert not decoders.is_at_work(first)
    assert decoders.see(seen(status(words, State.FINISHED, done=1, total=4))) == []
    # Words of another command, or that decode otherwise, are not followed.
    others = [["trace", *words[1:]], [*words, "--steps", "0"], decode_words([row("maze-9")])]
    assert Decoders([first]).see(seen(*(status(one) for one in others))) == []


def test_a_job_that_fails_says_why_and_can_be_asked_for_again() -> None:
    decoders = Decoders([row()])
    decoders.begin(row())
    assert decoders.is_at_work(row())
    decoders.started([row()], "", "no room\nthere")
    assert not decoders.is_at_work(row())
    assert decoders.words(row()).startswith("decoding was not started: no room")
    decoders.begin(row())
    decoders.started([row()], "decode-1", "")
    decoders.see(seen(status(["decode"], State.FAILED, message="no model")))
    assert decoders.words(row()).startswith("decoding failed: no model")


def decode_step(store: Path, step: int) -> None:
    folder = media_folder(store / FOLDER, "maze-1", 0)
    folder.mkdir(parents=True, exist_ok=True)
    write_video(np.full((3, 32, 32, 3), (250, 0, 0), np.uint8), step_video(folder, step), 4.0)


async def test_capital_d_decodes_and_shows_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    started: list[list[str]] = []

    def start(rows: decoding.Group) -> str:
        if not started:
            started.append([])
            raise JobError("there is no room")
        started.append(decode_words(rows))
        return "decode-1"

    monkeypatch.setattr(decoding, "start", start)
    words = ["decode", str(store), "--sample", "maze-1", "--seed", "0"]
    app = CosinterpApp(store)
    async with app.run_test(size=(120, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("D")
        await until(pilot, lambda: "decoding was not started: there is no room" in shown_text(pilot))
        await pilot.press("D")
        await until(pilot, lambda: "decoding: waiting for the job" in shown_text(pilot))
        assert started[1:] == [words]
        await pilot.press("D")
        decode_step(store, 0)
        app.jobs_watch._publish(seen(status(words, done=1, total=STEPS, seconds_left=5.0)))
        await until(pilot, lambda: "frame 2 of 2" in shown_text(pilot))
        assert "decoding: step 1 of 2, 5 s left" in shown_text(pilot)
        await pilot.press("right")
        assert "decoding: step 1 of 2, 5 s left" in shown_text(pilot)
        decode_step(store, 1)
        app.jobs_watch._publish(seen(status(words, State.FINISHED, done=2, total=STEPS)))
        await until(pilot, lambda: "frame 2 of 2" in shown_text(pilot))
        assert "decoding" not in shown_text(pilot)
        assert len(started) == 2


async def test_a_read_only_app_gives_the_command_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    monkeypatch.setattr(decoding, "start", lambda rows: pytest.fail("a job was started"))
    app = CosinterpApp(store, Options(readonly=True))
    async with app.run_test(size=(120, 24), notifications=True) as pilot:
        await until_read(pilot)
        await pilot.press("f")
        await until(pilot, lambda: "y copies the command that decodes them" in shown_text(pilot))
        assert "D decodes" not in shown_text(pilot)
        await pilot.press("D")
        await until(pilot, lambda: "read-only" in shown_text(pilot))
