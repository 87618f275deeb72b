"""Launching: from a terminal that goes away, at the same moment, on a full disk; and what others may see."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cosinterp.errors import JobError
from cosinterp.jobs import launching
from cosinterp.jobs.launching import submit
from cosinterp.jobs.listing import jobs
from cosinterp.jobs.state import State
from tests.integration.faults.mounts import READ_ONLY, SMALL_DISK
from tests.integration.jobs.conftest import ACTING, Act, keeper_of, left_of, processes_of, story

ROOT = Path(__file__).parents[3]
_PATIENCE = 30.0
_LAUNCH = """
import signal, sys, time
from cosinterp.jobs.launching import submit
# Whoever runs the tests may have had them ignore it (nohup).
signal.signal(signal.SIGHUP, signal.SIG_DFL)
job = submit(["mazes", "wait", sys.argv[1]], watched=0)
sys.stdout.write(job.id + " is launched\\n")
sys.stdout.flush()
time.sleep(60)
"""


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)


def our_environment() -> dict[str, str]:
    """In which a program of a test finds our code and `acting`."""
    return {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}"}


def test_a_job_finishes_after_its_terminal_is_gone(home: Path, tmp_path: Path) -> None:
    # As a shell over SSH: a session with a terminal that it is controlled by.
    ours, theirs = os.openpty()
    launcher = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, str(tmp_path / "go")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=our_environment(),
        preexec_fn=lambda: _take_terminal(theirs),
    )
    os.close(theirs)
    said = b""
    while b"is launched" not in said:
        said += os.read(ours, 2**10)
    (job,) = jobs()
    assert job.state() is State.RUNNING
    for process in processes_of(home):
        if process.pid != launcher.pid:
            assert process.terminal() is None
    os.close(ours)
    # It was the terminal's.
    assert launcher.wait(_PATIENCE) == -signal.SIGHUP
    assert job.state() is State.RUNNING
    (tmp_path / "go").touch()
    assert job.wait(_PATIENCE) is State.FINISHED


def _take_terminal(terminal: int) -> None:
    os.setsid()
    import fcntl

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def test_what_is_kept_of_a_job_is_the_users_alone_and_holds_no_secrets(
    act: Act, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "hf_abcdefghijklmnopqrstuvwxyz"
    monkeypatch.setenv("HF_TOKEN", secret)
    before = os.umask(0)
    try:
        job = act("wait", tmp_path / "go")
    finally:
        os.umask(before)
    wait_until(lambda: (job.status().done or 0) > 0)
    kept = [home, *home.rglob("*")]
    assert {path.name for path in kept} >= {"spec.json", "now.json", "events.jsonl", "log.txt", "no-gpu.0"}
    for path in kept:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
        assert path.is_dir() or secret not in path.read_text()
    keeper, worker = keeper_of(job), psutil.Process(job.status().pid)
    assert {process.pid for process in processes_of(home)} == {keeper.pid, worker.pid}
    for process in (keeper, worker):
        listening = [one for one in process.net_connections("all") if one.status == psutil.CONN_LISTEN]
        assert listening == []
        # A socket with an address could be found by others.
        assert [one.laddr for one in process.net_connections("unix") if one.laddr] == []
        assert secret not in " ".join(process.cmdline())
    (tmp_path / "go").touch()
    assert job.wait(_PATIENCE) is State.FINISHED


def test_words_reach_the_command_as_they_are(
    act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["; rm -rf /", "$(touch harm)", "`touch harm`", "a\nb", "", "*", "&& false", "'", '"', "naïve ✓"]
    monkeypatch.chdir(tmp_path)
    # A module of the user's that is called as one of ours, or of Python's, is not what runs.
    (tmp_path / "json.py").write_text("raise RuntimeError")
    before = os.umask(0o027)
    try:
        job = act("say", tmp_path / "said", *words)
    finally:
        os.umask(before)
    assert job.wait(_PATIENCE) is State.FINISHED, job.log_path.read_text()
    said = json.loads((tmp_path / "said").read_text())
    assert said["words"] == words
    assert said["cwd"] == str(tmp_path)
    assert said["stdin"] == ""
    # What a job makes is as open as what its command would have made here.
    assert said["umask"] == 0o027
    assert not (tmp_path / "harm").exists()


_RESUMES = """
import os, sys, time
from pathlib import Path
from cosinterp.errors import JobError
from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import resume
together = time.monotonic() + 0.2
for _ in range(3):
    if os.fork() == 0:
        break
else:
    sys.exit(max(os.wait()[1] for _ in range(3)))
while time.monotonic() < together:
    pass
try:
    resume(Job(Path(sys.argv[1])), watched=0)
    said = "launched"
except JobError as error:
    said = str(error)
