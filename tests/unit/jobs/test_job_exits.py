"""Why a job ended, from its exit and its last words."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosinterp.jobs.exits import Exit, reason
from cosinterp.jobs.memory_kills import memory_kills
from cosinterp.jobs.state import State
from cosinterp.jobs.stops import CANCEL, Stops

TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 1, in f
    return g()
           ^^^
"""
CHAINED = "\nDuring handling of the above exception, another exception occurred:\n\n"
USAGE = """Usage: python -m cosinterp trace [OPTIONS]
Try 'python -m cosinterp trace -h' for help.
╭─ Error ──────────────────────────────────────────────╮
│ Invalid value for '--seeds': there are no seeds      │
│ like this                                            │
╰──────────────────────────────────────────────────────╯
"""
_HEARD = (CANCEL, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total"


@pytest.mark.parametrize(
    ("code", "said", "state", "message"),
    [
        (0, "error: of a part that did not matter\n", State.FINISHED, None),
        (2, "reading\nerror: x: no such store\n", State.FAILED, "x: no such store"),
        (2, "error: one\nerror: two lines\nof it\n", State.FAILED, "two lines\nof it"),
        (2, "\x1b[1;31merror: \x1b[0mx: no such store\n", State.FAILED, "x: no such store"),
        (2, USAGE, State.FAILED, "Invalid value for '--seeds': there are no seeds like this"),
        (1, "a\nb\n\nc\nd\n", State.FAILED, "b\nc\nd"),
        (3, "", State.FAILED, "it ended with exit code 3 and without a word"),
        (1, TRACEBACK + "KeyError: 'x'\n", State.CRASHED, "KeyError: 'x'"),
        (1, TRACEBACK + "a.b.Odd: x\n  more\nand more\n", State.CRASHED, "a.b.Odd: x"),
        (
            1,
            f"{TRACEBACK}KeyError: 1\n{CHAINED}{TRACEBACK}ValueError: 2\n",
            State.CRASHED,
            "ValueError: 2",
        ),
        (2, TRACEBACK + "KeyError: 'was logged'\nerror: disk full\n", State.FAILED, "disk full"),
        (1, f"error: was got over\n{TRACEBACK}KeyError: 1\n", State.CRASHED, "KeyError: 1"),
        (1, f"{TRACEBACK}{OUT_OF_MEMORY}\n", State.OUT_OF_MEMORY, OUT_OF_MEMORY),
        (
            2,
            "error: m: does not fit into the memory of cuda:0; try --offload\n",
            State.OUT_OF_MEMORY,
            "m: does not fit into the memory of cuda:0; try --offload",
        ),
        (1, TRACEBACK + "MemoryError\n", State.OUT_OF_MEMORY, "MemoryError"),
        (
            1,
            TRACEBACK + "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1 TiB\n",
            State.OUT_OF_MEMORY,
            "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1 TiB",
        ),
        (130, "interrupted; 2 finished runs kept\n", State.KILLED, "interrupted from outside of the job"),
        (-signal.SIGKILL, "", State.KILLED, "killed by SIGKILL from outside of the job"),
        (-signal.SIGSEGV, "", State.CRASHED, "the program broke off by SIGSEGV"),
        (-60, "", State.KILLED, "killed by signal 60 from outside of the job"),
    ],
)
def test_the_reason_is_told_by_the_exit_and_the_last_words(
    code: int, said: str, state: State, message: str | None
) -> None:
    found, details = reason(Exit(code, said))
    assert (found, details.get("message")) == (state, message)


@pytest.mark.parametrize("code", [1, 2, 130, -signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL])
def test_who_was_told_to_stop_is_cancelled_however_it_ended(code: int) -> None:
    assert reason(Exit(code, TRACEBACK + "KeyError: 1\n", told=CANCEL, memory_kill=True)) == (
        State.CANCELLED,
        {},
    )


def test_who_was_told_too_late_is_finished() -> None:
    assert reason(Exit(0, "", told=CANCEL))[0] is State.FINISHED


@pytest.mark.parametrize("code", [1, 2, 130, -signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL])
def test_what_the_system_has_stopped_was_killed_and_not_cancelled(code: int) -> None:
    state, details = reason(Exit(code, "", told=signal.SIGTERM))
    assert (state, details["signal"]) == (State.KILLED, "SIGTERM")
    assert details["message"].startswith("its keeper was told to stop by SIGTERM from outside of the job")


def test_a_fault_is_a_fault_whoever_wanted_it_to_stop() -> None:
    for told in (CANCEL, signal.SIGTERM):
        assert reason(Exit(-signal.SIGSEGV, "", told=told))[0] is State.CRASHED


@pytest.fixture
def stops() -> Iterator[Stops]:
    before = {signum: signal.getsignal(signum) for signum in _HEARD}
    yield Stops()
    signal.set_wakeup_fd(-1)
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        ((), None),
        ((signal.SIGHUP,), None),
        ((signal.SIGTERM,), signal.SIGTERM),
        ((signal.SIGINT, signal.SIGTERM), signal.SIGINT),
        # Whoever else has told it: the user has, and knows why it stops.
        ((CANCEL, signal.SIGTERM), CANCEL),
        ((signal.SIGTERM, CANCEL), CANCEL),
    ],
)
def test_a_keeper_hears_by_whom_it_is_told_to_stop(
    heard: tuple[signal.Signals, ...], told: signal.Signals | None, stops: Stops
) -> None:
    for signum in heard:
        signal.raise_signal(signum)
    assert stops.told is told
    assert stops.count == sum(signum != signal.SIGHUP for signum in heard)


def test_a_kill_by_the_system_for_lack_of_memory_is_told_from_others() -> None:
    state, details = reason(Exit(-signal.SIGKILL, "", memory_kill=True))
    assert (state, details["where"]) == (State.OUT_OF_MEMORY, "host")
    assert reason(Exit(-signal.SIGTERM, "", memory_kill=True))[0] is State.KILLED


def test_which_memory_was_too_small_is_told() -> None:
    assert reason(Exit(1, f"{TRACEBACK}{OUT_OF_MEMORY}\n"))[1]["where"] == "gpu"
    assert reason(Exit(1, TRACEBACK + "MemoryError\n"))[1]["where"] == "host"


def test_a_message_of_any_length_is_cut() -> None:
    _, details = reason(Exit(2, "error: " + "x" * 10**5))
    assert len(details["message"]) == 1000


@pytest.mark.parametrize(
    ("groups", "file", "text"),
    [
        ("0::/user.slice/a\n", "user.slice/a/memory.events", "low 0\noom 4\noom_kill 3\noom_group_kill 0\n"),
        (
            "4:memory:/jobs/7\n3:cpu,cpuacct:/\n",
            "memory/jobs/7/memory.oom_control",
            "under_oom 0\noom_kill 3\n",
        ),
        ("4:cpu,memory:/of/the/host\n0::/\n", "memory/memory.oom_control", "oom_kill 3\n"),
        ("1:name=systemd:/x\n0::/y\n", "unified/y/memory.events", "oom_kill 3\n"),
    ],
)
def test_kills_for_lack_of_memory_are_counted_by_the_control_group(
    groups: str, file: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "cgroup").write_text(groups)
    assert memory_kills(tmp_path / "cgroup", tmp_path) is None
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert memory_kills(tmp_path / "cgroup", tmp_path) == 3
    assert memory_kills(tmp_path / "missing", tmp_path) is None
