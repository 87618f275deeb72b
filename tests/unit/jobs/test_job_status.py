"""The state of a job, from its folder and from which of its processes live."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from cosinterp.errors import JobError
from cosinterp.jobs.control import cancel, remove
from cosinterp.jobs.events import EventLog, now
from cosinterp.jobs.home import host
from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import submit
from cosinterp.jobs.listing import find_job, jobs
from cosinterp.jobs.processes import Identity
from cosinterp.jobs.record import Phase, Record, take_lock, write_record
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.state import State
from cosinterp.jobs.stops import CANCEL

GONE = Identity(pid=2**22 - 1, since="long ago")


@pytest.fixture
def alive() -> Identity:
    return Identity.of(os.getpid())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COSINTERP_HOME", str(tmp_path))
    return tmp_path


def make(home: Path, name: str = "trace-1123-1830-kite", record: Record | None = None) -> Job:
    folder = home / "jobs" / name
    folder.mkdir(parents=True)
    (folder / "spec.json").write_bytes(JobSpec.of("mazes", out="x", name="mine").as_json())
    if record is not None:
        with (folder / "now.json").open("wb") as file:
            write_record(file.fileno(), record)
    return Job(folder)


def recorded(phase: Phase, keeper: Identity, where: str | None = None, **fields: object) -> Record:
    return Record(attempt=1, phase=phase, host=where or host(), keeper=keeper, session=1, **fields)


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        ("starting", State.QUEUED),
        ("queued", State.QUEUED),
        ("running", State.RUNNING),
        ("cancelling", State.CANCELLING),
    ],
)
def test_while_its_keeper_lives_a_job_is_what_that_says(
    phase: Phase, state: State, alive: Identity, home: Path
) -> None:
    job = make(home, record=recorded(phase, alive))
    assert job.state() is state
    assert job.wait(0) is state


@pytest.mark.parametrize("phase", ["starting", "queued", "running", "cancelling"])
def test_without_a_keeper_it_has_crashed(phase: Phase, home: Path) -> None:
    job = make(home, record=recorded(phase, GONE, worker=GONE))
    assert job.state() is State.CRASHED
    assert f"its keeper (process {GONE.pid}) is gone without a word" in str(job.status().message)
    assert time.time() - (job.status().ended or 0) < 60
    with pytest.raises(JobError, match="is crashed already; there is nothing to cancel"):
        job.cancel()


def test_without_a_keeper_its_worker_is_about_to_stop(alive: Identity, home: Path) -> None:
    assert make(home, record=recorded("running", GONE, worker=alive)).state() is State.CANCELLING


def test_a_number_that_is_another_process_by_now_is_not_its_keeper(alive: Identity, home: Path) -> None:
    other = Identity(pid=alive.pid, since=alive.since + "0")
    assert make(home, record=recorded("running", other)).state() is State.CRASHED


def test_a_dead_process_that_nobody_has_heard_of_does_not_live() -> None:
    child = subprocess.Popen(["true"])
    identity = Identity.of(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not identity.is_alive
    assert not Identity.of(child.pid).is_alive
    child.wait()
    assert not Identity.of(child.pid).is_alive


def test_an_end_that_is_recorded_is_the_end(home: Path, alive: Identity) -> None:
    ended = now("out_of_memory", 1, where="gpu", message="too large").as_data()
    progress = {"done": 3, "total": 4, "seconds_left": 5.0, "sample": "a", "seeds": "0-3", "unit": "steps"}
    machine = {"host_memory": 5, "gpus": []}
    record = recorded("ended", alive, ended=ended, progress=progress, machine=machine, started=7.0)
    status = make(home, record=record).status()
    assert (status.state, status.where, status.message) == (State.OUT_OF_MEMORY, "gpu", "too large")
    assert (status.done, status.total, status.sample, status.seeds) == (3, 4, "a", "0-3")
    # What was so of what is gone.
    assert (status.seconds_left, status.host_memory) == (None, None)
    assert json.loads(json.dumps(status.as_data()))["state"] == "out_of_memory"


def test_an_end_that_only_the_events_tell_is_the_end(home: Path) -> None:
    job = make(home, record=recorded("running", GONE))
    with (job.path / "events.jsonl").open("a+b") as file:
        log = EventLog(file.fileno())
        for event in (now("failed", 0, message="of another attempt"), now("finished", 1)):
            log.write(event)
    assert job.state() is State.FINISHED


def test_a_damaged_folder_is_a_crashed_job(home: Path) -> None:
    job = make(home)
    assert job.state() is State.CRASHED
    assert job.status().attempt == 0
    (job.path / "now.json").write_bytes(b"\0" * 4096)
    assert job.state() is State.CRASHED
    (job.path / "spec.json").unlink()
    with pytest.raises(JobError, match="spec.json"):
        Job(job.path).status()


@pytest.fixture
def elsewhere(home: Path) -> Job:
    return make(home, record=recorded("running", GONE, "another-host"))


def test_a_job_of_another_machine_lives_while_it_gives_signs_of_life(elsewhere: Job) -> None:
    assert elsewhere.state() is State.RUNNING
    long_ago = time.time() - 1000
    os.utime(elsewhere.path / "now.json", (long_ago, long_ago))
    assert elsewhere.state() is State.CRASHED
    assert elsewhere.status().message == "no sign of life from another-host for 1000 s"


def test_a_job_stays_on_its_machine_when_that_is_given_another_name(
    home: Path, alive: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make(home, record=recorded("running", alive, "name-before"))
    os.utime(job.path / "now.json", (0, 0))
    # Its signs of life are not asked for: its keeper is seen.
    assert job.state() is State.RUNNING
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, signum: told.append((pid, signum)))
    job.cancel()
    assert told == [(alive.pid, CANCEL)]


def test_a_job_of_another_machine_lives_while_its_lock_is_held(elsewhere: Job) -> None:
    with (elsewhere.path / "now.json").open("r+b") as file:
        take_lock(file.fileno())
        os.utime(elsewhere.path / "now.json", (0, 0))
        assert elsewhere.state() is State.RUNNING
        with pytest.raises(JobError, match="runs on another-host; cancel it there"):
            elsewhere.cancel()


def test_a_job_that_is_held_is_neither_removed_nor_resumed(home: Path, alive: Identity) -> None:
    job = make(home, record=recorded("running", alive))
    with (job.path / "now.json").open("r+b") as file:
        take_lock(file.fileno())
        with pytest.raises(JobError, match="is running; cancel it first"):
            job.remove()
        with pytest.raises(JobError, match="is running; it cannot be started twice"):
            job.resume()
    assert job.path.exists()


def test_a_removed_job_is_gone_and_so_is_its_folder(home: Path) -> None:
    job = make(home, record=recorded("running", GONE))
    remove(job.path)
    assert list((home / "jobs").iterdir()) == []
    with pytest.raises(JobError, match=f"{job.id} has been removed"):
        remove(job.path)
    with pytest.raises(JobError, match="nothing to cancel"):
        cancel(job.path)


def test_a_folder_is_deleted_when_none_of_its_files_is_open(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS demands, where what is open and deleted stays in the folder under another name."""
    job = make(home, record=recorded("running", GONE))
    rmtree = shutil.rmtree

    def refuse_open(path: Path) -> None:
        if any(Path(file.path).is_relative_to(path) for file in psutil.Process().open_files()):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", refuse_open)
    job.remove()
    assert list((home / "jobs").iterdir()) == []
    # Where somebody looks into it at that moment, what is left is named.
    job = make(home, record=recorded("running", GONE))
    removed = home / "jobs" / f".{job.id}.removed"
    with (job.path / "spec.json").open(), pytest.raises(JobError) as refused:
        job.remove()
    assert str(refused.value) == f"{removed} cannot be removed: Directory not empty"
    assert jobs() == []


