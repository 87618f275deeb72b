"""Which GPU a job is given, on a machine whose driver is a stand-in."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import submit
from cosinterp.jobs.state import State
from tests.integration.jobs.conftest import ACTING, left_of
from tests.unit.devices.fake_nvml import GIB, FakeGpu, FakeNvml, on_path

_PATIENCE = 30.0
_THREE = [FakeGpu("GPU-a"), FakeGpu("GPU-b", used=100 * GIB), FakeGpu("GPU-c", used=GIB)]


@pytest.fixture
def on_gpus(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Starts jobs of a command that takes a device, on a machine with three GPUs, one of them taken."""
    folder = on_path(tmp_path / "driver", _THREE)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ACTING}")
    monkeypatch.setenv("COSINTERP_TEST_ACTS_AS", "cosinterp.cli.decode")
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(_THREE))
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)

    def start(*words: object) -> Job:
        return submit(["decode", *map(str, words)], watched=0)

    return start


def test_jobs_are_given_the_gpus_that_are_free(
    on_gpus: Callable[..., Job], home: Path, tmp_path: Path
) -> None:
    waiting = [on_gpus("wait", tmp_path / "go") for _ in range(3)]
    assert [job.state() for job in waiting] == [State.RUNNING, State.RUNNING, State.QUEUED]
    # The emptiest first; that which others have taken is left to them.
    assert [job.status().devices for job in waiting[:2]] == [("GPU 0",), ("GPU 2",)]
    why = waiting[2].status().message or ""
    assert why.startswith("1 free GPU wanted, 0 there; taken: ")
    assert "GPU 1 by others (107 GB of 150 GB)" in why
    # Who waits for any stands neither in the way of the CPU nor of what others have taken, but is named.
    named = on_gpus("say", tmp_path / "named", "--device", "cuda:1")
    on_cpu = on_gpus("say", tmp_path / "cpu", "--device", "cpu")
    assert [job.wait(_PATIENCE) for job in (named, on_cpu)] == [State.FINISHED] * 2
    assert [job.status().devices for job in (named, on_cpu)] == [("GPU 1",), ()]
    last = on_gpus("finish", "--device", "0")
    assert last.state() is State.QUEUED
    (tmp_path / "go").touch()
    assert [job.wait(_PATIENCE) for job in (*waiting, last)] == [State.FINISHED] * 4
    assert json.loads((tmp_path / "named").read_text())["variables"] == {
        "CUDA_VISIBLE_DEVICES": None,
        "CUDA_DEVICE_ORDER": None,
    }
    assert left_of(home) == []


def test_a_job_sees_the_gpus_alone_that_it_was_given(on_gpus: Callable[..., Job], tmp_path: Path) -> None:
    job = on_gpus("say", tmp_path / "said", "--device", "free:2")
    assert job.wait(_PATIENCE) is State.FINISHED, job.log_path.read_text()
    assert json.loads((tmp_path / "said").read_text())["variables"] == {
        "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-c",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    assert job.status().devices == ("GPU 0", "GPU 2")
