"""Jobs from the command line: what is said of jobs of any behaviour, and what they are told to do."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

from cosinterp.jobs.state import State
from tests.integration.jobs.conftest import Act, follow, left_of, run, story

_PATIENCE = 60.0


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ctrl_c_ends_the_following_and_not_the_job(act: Act, tmp_path: Path) -> None:
    job = act("wait", tmp_path / "go")
    following = follow(job)
    assert following.stdout is not None
    assert following.stdout.readline() == "wait begins\n"
    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=_PATIENCE)
    assert following.returncode == 130
    assert said.splitlines()[-2:] == [f"{job.id} goes on; to stop it:", f"  cosinterp jobs cancel {job.id}"]
    until(lambda: job.status().sample is not None)
    (listed,) = json.loads(run("jobs", "ls", "--json").stdout)
    assert (listed["state"], listed["sample"], listed["seeds"]) == ("running", "maze-1", "0-3")
    # Without waiting, cancelling returns at once.
    told = json.loads(run("jobs", "cancel", job.id, "--no-wait", "--json").stdout)
    assert [one["id"] for one in told] == [job.id]
    assert job.wait(_PATIENCE) is State.CANCELLED


def test_what_is_cancelled_leaves_nothing_running_and_goes_on_when_resumed(
    home: Path, act: Act, tmp_path: Path
) -> None:
    jobs = [act("wait", tmp_path / "go") for _ in range(2)]
    ids = [job.id for job in jobs]
    until(lambda: all("begins" in job.log_path.read_text() for job in jobs))
    result = run("jobs", "cancel", *ids)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        line for name in ids for line in (f"{name}: cancelled", f"  to go on: cosinterp jobs resume {name}")
    ]
    assert left_of(home) == []
    (tmp_path / "go").touch()
    resumed = run("jobs", "resume", "last", ids[0])
    assert resumed.exit_code == 0, resumed.output
    assert resumed.stdout.split() == [ids[1], ids[0]]
    assert run("jobs", "wait", *ids).stdout.splitlines() == [f"{name}: finished" for name in ids]
    for job in jobs:
        assert [name for name in story(job) if name in ("cancelled", "finished")] == ["cancelled", "finished"]
        assert run("jobs", "logs", job.id).stdout.count("wait begins") == 2
    shown = json.loads(run("jobs", "show", ids[0], "--json").stdout)
    assert [one["state"] for one in shown["attempts"]] == ["cancelled", "finished"]
