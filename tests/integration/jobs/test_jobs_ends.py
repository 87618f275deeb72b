"""Every way in which a job ends, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from cosinterp.errors import JobError
from cosinterp.jobs import control, holding
from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import resume
from cosinterp.jobs.listing import jobs
from cosinterp.jobs.state import State
from tests.integration.jobs.conftest import Act, keeper_of, left_of, processes_of, story

_PATIENCE = 30.0


def wait_for(job: Job, file: Path) -> None:
    """Wait until a worker has made a file."""
    until = time.monotonic() + _PATIENCE
    while not file.exists() or not file.read_text():
        assert time.monotonic() < until, job.log_path.read_text()
        assert not job.state().is_final, job.log_path.read_text()
        time.sleep(0.02)


def wait_to_tell(job: Job) -> None:
    """Wait until a worker has told how far it is."""
    assert any(event.event == "progress" for event in job.events(follow=True))


def test_a_job_that_finishes_says_so(act: Act, home: Path) -> None:
    job = act("finish", watched=5)
    assert job.wait(_PATIENCE) is State.FINISHED
    assert story(job) == ["submitted", "started", "finished"]
    assert job.log_path.read_text() == "finish begins\n"
    assert left_of(home) == []
    with pytest.raises(JobError, match=f"{job.id} is finished already; there is nothing to cancel"):
        job.cancel()
    with pytest.raises(JobError, match=f"{job.id} is finished; there is nothing to go on with"):
        job.resume()
    job.remove()
    assert not job.path.exists()
    with pytest.raises(JobError, match="has been removed"):
        job.resume()


@pytest.mark.parametrize(
    ("name", "state", "details"),
    [
        ("fail", State.FAILED, {"message": "there is no maze of that size\nuse another", "exit_code": 2}),
        ("gpu_memory", State.OUT_OF_MEMORY, {"where": "gpu"}),
        ("fault", State.CRASHED, {"signal": "SIGSEGV"}),
    ],
)
def test_a_job_that_stumbles_at_once_says_why_to_who_launches_it(
    name: str, state: State, details: dict[str, object], act: Act, home: Path
) -> None:
    with pytest.raises(JobError) as refused:
        act(name, watched=20)
    (folder,) = (home / "jobs").iterdir()
    status = Job(folder).status()
    assert status.state is state
    assert {field: getattr(status, field) for field in details} == details
    assert str(refused.value).startswith(status.message or "no message")
    assert status.id in str(refused.value)
    assert str(Job(folder).log_path) in str(refused.value)


def test_a_killed_worker_is_seen_with_all_that_it_started(act: Act, home: Path, tmp_path: Path) -> None:
    job = act("family", tmp_path / "started")
    wait_for(job, tmp_path / "started")
    # The keeper, the worker and the three that it has started.
    assert len(processes_of(home)) == 5
    pid = job.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert job.wait(_PATIENCE) is State.KILLED
    assert job.status().signal == "SIGKILL"
    assert left_of(home) == []


def test_a_cancelled_job_tidies_up_and_leaves_no_process(act: Act, home: Path, tmp_path: Path) -> None:
    job = act("family", tmp_path / "started")
    wait_for(job, tmp_path / "started")
    assert len(processes_of(home)) == 5
    job.cancel()
    assert job.wait(_PATIENCE) is State.CANCELLED
    assert left_of(home) == []
    # It was interrupted as by Ctrl-C: its end is no killing.
    assert story(job)[-2:] == ["cancelling", "cancelled"]


def test_a_stubborn_job_is_ended_when_it_has_had_its_time(
    act: Act, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSINTERP_JOBS_PATIENCE", "600")
    job = act("stubborn")
    wait_to_tell(job)
    job.cancel()
    assert job.wait(0.5) is State.CANCELLING
    # Told twice more, it does not have the ten minutes.
    for _ in range(2):
        job.cancel()
        time.sleep(0.3)
    assert job.wait(_PATIENCE) is State.CANCELLED
    assert left_of(home) == []


def test_what_a_finished_worker_leaves_behind_is_ended(act: Act, home: Path) -> None:
    job = act("orphans")
    assert job.wait(_PATIENCE) is State.FINISHED
    assert left_of(home) == []


def test_a_job_that_a_job_has_started_outlives_it(act: Act, home: Path, tmp_path: Path) -> None:
    job = act("nest", tmp_path / "go")
    assert job.wait(_PATIENCE) is State.FINISHED
    (nested,) = [one for one in jobs() if one != job]
    assert nested.state() is State.RUNNING
    (tmp_path / "go").touch()
    assert nested.wait(_PATIENCE) is State.FINISHED
    assert left_of(home) == []


def test_a_killed_keeper_takes_its_worker_along_and_the_job_can_go_on(
    act: Act, home: Path, tmp_path: Path
) -> None:
    job = act("wait", tmp_path / "go")
    wait_to_tell(job)
    keeper_of(job).kill()
    assert job.wait(_PATIENCE) is State.CRASHED
    assert "keeper" in (job.status().message or "")
    assert left_of(home) == []
    # It was interrupted, so that it could tidy up.
    assert job.log_path.read_text().endswith("is gone: stopping\ntidied up\n")
    # Told to stop by another than the user, the keeper lives to say so.
    resume(job, watched=0)
    keeper_of(job).terminate()
    assert job.wait(_PATIENCE) is State.KILLED
    assert (job.status().signal, left_of(home)) == ("SIGTERM", [])
    (tmp_path / "go").touch()
    resume(job, watched=0)
    assert job.wait(_PATIENCE) is State.FINISHED
    status = job.status()
    assert (status.attempt, status.message) == (3, None)
    ends = [(event.attempt, event.event) for event in job.events() if event.is_end]
    assert ends == [(1, "crashed"), (2, "killed"), (3, "finished")]


def test_a_job_is_not_taken_while_its_worker_lives(
    act: Act, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = act("stubborn")
    wait_to_tell(job)
    worker = job.status().pid
    assert worker is not None
    keeper = keeper_of(job)
    keeper.kill()
    keeper.wait(_PATIENCE)
    assert job.state() is State.CANCELLING
    monkeypatch.setattr(holding, "_PATIENCE", 0.2)
    with pytest.raises(JobError, match=f"{job.id} is cancelling; it cannot be started twice"):
        job.resume()
    monkeypatch.setattr(control, "_PATIENCE", 0.2)
    job.cancel()
    assert left_of(home) == []
    assert job.state() is State.CRASHED


def test_a_job_whose_folder_is_gone_says_so(
    act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COSINTERP_JOBS_WITHOUT_GPU", "1")
    running = act("wait", tmp_path / "go")
    waiting = act("finish")
    (tmp_path / "here").rmdir()
    (tmp_path / "go").touch()
    assert running.wait(_PATIENCE) is State.FINISHED
    assert waiting.wait(_PATIENCE) is State.FAILED
    assert waiting.status().message == (
        f"it could not be started: No such file or directory: {tmp_path / 'here'}"
    )


def test_events_are_followed_to_the_end(act: Act, tmp_path: Path) -> None:
    job = act("wait", tmp_path / "go")
    seen = []
    for event in job.events(follow=True):
        seen.append(event.event)
        if event.event == "machine":
            # As soon as a second has gone by, which may be before there is any progress.
            seen.pop()
            assert event.details["host_memory"] > 2**20
        if event.event == "progress":
            (tmp_path / "go").touch()
            assert event.details["sample"] == "maze-1"
            assert event.details["seeds"] == "0-3"
    assert seen[:3] == ["submitted", "started", "progress"]
    assert seen[-1] == "finished"
    status = job.status()
    assert (status.unit, status.sample, status.total) == ("looks", "maze-1", None)
    assert (status.done or 0) > 10
