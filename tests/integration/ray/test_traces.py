"""Traces and sweeps by Ray, on a cluster of two nodes: the same as by one process, also if a node is lost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from cosinterp.executors.executor import Happened, Work
from cosinterp.executors.ray_executor import RayExecutor
from cosinterp.executors.traces import spread_plan
from cosinterp.models.loading import prepare
from cosinterp.planning.plan import make_plan
from cosinterp.samples import Sample
from cosinterp.tracing import HOST_MEMORY, run_plan
from probes.results.files import open_result
from stores import open_store
from tests.integration.ray.conftest import TwoNodes
from tests.integration.ray.works import HELD_AT, Held

Run = Callable[..., Result]
SIZE = {"height": 32, "width": 32, "num_frames": 5}
STEPS = 5
PROMPTS = ("go to the red goal", "go to the blue goal")


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What the executor said."""
    return []


@pytest.fixture(scope="module")
def executor(two_nodes: TwoNodes, said: list[str]) -> Iterator[RayExecutor]:
    """One connection for all tests here, so that workers import torch once."""
    two_nodes.complete()
    with RayExecutor(two_nodes.address, device="cpu", gpus=1, say=said.append) as connected:
        connected.connect()
        yield connected


@pytest.fixture(scope="module")
def run() -> Run:
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def model(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder("wan2.1-t2v")


def words_of(model: Path, dataset: Path, store: Path) -> tuple[object, ...]:
    return (
        *("trace", "--model", model, "--device", "cpu", "--dataset", dataset, "--num-steps", 4),
        *(word for name, value in SIZE.items() for word in (f"--{name.replace('_', '-')}", value)),
        *("--layers", "0-2", "--store", store),
    )


def by_ray(cluster: TwoNodes) -> tuple[object, ...]:
    return ("--executor", "ray", "--address", cluster.address, "--gpus-per-task", 1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "samples.csv"
    lines = [f"goal-{number},{prompt}" for number, prompt in enumerate(PROMPTS)]
    path.write_text("\n".join(["name,prompt", *lines]))
    return path


@pytest.fixture(scope="module")
def alone(run: Run, model: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that one process made."""
    store = tmp_path_factory.mktemp("alone") / "store"
    result = run(*words_of(model, dataset, store), "--seeds", "0-2")
    assert result.exit_code == 0, result.output
    return store


def test_a_trace_is_that_of_one_process_and_goes_on_where_one_stopped(
    cluster: TwoNodes,
    executor: RayExecutor,
    run: Run,
    model: Path,
    dataset: Path,
    alone: Path,
    tmp_path: Path,
) -> None:
    store = tmp_path / "store"
    words = words_of(model, dataset, store)
    assert run(*words, "--seeds", "0").exit_code == 0

    result = run(*words, "--seeds", "0-2", "--resume", *by_ray(cluster))

    assert result.exit_code == 0, result.output
    assert "4 runs into" in result.output
    assert "4/4" in result.output
    assert "done: 4 runs" in result.output
    compared = run("store", "diff", store, alone)
    assert compared.exit_code == 0, compared.output
    assert "equal: 6 runs" in compared.output
    # Two workers, and the process that made seed 0.
    assert len(list((store / "catalog").iterdir())) == 3
    assert run("store", "verify", store).exit_code == 0


def test_a_sweep_is_that_of_one_process(
    cluster: TwoNodes, executor: RayExecutor, run: Run, alone: Path
) -> None:
    words = (
        *("patch", alone, "--donor", "goal-0", "--recipient", "goal-1", "--seeds", "0-1", "--device", "cpu"),
        *("--layers", "1-2", "--steps", "2-3", "--horizon", 0, "--controls", "none"),
    )
    result = run(*words, "--name", "here")
    assert result.exit_code == 0, result.output

    result = run(*words, "--name", "spread", *by_ray(cluster))

    assert result.exit_code == 0, result.output
    here, spread = (open_result(alone / "results" / f"{name}.nc") for name in ("here", "spread"))
    for name in here.data_vars:
        np.testing.assert_array_equal(here[name], spread[name], err_msg=str(name))


class Holding:
    """An executor that holds its tasks in mid-run."""

    workers = 2

    def __init__(self, executor: RayExecutor, until: Path) -> None:
        self._executor = executor
        self._until = until

    def run(self, work: Work[Any, Any], tasks: Sequence[Any]) -> Generator[Happened[Any, Any]]:
        yield from self._executor.run(Held(work, self._until), tasks)


class LosesNode:
    """The progress of a trace that loses a node when both are in the middle of a run.

    ``lost``: the file that says so.
    """

    def __init__(self, cluster: TwoNodes, lost: Path) -> None:
        self.steps: list[tuple[str, int, int]] = []
        self.runs: list[tuple[str, int]] = []
        self._cluster = cluster
        self._lost = lost

    def planned(self, plan: Any, todo: Sequence[tuple[str, int]]) -> None:
        """Not asked here."""

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        self.steps += [(sample, seed, step) for seed in seeds]
        in_mid_run = [one for one in self.steps if one[2] == HELD_AT - 1]
        if len(in_mid_run) == 2 and not self._lost.exists():
            self._cluster.lose_one()
            self._lost.touch()

    def finished(self, sample: str, seed: int) -> None:
        self.runs.append((sample, seed))


def test_the_work_of_a_lost_node_is_done_by_the_other(
    cluster: TwoNodes, executor: RayExecutor, model: Path, run: Run, said: list[str], tmp_path: Path
) -> None:
    said.clear()
    prepared = prepare(str(model), device="cpu")
    assert prepared.recipe is not None
    samples = [Sample(name=f"goal-{number}", prompt=prompt) for number, prompt in enumerate(PROMPTS)]
    plan = make_plan(
        prepared.model,
        samples,
        seeds="0-1",
        layers="0-2",
        sites="resid",
        save_steps="all",
        branches="cond",
        dtype="auto",
        batch=1,
        save_video=False,
        host_memory=HOST_MEMORY,
        sampling={**SIZE, "num_steps": STEPS},
    )
    lost = tmp_path / "lost"
    progress = LosesNode(cluster, lost)

    spread_plan(Holding(executor, lost), prepared.recipe, plan, tmp_path / "store", progress=progress)

    runs = [(sample.name, seed) for sample in samples for seed in (0, 1)]
    assert sorted(progress.runs) == runs
    # No step is counted twice, though some were made twice.
    assert sorted(progress.steps) == [(*one, step) for one in runs for step in range(STEPS)]
    assert said
    assert all("its worker was lost, and it is begun again" in line for line in said)
    run_plan(prepared.load(), plan, tmp_path / "alone")
    compared = run("store", "diff", tmp_path / "store", tmp_path / "alone")
    assert compared.exit_code == 0, compared.output
    assert run("store", "verify", tmp_path / "store").exit_code == 0
    # What the lost worker had begun is gone, or finished by another.
    assert {(one.sample, one.seed) for one in open_store(tmp_path / "store").runs()} == set(runs)
    assert not list((tmp_path / "store").rglob("*.partial*"))
