"""Reading what is finished while a trace goes on, on a thread beside it and in another process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cosinterp.models.model import Model
from cosinterp.tracing import trace
from stores import open_store
from tests.integration.faults.contents import run_contents
from tests.integration.faults.reading import Seen, read_along
from tests.integration.faults.workshop import ROOT
from tests.tiny import sample_for

RUNS = 8


def make_runs(model: Model, store: Path) -> None:
    trace(model, sample_for("wan2.1-t2v"), store=store, seeds=range(RUNS), num_steps=4, writers=2)


def check_that_it_read_along(seen: Seen) -> None:
    assert seen.runs == sorted(seen.runs)
    assert seen.runs[-1] == RUNS
    assert any(0 < runs < RUNS for runs in seen.runs), seen
    assert seen.slabs > 0


@pytest.fixture
def model(tiny_model: Callable[..., Model]) -> Model:
    return tiny_model("wan2.1-t2v")


def test_finished_runs_can_be_read_while_others_are_made(model: Model, tmp_path: Path) -> None:
    truth, store = tmp_path / "truth", tmp_path / "store"
    make_runs(model, truth)
    done = threading.Event()
    words = [sys.executable, "-m", "tests.integration.faults.reading", str(store), str(truth)]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    )
    with process, ThreadPoolExecutor(1) as threads:
        assert process.stdout.readline() == "ready\n"
        reader = threads.submit(read_along, store, truth, done.is_set)
        try:
            make_runs(model, store)
        finally:
            done.set()
        said, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
        check_that_it_read_along(reader.result(timeout=60))
        check_that_it_read_along(Seen(**json.loads(said)))
    assert run_contents(store) == run_contents(truth)
    assert open_store(store).verify() == []
