"""Ctrl-C at any moment of a trace, and while the model waits for a slow disk."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import nnsight.tracing.tracer
import pytest

from cosinterp.capture.recording import BatchRecording
from cosinterp.models.model import Model
from cosinterp.tracing import trace
from stores import RunWriter, open_store
from stores.interrupts import interrupts_deferred
from tests.integration.faults.contents import run_contents
from tests.integration.faults.workshop import Command, Ended, Workshop, note, trace_of
from tests.tiny import sample_for

INTERRUPTS = 8
PROMPTLY = 15.0
"""Seconds: more than a busy machine needs to end a trace, and less than it takes to write out what waits."""


def check_what_is_kept(ended: Ended, store: Path) -> int:
    """Check that a trace said how to go on, and left finished runs and nothing else; says how many."""
    assert ended.code == 130, ended.said
    assert "Traceback" not in ended.said
    assert "--resume" in ended.said
    if not store.exists():
        return 0
    assert list(store.rglob("*.partial*")) == []
    opened = open_store(store)
    assert opened.verify() == []
    return len(opened.runs())


@pytest.mark.parametrize(
    "flags", [(), ("--batch", 2, "--host-memory", 0.00003, "--writers", 3)], ids=["large ring", "small ring"]
)
def test_ctrl_c_at_any_moment_keeps_the_finished_runs_and_leaves_nothing_else(
    flags: tuple[object, ...], workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    words = trace_of(folder, "--num-steps", 2, "--seeds", "0-3", *flags)
    uninterrupted = workshop.start(*words, "--store", tmp_path / "uninterrupted")
    uninterrupted.wait_to_say("4 runs into")
    started = time.monotonic()
    assert uninterrupted.end().code == 0
    # Of the work alone: what starts it takes long on a busy machine, and no moment of that keeps a run.
    seconds = time.monotonic() - started
    # The seed of the moments; the moments that come of it depend on the machine.
    moments = random.Random(0)
    kept = set()
    for attempt in range(INTERRUPTS):
        store = tmp_path / str(attempt)
        command = workshop.start(*words, "--store", store)
        command.wait_to_say("4 runs into")
        delay = moments.uniform(0, seconds)
        time.sleep(delay)
        command.send(signal.SIGINT)
        ended = command.end(PROMPTLY)
        note(f"after {delay:.3f} s: code {ended.code}")
        if ended.code != 0:
            kept.add(check_what_is_kept(ended, store))
    assert len(kept) > 1
    resumed = workshop.run(*words, "--store", store, "--resume")
    assert resumed.code == 0, resumed.said
    assert run_contents(store) == run_contents(tmp_path / "uninterrupted")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises, also where the tests run in the background."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_a_run_is_begun_leaves_nothing_of_it(
    tiny_model: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enter(writer: RunWriter) -> RunWriter:
        signal.raise_signal(signal.SIGINT)
        return writer

    monkeypatch.setattr(RunWriter, "__enter__", enter)
    with pytest.raises(KeyboardInterrupt):
        trace(tiny_model("wan2.1-t2v"), sample_for("wan2.1-t2v"), store=tmp_path, seeds=0, num_steps=2)
    assert list(tmp_path.rglob("*.partial*")) == []


@pytest.mark.usefixtures("ctrl_c")
def test_a_deferred_interrupt_comes_after_the_block() -> None:
    reached = []

    def block() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_nnsight_stumbles_over_is_still_one(
    tiny_model: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_ctrl_c(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    def stumble(traceback: object) -> NoReturn:
        # What comes of it where a traceback has no line number, which takes an interrupt at a rare moment.
        raise TypeError("'NoneType' object cannot be interpreted as an integer")

    monkeypatch.setattr(nnsight.tracing.tracer, "clean_traceback", stumble)
    monkeypatch.setattr(BatchRecording, "step", press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        trace(tiny_model("wan2.1-t2v"), sample_for("wan2.1-t2v"), store=tmp_path, seeds=0, num_steps=2)
    assert list(tmp_path.rglob("*.partial*")) == []


@pytest.mark.parametrize("memory", [4, 0.000015], ids=["large ring", "full ring"])
def test_ctrl_c_does_not_wait_for_a_slow_disk(
    memory: float, workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    command = start_on_a_slow_disk(workshop, folder, tmp_path, memory)
    command.send(signal.SIGINT)
    assert check_what_is_kept(command.end(PROMPTLY), tmp_path) == 2


def test_ctrl_c_twice_ends_a_trace_without_its_tidying_up(
    workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    command = start_on_a_slow_disk(workshop, folder, tmp_path, memory=4)
    command.send(signal.SIGINT)
    # While the writes under way are waited for.
    time.sleep(0.05)
    command.send(signal.SIGINT)
    ended = command.end(PROMPTLY)
    assert ended.code == 130, ended.said
    opened = open_store(tmp_path)
    assert {problem.kind for problem in opened.verify()} <= {"leftover"}
    assert len(opened.runs()) == 2


def start_on_a_slow_disk(workshop: Workshop, folder: Path, store: Path, memory: float) -> Command:
    """Finish two runs and start 18 more, whose writing takes minutes; returns when it lags behind."""
    words = trace_of(
        folder, "--num-steps", 2, "--writers", 2, "--host-memory", memory, "--store", store, "--resume"
    )
    assert workshop.run(*words, "--seeds", "0-1").code == 0
    command = workshop.start(*words, "--seeds", "0-19", slow_disk=0.1)
    command.wait_to_say("18 runs into")
    time.sleep(0.5)
    return command
