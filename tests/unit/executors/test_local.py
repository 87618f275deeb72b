"""The executor of this machine: what it tells, and that no worker is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import joblib
import psutil
import pytest

from cosinterp.errors import UserError
from cosinterp.executors.executor import Failed, Finished, Told, WorkerError
from cosinterp.executors.local import LocalExecutor
from tests.unit.executors.works import Crowded, Doing, Unopened, Unpicklable, count, notes

TWO = ("cpu", "cpu")


def done(folder: Path, *tasks: str, devices: tuple[str, ...] = TWO) -> list[Any]:
    """What happens when tasks are done; no process is left."""
    with closing(LocalExecutor(devices).run(Doing(folder), tasks)) as happening:
        happened = list(happening)
    assert workers() == []
    return happened


def workers(pid: int | None = None) -> list[psutil.Process]:
    """The worker processes of a driver."""
    return [
        process
        for process in psutil.Process(pid).children(recursive=True)
        if "cosinterp worker" in " ".join(process.cmdline())
    ]


def test_each_task_is_done_once_and_told_in_the_order_of_things(tmp_path: Path) -> None:
    happened = done(tmp_path, "upper a", "upper b", "upper c")
    assert sorted(one.value for one in happened if isinstance(one, Finished)) == ["A", "B", "C"]
    for letter in "abc":
        own = [one for one in happened if one.task == f"upper {letter}"]
        assert own == [
            Told(f"upper {letter}", f"about to make {letter} large"),
            Finished(f"upper {letter}", letter.upper()),
        ]
    # Each worker opened the work once, and left it without an error.
    assert len([line for line in notes(tmp_path) if line.startswith("opened")]) == 2
    assert count(tmp_path, "left ") == 2


def test_there_are_no_more_workers_than_tasks_and_without_tasks_none(tmp_path: Path) -> None:
    done(tmp_path, "upper a", devices=("cpu",) * 5)
    assert len([line for line in notes(tmp_path) if line.startswith("opened")]) == 1
    assert done(tmp_path) == []


def test_each_device_has_its_worker_and_cores_are_shared_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    happened = done(tmp_path, "together 2 a", "together 2 b", devices=("cuda:0", "cuda:2"))
    assert {one.value for one in happened} == {("cuda:0", "3"), ("cuda:2", "3")}


def test_a_number_of_threads_that_is_set_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert done(tmp_path, "together 1", devices=("cpu",))[0].value == ("cpu", "7")


def test_a_task_whose_worker_is_killed_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    happened = done(tmp_path, "die 2", "upper a", "upper b")
    assert Finished("die 2", "alive") in happened
    assert sum(isinstance(one, Finished) for one in happened) == 3
    assert count(tmp_path, "began die 2") == 3
    said = capsys.readouterr().err
    assert "[cpu] the worker is gone: killed by SIGKILL" in said
    assert "my last words" in said


def test_a_task_that_kills_three_workers_has_failed_and_the_others_are_done(tmp_path: Path) -> None:
    happened = done(tmp_path, "die 9", "upper a", "later b", "upper c", devices=("cpu",))
    failed = [one for one in happened if isinstance(one, Failed)]
    assert [(one.task, one.is_users) for one in failed] == [("die 9", False)]
    assert "its worker died 3 times, killed by SIGKILL" in failed[0].error
    assert "my last words" in failed[0].error
    assert count(tmp_path, "began die 9") == 3
    assert {one.value for one in happened if isinstance(one, Finished)} == {"A", "b", "C"}


def test_a_task_does_not_fail_for_one_that_kills_its_worker(tmp_path: Path) -> None:
    """The task before it is under way still when the worker dies, each time."""
    happened = done(tmp_path, "later a", "die 9", devices=("cpu",))
    assert [one.task for one in happened if isinstance(one, Finished)] == ["later a"]
    assert [one.task for one in happened if isinstance(one, Failed)] == ["die 9"]


def test_a_mistake_of_the_user_is_told_in_a_line_and_the_worker_goes_on(tmp_path: Path) -> None:
    happened = done(tmp_path, "mistake a", "upper b", devices=("cpu",))
    assert happened[0] == Failed("mistake a", "this is yours: a", is_users=True)
    assert happened[-1] == Finished("upper b", "B")
    assert len([line for line in notes(tmp_path) if line.startswith("opened")]) == 1


def test_a_bug_is_told_with_its_traceback_and_another_worker_goes_on(tmp_path: Path) -> None:
    happened = done(tmp_path, "later a", "bug b", "upper c", devices=("cpu",))
    failed = [one for one in happened if isinstance(one, Failed)]
    assert [(one.task, one.is_users) for one in failed] == [("bug b", False)]
    assert failed[0].error.startswith("Traceback")
    assert "in _bug" in failed[0].error
    assert "LookupError: this is ours: b" in failed[0].error
    # What was under way beside it is not lost.
    assert [one.task for one in happened if isinstance(one, Finished)] == ["later a", "upper c"]
    assert count(tmp_path, "began later a") == 1
    assert len([line for line in notes(tmp_path) if line.startswith("opened")]) == 2


def test_what_is_finished_later_is_waited_for_after_the_next_task_began(tmp_path: Path) -> None:
    happened = done(tmp_path, "later a", "later bad", "upper c", devices=("cpu",))
    events = [line for line in notes(tmp_path) if line.startswith(("began", "waited"))]
    assert events[:3] == ["began later a", "began later bad", "waited a"]
    assert Failed("later bad", "later it failed", is_users=True) in happened
    assert [one.task for one in happened if isinstance(one, Finished)] == ["later a", "upper c"]


def test_a_task_that_cannot_be_sent_has_failed(tmp_path: Path) -> None:
    happened = done(tmp_path, Unpicklable("upper a"), "upper b", devices=("cpu",))
    assert happened[0] == Failed("upper a", "the image has changed", is_users=True)
    assert happened[-1] == Finished("upper b", "B")


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ("mistake", UserError, "^cpu: no such model$"),
        ("bug", WorkerError, "LookupError: no such line"),
        ("dies", WorkerError, "cpu: 3 workers died while they got ready, killed by SIGSEGV"),
    ],
)
def test_a_work_that_cannot_be_opened_ends_all(
    how: str, error: type[Exception], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    executor = LocalExecutor(TWO)
    with pytest.raises(error, match=said), closing(executor.run(Unopened(how), ["a", "b"])) as run:
        list(run)
    assert workers() == []
    # The other worker was stopped in silence.
    assert "KeyboardInterrupt" not in capsys.readouterr().err


def test_workers_that_die_of_being_opened_at_once_are_opened_one_after_another(tmp_path: Path) -> None:
    with closing(LocalExecutor(["cpu"] * 3).run(Crowded(tmp_path), list("abcdef"))) as happening:
        assert sorted(one.task for one in happening) == list("abcdef")
    assert len([line for line in notes(tmp_path) if line.startswith("opened")]) >= 2


def test_what_workers_print_is_shown_line_by_line_and_once(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    executor = LocalExecutor(TWO, say=lambda device, line: said.append((device, line)))
    with closing(executor.run(Doing(tmp_path), ["print hello", "print hello"])) as happening:
        list(happening)
    assert sorted(said) == [("cpu", "hello"), ("cpu", "hello in the end")]


def test_the_same_words_of_a_worker_that_comes_after_another_are_shown_again(tmp_path: Path) -> None:
    said: list[str] = []
    executor = LocalExecutor(["cpu"], say=lambda device, line: said.append(line))
    # A real-time signal, which has no name.
    with closing(executor.run(Doing(tmp_path), ["crash 60"])) as happening:
        (failed,) = happening
    assert isinstance(failed, Failed)
    assert failed.error.startswith("its worker died 3 times, killed by signal 60")
    assert said.count("my last words") == 3


def test_a_worker_that_prints_a_lot_is_not_held_up(tmp_path: Path) -> None:
    said: list[str] = []
    executor = LocalExecutor(["cpu"], say=lambda device, line: said.append(line))
    with closing(executor.run(Doing(tmp_path), ["flood 5000"])) as happening:
        assert [one.task for one in happening] == ["flood 5000"]
    assert len(said) == 5000


def test_closing_stops_workers_which_clean_up(tmp_path: Path) -> None:
    happening = LocalExecutor(TWO).run(Doing(tmp_path), ["sleep 60", "sleep 61", "upper a"])
    assert isinstance(next(happening), Told)
    assert isinstance(next(happening), Told)
    began = time.monotonic()
    happening.close()
    assert time.monotonic() - began < 9
    assert workers() == []
    assert {"woke 60", "woke 61"} <= set(notes(tmp_path))
    assert count(tmp_path, "left KeyboardInterrupt") == 2


def test_a_worker_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosinterp.executors.local.PATIENCE", 0.5)
    happening = LocalExecutor(["cpu"]).run(Doing(tmp_path), ["stubborn 60"])
    next(happening)
    happening.close()
    assert workers() == []
    assert count(tmp_path, "interrupted ") == 1


DRIVER = """
import sys
from contextlib import closing
from pathlib import Path
from cosinterp.executors.local import LocalExecutor
from tests.unit.executors.works import Doing
with closing(LocalExecutor(["cpu", "cpu"]).run(Doing(Path(sys.argv[1])), ["sleep 60", "sleep 61"])) as run:
    for _ in run:
        print("told", flush=True)
