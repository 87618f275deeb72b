"""What a keeper is made of: its diary, its log, its sight of processes, and the folders it finds."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cosinterp.jobs import naming
from cosinterp.jobs.diary import Diary, spacing
from cosinterp.jobs.events import read_events
from cosinterp.jobs.home import home, jobs_folder
from cosinterp.jobs.log import Log
from cosinterp.jobs.machine import host_memory
from cosinterp.jobs.naming import make_job_folder
from cosinterp.jobs.processes import Identity, members, send, stop
from cosinterp.jobs.record import Record, read_record
from tests.unit.test_import_hygiene import COMMAND_LINE, MODEL, TERMINAL_APP, import_all, loaded_by


def refuse(fd: int, data: bytes) -> int:
    """What `os.write` does on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def diary(tmp_path: Path, clock: Clock) -> Iterator[Diary]:
    lock = os.open(tmp_path / "now.json", os.O_RDWR | os.O_CREAT)
    keeper = Identity.of(os.getpid())
    made = Diary(tmp_path, lock, Record(attempt=2, phase="starting", host="here", keeper=keeper))
    yield made
    made.close()
    os.close(lock)


def test_progress_is_written_once_a_second_at_the_most_and_the_last_of_it_always(
    diary: Diary, clock: Clock, tmp_path: Path
) -> None:
    diary.started(Identity.of(os.getpid()), [])
    for done in range(100):
        diary.progress({"done": done, "total": 100})
        clock.seconds += 0.1
        assert read_record(tmp_path / "now.json").progress == {"done": done, "total": 100}
    diary.end("finished")
    told = [
        event.details["done"] for event in read_events(tmp_path / "events.jsonl") if event.event == "progress"
    ]
    assert 10 <= len(told) <= 12
    assert told[0] == 0
    assert told[-1] == 99
    assert [event.event for event in read_events(tmp_path / "events.jsonl")][-1] == "finished"
    assert read_record(tmp_path / "now.json").ended["event"] == "finished"


def test_events_of_a_job_that_runs_for_a_month_stay_small(
    diary: Diary, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 24 * 3600
    assert [spacing(seconds, 1.0) for seconds in (0, 3599, 3600, day - 1, day, 30 * day)] == [
        1,
        1,
        5,
        5,
        30,
        30,
    ]
    least = 1.0
    lines = 3600 / least + (day - 3600) / (5 * least) + 29 * day / (30 * least)
    progress, machine = 250, 250
    assert lines * progress + lines / 5 * machine < 32 * 2**20
    # And what is spaced so is written so.
    diary.started(Identity.of(os.getpid()), [])
    clock.seconds += 2 * day
    for done in range(100):
        diary.progress({"done": done})
        clock.seconds += 1
    told = [event for event in read_events(tmp_path / "events.jsonl") if event.event == "progress"]
    assert 3 <= len(told) <= 5


def test_a_worker_may_tell_anything_and_only_what_is_known_is_kept(diary: Diary, tmp_path: Path) -> None:
    diary.progress(
        {
            "description": "x" * 1000,
            "done": float("nan"),
            "total": 12,
            "rate": "fast",
            "seconds_left": 10**400,
            "seeds": [0, 1],
            "sample": None,
            "unit": "a\udcff",
            "event": "finished",
            "attempt": 7,
        }
    )
    (event,) = read_events(tmp_path / "events.jsonl")
    assert event.details == {"description": "x" * 200, "unit": "a?", "total": 12, "seeds": "[0, 1]"}
    diary.progress({"rate": float("inf"), "seconds_left": -float("inf"), "sample": "\x01" * 200})
    diary.end("failed", message="a\udcff" + "😀" * 1000)
    record = read_record(tmp_path / "now.json")
    assert record.progress == {"sample": "\x01" * 166 + "…"}
    assert record.ended["message"].startswith("a?😀")
    assert (event.event, event.attempt) == ("progress", 2)


def test_a_keeper_gives_signs_of_life(diary: Diary, clock: Clock, tmp_path: Path) -> None:
    diary.change(phase="queued")
    os.utime(tmp_path / "now.json", (0, 0))
    diary.tick()
    assert (tmp_path / "now.json").stat().st_mtime == 0
    clock.seconds += 10
    diary.tick()
    assert (tmp_path / "now.json").stat().st_mtime > 0


def test_a_full_disk_stops_no_keeper_and_the_end_is_told_all_the_same(
    diary: Diary, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", refuse)
    diary.note("started", pid=1)
    diary.progress({"done": 1})
    diary.machine(5, [])
    diary.tick()
    monkeypatch.setattr(os, "write", write)
    diary.tick()
    assert [event.event for event in read_events(tmp_path / "events.jsonl")] == ["started"]
    monkeypatch.setattr(os, "write", refuse)
    diary.end("cancelled")
    assert read_record(tmp_path / "now.json").ended["event"] == "cancelled"


def test_a_log_goes_on_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "log.txt")
    log.add(b"before\n")
    write = os.write
    monkeypatch.setattr(os, "write", refuse)
    log.add(b"lost\n")
    # The reason of a failure is found in what was printed, whether or not there was room for it.
    assert log.tail == "before\nlost\n"
    monkeypatch.setattr(os, "write", write)
    log.add(b"after\n" + b"x" * 2**17)
    log.close()
    text = (tmp_path / "log.txt").read_text()
    assert text.startswith("before\n\n[5 bytes were lost here: there was no room for them]\nafter\n")
    assert len(log.tail) == 2**16
    assert stat.S_IMODE((tmp_path / "log.txt").stat().st_mode) == 0o600


_PARENT = """
import subprocess, sys, time
child = [sys.executable, "-c", "import time; time.sleep(60)"]
subprocess.Popen(child)
subprocess.Popen(child, process_group=0)
subprocess.Popen(child, start_new_session=True)
sys.stdout.write("ready")
sys.stdout.flush()
time.sleep(60)
"""


def test_all_that_belongs_to_a_session_is_found_and_stopped() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, start_new_session=True)
    assert parent.stdout.read(5) == b"ready"
    family = members(parent.pid)
    assert len(family) == 4
    assert parent.pid in family
    assert members(parent.pid, spared=[parent.pid]) == [pid for pid in family if pid != parent.pid]
    # By those that came from it alone, one has left the session and is found all the same.
    assert members(None, [parent.pid]) == [pid for pid in family if pid != parent.pid]
    assert host_memory(family) > host_memory([parent.pid]) > 2**20
    stop(parent.pid, [os.getpid()], patience=5)
    assert members(parent.pid) == []
    assert not any(Identity.of(pid).is_alive for pid in family)
    assert parent.wait() < 0
    assert host_memory(family) == 0