def test_a_home_that_is_no_folder_is_said_without_advice_that_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("COSINTERP_HOME", str(tmp_path / "file"))
    with pytest.raises(JobError) as refused:
        submit(["mazes"])
    assert str(refused.value) == (
        f"the job cannot be kept in {tmp_path / 'file' / 'jobs'}: Not a directory; "
        "set COSINTERP_HOME to another folder"
    )


def test_jobs_are_listed_oldest_first_and_without_what_is_none(home: Path) -> None:
    assert jobs() == []
    names = ["b", "a", "c"]
    for order, name in enumerate(names):
        job = make(home, name)
        os.utime(job.path / "spec.json", (order, order))
    (home / "jobs" / "just-being-made").mkdir()
    (home / "jobs" / ".x.removed").mkdir()
    (home / "jobs" / ".x.removed" / "spec.json").touch()
    (home / "jobs" / "a-file").touch()
    assert [job.id for job in jobs()] == names


def test_a_job_that_is_removed_meanwhile_hides_no_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, going = make(home, "stays"), make(home, "going")
    stat = Path.stat

    def remove_after(path: Path, **options: bool) -> os.stat_result:
        found = stat(path, **options)
        if path == going.path / "spec.json":
            path.unlink()
        return found

    monkeypatch.setattr(Path, "stat", remove_after)
    assert stays in jobs()
    assert jobs() == [stays]


def test_a_job_is_found_by_what_it_alone_begins_or_ends_with(home: Path) -> None:
    with pytest.raises(JobError, match='there is no job "kite"'):
        find_job("kite")
    names = ["trace-1123-1830-kite", "trace-1123-1831-otter", "trace-1123", "probe-1123-1830-owl"]
    made = {name: make(home, name) for name in names}
    assert find_job("kite") == find_job("trace-1123-1830") == made["trace-1123-1830-kite"]
    assert find_job("trace-1123") == made["trace-1123"]
    assert find_job("probe") == made["probe-1123-1830-owl"]
    with pytest.raises(
        JobError, match='"trace-1" may be any of trace-1123-1830-kite, .*otter, trace-1123; say'
    ):
        find_job("trace-1")
    for name in ("", "ite", "kit-e", "../jobs/trace-1123"):
        with pytest.raises(JobError, match="there is no job"):
            find_job(name)


def test_how_it_stands_is_found_without_the_events(home: Path, alive: Identity) -> None:
    """So that a list takes as long for jobs that have run for a month as for others."""
    job = make(home, record=recorded("running", alive, progress={"done": 5}))
    # Whoever opened it would wait for ever.
    os.mkfifo(job.path / "events.jsonl")
    assert (job.status().state, job.status().done) == (State.RUNNING, 5)