"""


def driver(folder: Path) -> subprocess.Popen[str]:
    """A program whose two workers are asleep."""
    words = [sys.executable, "-c", DRIVER, str(folder)]
    started = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert started.stdout is not None
    assert [started.stdout.readline() for _ in range(2)] == ["told\n", "told\n"]
    return started


def test_workers_of_a_killed_driver_end_by_themselves(tmp_path: Path) -> None:
    started = driver(tmp_path)
    mine = workers(started.pid)
    assert len(mine) == 2
    started.kill()
    started.communicate()
    gone, alive = psutil.wait_procs(mine, timeout=9)
    assert alive == []
    assert len(gone) == 2
    # They cleaned up first.
    assert {"woke 60", "woke 61"} <= set(notes(tmp_path))


def test_ctrl_c_reaches_the_driver_alone_and_ends_all(tmp_path: Path) -> None:
    started = driver(tmp_path)
    mine = workers(started.pid)
    # As a terminal does it: every process of the group.
    os.killpg(started.pid, signal.SIGINT)
    _, said = started.communicate(timeout=9)
    assert "KeyboardInterrupt" in said
    assert not any(process.is_running() for process in mine)
    assert count(tmp_path, "left KeyboardInterrupt") == 2
    assert "[cpu]" not in said


def test_a_signal_that_is_not_the_drivers_interrupts_no_worker(tmp_path: Path) -> None:
    with closing(LocalExecutor(["cpu"]).run(Doing(tmp_path), ["sleep 0.5"])) as happening:
        next(happening)
        workers()[0].send_signal(signal.SIGINT)
        assert list(happening) == [Finished("sleep 0.5", None)]
