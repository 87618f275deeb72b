"""A trace as a job: killed in the middle, it goes on to the store of a trace that was left alone."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cosinterp.jobs.job import Job
from cosinterp.jobs.state import State
from cosinterp.models.model import Model
from cosinterp.tracing import trace
from stores import open_store
from tests.integration.faults.contents import run_contents
from tests.integration.jobs.conftest import follow, left_of, run
from tests.tiny import sample_for

KIND = "wan2.1-t2v"
SEEDS = 16
_PATIENCE = 120.0
_MADE = re.compile(r"^\d+/\d+ \S+ seed (\d+),", re.MULTILINE)


def wait_for_runs(job: Job, store: Path, count: int) -> None:
    """Wait until a job has made so many runs, and is still at it."""
    until = time.monotonic() + _PATIENCE
    while len(list(store.glob("runs/*/*.h5"))) < count:
        assert time.monotonic() < until
        assert job.state() is State.RUNNING, job.log_path.read_text()
        time.sleep(0.005)


@pytest.mark.usefixtures("forced_colours")
def test_a_killed_trace_goes_on_to_the_same_store(
    home: Path, tiny_folder: Callable[[str], Path], tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    sample = sample_for(KIND)
    expected = tmp_path / "uninterrupted"
    trace(tiny_model(KIND), sample, store=expected, seeds=f"0-{SEEDS - 1}", num_steps=2)
    store = tmp_path / "store"
    settings = ("--num-steps", 2, "--height", sample.height, "--width", sample.width)
    of_sample = ("--prompt", sample.prompt, "--name", sample.name, "--num-frames", sample.num_frames)
    words = ("--model", tiny_folder(KIND), "--device", "cpu", *of_sample, *settings)
    sampled = ("--seeds", f"0-{SEEDS - 1}", "--store", store)
    launched = run("trace", "--detach", *words, *sampled, "--job-name", "tiny")
    assert launched.exit_code == 0, launched.output
    job = Job(home / "jobs" / launched.stdout.strip())
    assert job.id.startswith("tiny-")
    assert f"works on:  {store}" in launched.stderr
    assert job.spec.words == ("trace", *map(str, (*words, *sampled)))

    wait_for_runs(job, store, 2)
    pid = job.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert job.wait(_PATIENCE) is State.KILLED
    assert left_of(home) == []
    kept = run_contents(store)
    assert 2 <= len(kept) < SEEDS
    kept_seeds = {entry.seed for entry in open_store(store).runs()}

    assert run("jobs", "resume", "last").stdout == f"{job.id}\n"
    following = follow(job)
    printed, said = following.communicate(timeout=_PATIENCE)
    assert (following.returncode, said) == (0, f"{job.id}: finished\n")
    assert printed == job.log_path.read_text()
    assert not {"\x1b", "\r"} & set(printed)
    made_again = printed.partition("\n[attempt 2, ")[2]
    assert {int(seed) for seed in _MADE.findall(made_again)} == set(range(SEEDS)) - kept_seeds
    assert run_contents(store) == run_contents(expected)
    assert open_store(store).verify() == []

    told = [event.details for event in job.events() if event.event == "progress"]
    assert (told[-1]["done"], told[-1]["unit"]) == (told[-1]["total"], "steps")
    last = (told[-1]["description"], told[-1]["sample"], told[-1]["seeds"])
    assert last == ("tracing", sample.name, str(SEEDS - 1))
    (listed,) = json.loads(run("jobs", "ls", "--json").stdout)
    assert (listed["id"], listed["state"], listed["name"]) == (job.id, "finished", "tiny")
    assert listed["attempt"] == 2
    assert run("jobs", "rm", "last").stdout == f"removed {job.id}\n"
    assert len(open_store(store).runs()) == SEEDS