@pytest.mark.parametrize("gone", [ProcessLookupError, PermissionError])
def test_what_cannot_be_told_to_stop_stops_no_keeper(
    gone: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def refuse(name: str) -> Callable[[int, int], None]:
        def act(pid: int, signum: int) -> None:
            told.append(name)
            raise gone(1, "refused")

        return act

    for name in ("kill", "killpg"):
        monkeypatch.setattr(os, name, refuse(name))
    send(1, signal.SIGTERM)
    send(1, signal.SIGTERM, group=True)
    assert told == ["kill", "killpg"]


def test_ids_are_readable_and_files_of_the_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = [
            make_job_folder(tmp_path / "home" / "jobs", begin) for begin in ("trace", "My Käse/../x !", "..")
        ]
    finally:
        os.umask(before)
    pattern = r"-\d{4}-\d{4}-[a-z]+"
    for path, begin in zip(made, ("trace", "my-k-se-x", "job"), strict=True):
        assert re.fullmatch(begin + pattern, path.name)
        assert path.parent == tmp_path / "home" / "jobs"
    for path in (*made, tmp_path / "home", tmp_path / "home" / "jobs"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_no_two_jobs_have_one_id_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "_WORDS", ["kite", "otter"])
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: make_job_folder(tmp_path, "trace"), range(40)))
    assert len({path.name for path in made}) == 40
    assert all(path.is_dir() for path in made)


def test_the_home_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSINTERP_HOME", "here")
    assert jobs_folder() == tmp_path / "here" / "jobs"
    monkeypatch.delenv("COSINTERP_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if sys.platform == "linux":
        assert home() == tmp_path / "data" / "cosinterp"


def test_jobs_need_neither_a_model_nor_a_terminal() -> None:
    assert loaded_by(import_all("cosinterp.jobs")) & (MODEL | TERMINAL_APP | COMMAND_LINE) == set()


def test_telling_costs_a_command_no_import() -> None:
    loaded = loaded_by("import cosinterp.jobs.telling")
    assert loaded & {"pydantic", "psutil", "numpy", "h5py", "platformdirs"} == set()
