"""What Ray's executor promises, on a cluster of two nodes, with works that need no model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from cosinterp.errors import TraceError, UserError
from cosinterp.executors.executor import Failed, Finished, Told, Work, WorkerError
from cosinterp.executors.ray_errors import ClusterError
from cosinterp.executors.ray_executor import RayExecutor
from tests.integration.ray.conftest import TwoNodes
from tests.integration.ray.works import Endless, NotHere, Squares


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What the executor said."""
    return []


@pytest.fixture(scope="module")
def executor(two_nodes: TwoNodes, said: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One connection for all tests here, for which workers stay."""
    shared = [tmp_path_factory.getbasetemp()]
    with RayExecutor(two_nodes.address, device="cpu", gpus=1, shared=shared, say=said.append) as connected:
        yield connected


def happened(executor: RayExecutor, work: Work[Any, Any], tasks: Sequence[Any]) -> list[Any]:
    with closing(executor.run(work, tasks)) as happening:
        return list(happening)


def test_each_node_opens_a_work_once_and_its_tasks_tell_before_they_end(
    cluster: TwoNodes, executor: RayExecutor, tmp_path: Path
) -> None:
    assert executor.workers == 2
    what = happened(executor, Squares(tmp_path), range(10))

    values = {one.task: one.value for one in what if isinstance(one, Finished)}
    assert {number: value[0] for number, value in values.items()} == {n: n * n for n in range(10)}
    opened = (tmp_path / "opened").read_text().splitlines()
    pids = {pid for _, pid, _ in values.values()}
    assert len(pids) == 2
    assert Counter(opened) == Counter(f"{pid} cpu" for pid in pids)
    for number in range(10):
        assert [one for one in what if one.task == number] == [
            Told(number, number / 2),
            Finished(number, values[number]),
        ]


def test_a_task_that_fails_stops_no_other(cluster: TwoNodes, executor: RayExecutor, tmp_path: Path) -> None:
    what = [
        one for one in happened(executor, Squares(tmp_path), [12, 13, 14, 17]) if not isinstance(one, Told)
    ]

    failed = {one.task: one for one in what if isinstance(one, Failed)}
    assert sorted(one.task for one in what if isinstance(one, Finished)) == [12, 17]
    assert failed[13] == Failed(13, "13 is no number", True)
    assert not failed[14].is_users
    assert "ZeroDivisionError: a bug" in failed[14].error


def test_a_task_whose_worker_dies_is_begun_again_and_given_up_in_the_end(
    cluster: TwoNodes, executor: RayExecutor, said: list[str], tmp_path: Path
) -> None:
    said.clear()
    what = happened(executor, Squares(tmp_path), [15, 16, 1])

    ends = {one.task: one for one in what if not isinstance(one, Told)}
    assert ends[16].value[0] == 256
    assert ends[1].value[0] == 1
    assert not ends[15].is_users
    assert "its worker was lost 3 times" in ends[15].error
    begun = Counter(line.split(":")[0] for line in said)
    assert begun == {"15": 2, "16": 1}


@pytest.mark.parametrize(
    ("error", "raised"), [(TraceError("no such model"), UserError), (KeyError("a bug"), WorkerError)]
)
def test_a_work_that_cannot_be_opened_ends_all(
    cluster: TwoNodes, executor: RayExecutor, error: Exception, raised: type[Exception]
) -> None:
    with pytest.raises(raised, match="no such model|KeyError: 'a bug'"):
        happened(executor, NotHere(error), range(3))


def test_closing_interrupts_the_tasks(cluster: TwoNodes, executor: RayExecutor, tmp_path: Path) -> None:
    with closing(executor.run(Endless(tmp_path), range(6))) as happening:
        pids = {next(happening).message, next(happening).message}

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        str(pid): "<class 'KeyboardInterrupt'>" for pid in pids
    }


def test_a_node_that_lacks_a_folder_is_named(cluster: TwoNodes, executor: RayExecutor) -> None:
    # Of all processes, only this one has such a thread.
    folder = Path(f"/proc/self/task/{os.getpid()}")
    lacking = RayExecutor(cluster.address, device="cpu", shared=[folder])
    with pytest.raises(
        ClusterError, match=r"node \S+ of .* does not see /proc/self/task/\d+ as this machine"
    ):
        happened(lacking, NotHere(TraceError("never opened")), range(3))


def test_what_no_node_has_is_said(cluster: TwoNodes, executor: RayExecutor) -> None:
    with pytest.raises(ClusterError, match="no node of the Ray at .* has what a task takes: 1 CPU, 5 GPU"):
        happened(RayExecutor(cluster.address, device="cpu", gpus=5), NotHere(TraceError("never")), range(3))


def test_a_cluster_is_left_as_it_was_but_for_our_workers(
    cluster: TwoNodes, executor: RayExecutor, tmp_path: Path
) -> None:
    before = _processes_of_ray()
    what = happened(executor, Squares(tmp_path), range(4))
    pids = {one.value[1] for one in what if isinstance(one, Finished)}

    executor.close()

    workers = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, left = psutil.wait_procs(workers, timeout=10)
    assert not left
    assert before <= _processes_of_ray()


def _processes_of_ray() -> set[int]:
    """Servers and agents: all but workers."""
    ours = psutil.Process().children(recursive=True)
    return {one.pid for one in ours if not _name(one).startswith(("ray::IDLE", "ray::do", "ray::Post"))}


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "ray::IDLE"