os.write(1, said.encode() + b"\\n")
"""


def test_of_several_who_resume_a_job_at_once_one_does(act: Act, home: Path, tmp_path: Path) -> None:
    job = act("wait", tmp_path / "go")
    job.cancel()
    assert job.wait(_PATIENCE) is State.CANCELLED
    three = [sys.executable, "-c", _RESUMES, job.path]
    done = subprocess.run(three, capture_output=True, env=our_environment(), text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said.count("launched") == 1, said
    assert sum("it cannot be started twice" in text for text in said) == 2, said
    assert [event.attempt for event in job.events() if event.event == "started"] == [1, 2]
    (tmp_path / "go").touch()
    assert job.wait(_PATIENCE) is State.FINISHED
    assert left_of(home) == []


@pytest.mark.parametrize(
    ("started", "why"),
    [("raise SystemExit(3)", "does not start; see"), ("import os; os.fork()", "did not come to life; see")],
)
def test_a_keeper_that_does_not_live_is_said(
    started: str, why: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "own_command", lambda *_: [sys.executable, "-c", started])
    with pytest.raises(JobError, match=why):
        submit(["mazes", "finish"])
    (job,) = jobs()
    assert job.state() is State.CRASHED
    monkeypatch.undo()
    monkeypatch.setenv("COSINTERP_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ACTING))
    job.resume()
    assert job.wait(_PATIENCE) is State.FINISHED
    assert job.status().attempt == 2


def test_a_relative_home_is_of_the_folder_that_it_was_said_in(
    act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSINTERP_HOME", "here")
    assert act("finish").wait(_PATIENCE) is State.FINISHED
    assert len(list((tmp_path / "here" / "slots").glob("*/no-gpu.0"))) == 1


_ON_A_SMALL_DISK = """
import os, sys, time
from pathlib import Path
from cosinterp.errors import JobError
from cosinterp.jobs.launching import submit
from cosinterp.jobs.listing import jobs
from tests.integration.faults.test_full_disk import fill

disk, go = Path(sys.argv[1]), Path(sys.argv[2])
os.environ["COSINTERP_HOME"] = str(disk / "home")
job = submit(["mazes", "chatter", str(go)], watched=0)
while not (job.status().done or 0) > 0:
    time.sleep(0.02)
filler = fill(disk)
looks = job.status().done
while job.status().done == looks:
    time.sleep(0.02)
try:
    submit(["mazes", "finish"])
except JobError as error:
    sys.stdout.write(f"{error}\\n")
sys.stdout.write(f"{len(jobs())} there, {job.state()}\\n")
go.touch()
sys.stdout.write(f"{job.wait(30)}, {job.log_path.stat().st_size < 2**14}\\n")
filler.unlink()
sys.stdout.write(f"{submit(['mazes', 'finish']).wait(30)}\\n")
"""


def in_a_mount(mount: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program for which a folder is something else."""
    script = f'{mount} && shift && exec "$@"'
    return subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", str(folder), *words],
        capture_output=True,
        text=True,
        env=our_environment(),
        timeout=90,
        check=False,
    )


def test_a_full_disk_is_said_at_launch_and_ends_no_job_that_runs(home: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = in_a_mount(
        SMALL_DISK, disk, sys.executable, "-c", _ON_A_SMALL_DISK, str(disk), str(tmp_path / "go")
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no private mounts here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    refused, there, ended, after = done.stdout.splitlines()
    assert refused.startswith(f"the job cannot be kept in {disk}/home/jobs"), refused
    assert "No space left on device; make room there, or set COSINTERP_HOME" in refused
    # What could not be kept is no job.
    assert there == "1 there, running"
    # There was no room for what it printed, and that stopped nothing.
    assert ended == "finished, True"
    assert after == "finished"


_UNWRITABLE = """
import os, sys
from cosinterp.errors import JobError
from cosinterp.jobs.launching import submit
os.environ["COSINTERP_HOME"] = sys.argv[1]
try:
    submit(["mazes", "finish"])
except JobError as error:
    sys.stdout.write(str(error))
"""


def test_a_home_that_cannot_be_written_is_said_at_launch(home: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = in_a_mount(READ_ONLY, disk, sys.executable, "-c", _UNWRITABLE, str(disk))
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no private mounts here: {done.stderr}")
    assert done.stdout == (
        f"the job cannot be kept in {disk}/jobs: Read-only file system; see to its permissions, "
        "or set COSINTERP_HOME to another folder"
    ), done.stderr


def test_jobs_wait_their_turn_first_come_first_served(
    act: Act, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSINTERP_JOBS_WITHOUT_GPU", "1")
    running = act("wait", tmp_path / "go")
    second, third, fourth = (act("finish") for _ in range(3))
    assert [job.state() for job in (running, second, third, fourth)] == [State.RUNNING] + [State.QUEUED] * 3
    assert second.status().message == "1 job without a GPU already running"
    assert third.status().message == f"its turn comes after {second.id}"
    # One that waits can be told not to, or its keeper may die; neither stops those behind it.
    second.cancel()
    assert second.wait(_PATIENCE) is State.CANCELLED
    keeper_of(third).kill()
    assert third.wait(_PATIENCE) is State.CRASHED
    assert fourth.state() is State.QUEUED
    (tmp_path / "go").touch()
    assert running.wait(_PATIENCE) is State.FINISHED
    assert fourth.wait(_PATIENCE) is State.FINISHED
    assert story(fourth) == ["submitted", "queued", "started", "finished"]
    assert left_of(home) == []
