"""A trace as a job: killed in the middle, it goes on to the store of a trace that was left alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import submit
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.state import State
from cosinterp.models.model import Model
from cosinterp.tracing import trace
from stores import open_store
from tests.integration.faults.contents import run_contents
from tests.integration.jobs.conftest import left_of
from tests.tiny import sample_for

KIND = "wan2.1-t2v"
SEEDS = 16
_PATIENCE = 120.0


def wait_for_runs(job: Job, store: Path, count: int) -> None:
    """Wait until a job has made so many runs more, and is still at it."""
    until = time.monotonic() + _PATIENCE
    wanted = len(list(store.glob("runs/*/*.h5"))) + count
    while len(list(store.glob("runs/*/*.h5"))) < wanted:
        assert time.monotonic() < until
        assert job.state() is State.RUNNING, job.log_path.read_text()
        time.sleep(0.005)


def test_a_killed_trace_goes_on_to_the_same_store(
    home: Path, tiny_folder: Callable[[str], Path], tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    sample = sample_for(KIND)
    expected = tmp_path / "uninterrupted"
    sampling = {"num_steps": 2, "height": sample.height, "width": sample.width}
    trace(tiny_model(KIND), sample, store=expected, seeds=f"0-{SEEDS - 1}", num_steps=2)
    store = tmp_path / "store"
    job = submit(
        JobSpec.of(
            "trace",
            model=tiny_folder(KIND),
            device="cpu",
            prompt=sample.prompt,
            name=sample.name,
            num_frames=sample.num_frames,
            store=store,
            seeds=f"0-{SEEDS - 1}",
            **sampling,
        )
    )
    wait_for_runs(job, store, 2)
    pid = job.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert job.wait(_PATIENCE) is State.KILLED
    assert left_of(home) == []
    kept = run_contents(store)
    assert 2 <= len(kept) < SEEDS

    job.resume()
    assert job.wait(_PATIENCE) is State.FINISHED, job.log_path.read_text()
    assert run_contents(store) == run_contents(expected)
    assert open_store(store).verify() == []
    status = job.status()
    assert (status.attempt, status.done, status.unit) == (2, status.total, "steps")
    assert any(
        event.details.get("sample") == sample.name and "seeds" in event.details
        for event in job.events()
        if event.event == "progress"
    )
