"""Jobs from the command line: a real one from launch to end, and what is said of jobs of any behaviour."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from cosinterp.cli.console import err, out
from cosinterp.jobs.job import Job
from cosinterp.jobs.state import State
from stores import open_store
from tests.integration.jobs.conftest import Act, left_of, story
from tests.tiny import sample_for

ROOT = Path(__file__).parents[3]
KIND = "wan2.1-t2v"
_PATIENCE = 60.0


def run(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(word) for word in words])


def follow(job: Job) -> subprocess.Popen[str]:
    """``cosinterp jobs logs -f`` as a terminal would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "cosinterp", "jobs", "logs", "-f", job.id],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background inherits that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def forced_colours(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment that would have bars drawn into a log."""
    # The consoles of this process look at it only once.
    for console in (out, err):
        console.cache_clear()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    yield
    for console in (out, err):
        console.cache_clear()


@pytest.mark.usefixtures("forced_colours")
def test_a_detached_trace_is_followed_to_its_end(
    home: Path, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    sample = sample_for(KIND)
    store = tmp_path / "store"
    settings = ("--num-steps", 2, "--height", sample.height, "--width", sample.width)
    of_sample = ("--prompt", sample.prompt, "--name", sample.name, "--num-frames", sample.num_frames)
    words = ("--model", tiny_folder(KIND), "--device", "cpu", *of_sample, *settings)
    launched = run("trace", "--detach", *words, "--seeds", "0-2", "--store", store, "--job-name", "tiny")
    assert launched.exit_code == 0, launched.output
    job = Job(home / "jobs" / launched.stdout.strip())
    assert job.id.startswith("tiny-")
    assert f"works on:  {store}" in launched.stderr
    assert job.spec.words == ("trace", *map(str, words), "--seeds", "0-2", "--store", str(store))

    following = follow(job)
    printed, said = following.communicate(timeout=_PATIENCE)
    assert following.returncode == 0, said
    assert said == f"{job.id}: finished\n"
    assert [line.split(",")[0] for line in printed.splitlines() if "/3 " in line] == [
        f"{number}/3 {sample.name} seed {number - 1}" for number in (1, 2, 3)
    ]
    assert printed == job.log_path.read_text()
    assert not {"\x1b", "\r"} & set(printed)
    assert [entry.seed for entry in open_store(store).runs()] == [0, 1, 2]

    told = [event.details for event in job.events() if event.event == "progress"]
    assert (told[-1]["done"], told[-1]["total"], told[-1]["unit"]) == (6, 6, "steps")
    assert (told[-1]["description"], told[-1]["sample"], told[-1]["seeds"]) == ("tracing", sample.name, "2")
    (listed,) = json.loads(run("jobs", "ls", "--json").stdout)
    assert (listed["id"], listed["state"], listed["name"]) == (job.id, "finished", "tiny")
    assert run("jobs", "rm", "last").stdout == f"removed {job.id}\n"
    assert len(open_store(store).runs()) == 3


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
    (tmp_path / "go").touch()
    assert run("jobs", "wait", job.id).stdout == f"{job.id}: finished\n"


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
    assert run("jobs", "wait", *ids).exit_code == 0
    for job in jobs:
        assert [name for name in story(job) if name in ("cancelled", "finished")] == ["cancelled", "finished"]
        assert run("jobs", "logs", job.id).stdout.count("wait begins") == 2
    shown = json.loads(run("jobs", "show", ids[0], "--json").stdout)
    assert [one["state"] for one in shown["attempts"]] == ["cancelled", "finished"]


def test_without_waiting_cancelling_returns_at_once(act: Act, tmp_path: Path) -> None:
    job = act("wait", tmp_path / "go")
    told = json.loads(run("jobs", "cancel", job.id, "--no-wait", "--json").stdout)
    assert [one["id"] for one in told] == [job.id]
    assert job.wait(_PATIENCE) is State.CANCELLED
