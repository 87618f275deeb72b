"""Writing that raises: the trace ends with that error, at once, and keeps what is finished."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cosinterp.models.model import Model
from cosinterp.tracing import trace
from stores import RunWriter, open_store
from tests.integration.faults.contents import run_contents
from tests.tiny import sample_for
from tests.tiny.wan import HEIGHT, NUM_FRAMES, WIDTH

SEEDS = range(12)
FAILING = 2
SMALLEST_RING = WIDTH * HEIGHT * 3 * NUM_FRAMES
"""Bytes of the video, the largest of all that waits to be written; three layers and no more."""

METHODS = (
    *("set_attrs", "set_schedule", "add_site", "write", "write_noisy"),
    *("write_prediction", "set_video", "finish"),
)


class DiskOnFireError(Exception):
    pass


class Steps:
    """The seeds whose steps were made."""

    def __init__(self) -> None:
        self.seeds: set[int] = set()

    def planned(self, plan: object, todo: Sequence[tuple[str, int]]) -> None: ...

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        self.seeds |= set(seeds)

    def finished(self, sample: str, seed: int) -> None: ...


@pytest.fixture
def model(tiny_model: Callable[..., Model]) -> Model:
    return tiny_model("wan2.1-t2v")


def fail_at(patch: pytest.MonkeyPatch, method: str) -> None:
    """Have ``method`` of `RunWriter` raise for the seed `FAILING`."""
    real = getattr(RunWriter, method)

    def failing(writer: RunWriter, *arguments: Any, **options: Any) -> Any:
        if writer.seed == FAILING:
            raise DiskOnFireError(method)
        return real(writer, *arguments, **options)

    patch.setattr(RunWriter, method, failing)


def make_runs(model: Model, store: Path, seeds: Sequence[int] = SEEDS, **more: Any) -> None:
    trace(model, sample_for("wan2.1-t2v"), store=store, seeds=seeds, num_steps=2, **more)


def check_that_it_stops(method: str, model: Model, store: Path, **more: Any) -> None:
    """Check that a trace whose writer raises in ``method`` ends at once and keeps what was finished."""
    steps, threads = Steps(), set(threading.enumerate())
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, method)
        with pytest.raises(DiskOnFireError, match=method):
            make_runs(model, store, progress=steps, **more)
    assert SEEDS[-1] not in steps.seeds
    assert set(threading.enumerate()) <= threads
    assert list(store.rglob("*.partial*")) == []
    assert [entry.seed for entry in open_store(store).runs()] == list(range(FAILING))
    assert open_store(store).verify() == []


@pytest.mark.parametrize("writers", [1, 3])
@pytest.mark.parametrize("method", METHODS)
def test_a_writer_that_raises_stops_the_trace_with_that_error(
    method: str, writers: int, model: Model, tmp_path: Path
) -> None:
    check_that_it_stops(method, model, tmp_path, writers=writers)


@pytest.mark.parametrize("method", ["write", "finish"])
def test_a_writer_that_raises_stops_a_model_that_waits_for_it(
    method: str, model: Model, tmp_path: Path
) -> None:
    check_that_it_stops(method, model, tmp_path, host_memory=SMALLEST_RING)


def test_the_same_model_goes_on_after_an_error_as_if_there_had_been_none(
    model: Model, tmp_path: Path
) -> None:
    seeds = range(FAILING + 2)
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, "write")
        with pytest.raises(DiskOnFireError):
            make_runs(model, tmp_path / "resumed", seeds)
    make_runs(model, tmp_path / "resumed", seeds, resume=True)
    make_runs(model, tmp_path / "uninterrupted", seeds)
    assert run_contents(tmp_path / "resumed") == run_contents(tmp_path / "uninterrupted")
